"""First instructions of functions that set a frame pointer, in machine code of x86_64."""

from __future__ import annotations

import pytest

from hud.probe.prologue import LONGEST, ends_in_call, frame_bytes

PUSH_RBX, PUSH_R12 = b"\x53", b"\x41\x54"
SUB_24, SUB_4096 = b"\x48\x83\xec\x18", b"\x48\x81\xec\x00\x10\x00\x00"
ADD, ALIGN = b"\x48\x01\xd8", b"\x48\x83\xe4\xe0"


@pytest.mark.parametrize(
    ("code", "size"),
    [
        (PUSH_RBX + ADD, 8),
        (PUSH_R12 + PUSH_RBX + ADD, 16),
        (SUB_24 + ADD, 24),
        (PUSH_R12 + PUSH_RBX + SUB_4096 + ADD, 16 + 4096),
        (PUSH_RBX + b"\x48\x83\xec\xf8" + ADD, 8),  # a negative size is no room
        (ADD, None),
        (ALIGN + PUSH_RBX, None),
        (b"", None),
    ],
)
def test_the_frame_is_what_was_pushed_and_made_room_for(code: bytes, size: int | None) -> None:
    assert frame_bytes(code.ljust(LONGEST, b"\x90") if code else code) == size


def test_a_prologue_that_is_cut_off_says_nothing() -> None:
    assert frame_bytes(PUSH_RBX + SUB_24) is None


@pytest.mark.parametrize(
    "call",
    [
        b"\xe8\x01\x02\x03\x04",
        b"\xff\xd0",
        b"\xff\x10",
        b"\xff\x50\x08",
        b"\xff\x15\x01\x02\x03\x04",
        b"\xff\x14\x24",
        b"\xff\x54\x24\x08",
        b"\xff\x94\x24\x01\x02\x03\x04",
        b"\x90\x90\xff\xd0",
    ],
)
def test_a_call_is_the_last_instruction(call: bytes) -> None:
    assert ends_in_call(call)
    assert not ends_in_call(call + ADD)
    assert not ends_in_call(call[:-1])
