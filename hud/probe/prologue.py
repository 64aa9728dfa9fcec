"""The frame pointer of a function that set one, from its own first instructions (x86_64).

Between ``mov rbp, rsp`` and the body such a function pushes registers and makes room for its
variables; from there to its end sp stays where it is, but for a call with arguments on the stack.
The distance between the two is therefore in the code. A function that begins otherwise, such as one
that aligns its stack or probes it, is not understood.

Source of the encodings: Intel SDM, volume 2 (PUSH, SUB, CALL).
"""

from __future__ import annotations

import re

LONGEST = 32
"""Bytes after ``mov rbp, rsp`` that are looked at: six pushes and the longest ``sub``."""
CALL = 7
"""Bytes of the longest call."""

_PUSH = re.compile(rb"[\x50-\x57]|\x41[\x50-\x57]")
_SUB = re.compile(rb"\x48\x83\xec([\x00-\x7f])|\x48\x81\xec(....)", re.DOTALL)
_CALL = re.compile(
    rb"\xe8....|\xff[\xd0-\xd7\x10-\x13\x16\x17]|\xff[\x50-\x53\x55-\x57]."
    rb"|\xff[\x15\x90-\x93\x95-\x97]....|\xff\x14.|\xff\x54..|\xff\x94.....",
    re.DOTALL,
)


def frame_bytes(code: bytes) -> int | None:
    """From sp to the frame pointer, in the body of the function; None = not understood.

    ``code``: what comes after ``mov rbp, rsp``, ``LONGEST`` bytes.
    """
    at = size = 0
    while found := _PUSH.match(code, at):
        at = found.end()
        size += 8
    found = _SUB.match(code, at)
    if found:
        size += int.from_bytes(found[1] or found[2], "little")
        at = found.end()
    return size if size and at < len(code) else None


def ends_in_call(code: bytes) -> bool:
    """Is a call the last instruction of these bytes, as before a return address?"""
    return any(_CALL.fullmatch(code, at) for at in range(len(code)))
