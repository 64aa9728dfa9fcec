"""Reading a process's memory: rationed, and opened when it is first read."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from hud.runtime.memory import PAGE, Memory, Ration


def test_a_ration_ends_as_memory_does() -> None:
    ration = Ration(lambda _, size: bytes(size), 4)
    assert ration(0, 8) == bytes(8)
    assert ration(0, 2 * PAGE) == bytes(2 * PAGE), "as three reads"
    assert not ration.spent
    assert ration(0, 8) == b""
    assert ration.spent
    assert ration(0, 8) == b""


def opened() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_memory_is_opened_when_it_is_read() -> None:
    word = ctypes.create_string_buffer(b"here", 8)
    before = opened()
    with Memory(os.getpid()) as memory:
        assert opened() == before
        assert memory.read(ctypes.addressof(word), 4) == b"here"
    assert opened() == before
