"""Walks the user stack of a thread that sleeps, from user space, by the rules that the kernel has.

What bpf_src/unwind.h does for the current thread, for x86_64 and without its fallback to frame
pointers. Only pc and sp are known of another thread without stopping it (/proc/PID/task/TID/
syscall): the frame pointer is unknown until a frame is met that has saved it, or that has set its
own in a way that its code shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hud.probe.probe import RawStack
from hud.probe.prologue import CALL, LONGEST, ends_in_call, frame_bytes
from hud.probe.wire import MAX_FRAMES, STOPS

SP, FP, END, PLT, SIGNAL, SP_DEREF = 1, 2, 3, 4, 5, 9
"""Kinds of rules: hud/symbols/unwind/table.py documents their bits."""

_, NO_RULE, UNREADABLE, TOO_DEEP, NO_MODULE, _ = STOPS
NO_POINTER = "a frame pointer that is not known"

_WORD = (1 << 64) - 1
_UC_RBP, _UC_RSP, _UC_RIP = 40 + 8 * 10, 40 + 8 * 15, 40 + 8 * 16
"""In the ucontext of a signal frame: uapi/asm/sigcontext.h."""


class Rules(Protocol):
    """What `hud.probe.unwind.UnwindTables` knows."""

    def rule_at(self, pc: int, /) -> int | None: ...
    def frame_set_at(self, pc: int, /) -> int | None: ...


class _Stop(Exception):  # noqa: N818 (mostly it is none)
    """Why the walk ends; an empty reason = at the thread's start."""


def walk(
    pc: int,
    sp: int,
    rules: Rules,
    read: Callable[[int, int], bytes],
    fp: int | None = None,
) -> RawStack:
    """The stack from these registers on, of at most MAX_FRAMES frames.

    ``read``: (address, size) -> that many bytes, or fewer where memory ends.
    """

    def word(address: int) -> int:
        data = read(address & _WORD, 8)
        if len(data) < 8:
            raise _Stop(UNREADABLE)
        return int.from_bytes(data, "little")

    def frame_pointer() -> int:
        """Of the frame that is walked, where its code shows it and its return address fits."""
        begin = rules.frame_set_at(pc - caller)
        size = frame_bytes(read(begin, LONGEST)) if begin is not None and begin < pc else None
        if size is None:
            raise _Stop(NO_POINTER)
        back = word(sp + size + 8)
        if rules.rule_at(back - 1) is None or not ends_in_call(read(back - CALL & _WORD, CALL)):
            raise _Stop(NO_POINTER)
        return sp + size

    def step(rule: int | None) -> tuple[int, int, int | None]:
        kind, offset, slot = (rule or 0) & 15, (rule or 0) >> 4 & 0xFFFF, (rule or 0) >> 20
        if kind == END:
            raise _Stop("")
        if kind == SIGNAL:
            return word(sp + _UC_RIP), word(sp + _UC_RSP), word(sp + _UC_RBP)
        if kind == SP:
            cfa = sp + 8 * offset
        elif kind == FP:
            cfa = (frame_pointer() if fp is None else fp) + 8 * offset
        elif kind == PLT:
            cfa, slot = sp + 8 + (8 if pc & 15 >= offset else 0), 0
        elif kind == SP_DEREF:
            cfa = word(sp + 8 * offset) + 8
        else:
            raise _Stop(NO_MODULE if rule is None else NO_RULE)
        return word(cfa - 8), cfa & _WORD, word(cfa - 8 * slot) if slot else fp

    addresses: list[int] = []
    caller = 0  # 1 = pc is a return address, which may already belong to the next function
    try:
        while pc and len(addresses) < MAX_FRAMES:
            addresses.append(pc)
            rule = rules.rule_at(pc - caller)
            pc, sp, fp = step(rule)
            caller = int((rule or 0) & 15 != SIGNAL)
    except _Stop as stop:
        return RawStack(tuple(addresses), str(stop))
    return RawStack(tuple(addresses), TOO_DEEP if pc else "")
