"""The name behind std's thread-local, in memory that is laid out as std does it, or is hostile."""

from __future__ import annotations

import platform
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.runtime.threadname import full_name

if TYPE_CHECKING:
    from collections.abc import Callable

POINTER = 0x7F00_0000_46C0
INNER, TEXT = 0x5500_0010, 0x5500_1000
NAME = b"tests::blocks_on_a_worker"
COMM = NAME[:15]


def memory(
    *, name: bytes = NAME + b"\0", length: int | None = None, at: int = 2, local: int = INNER
) -> Callable[[int, int], bytes]:
    """An Inner whose words ``at`` and behind it are the name, and a thread that points to it."""
    words = [7, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    words[at : at + 2] = [TEXT, len(name) if length is None else length]
    below = platform.machine() == "x86_64"
    place = POINTER - 0x28 if below else POINTER + 0x28
    pieces = {place: struct.pack("<Q", local), INNER: struct.pack("<10Q", *words), TEXT: name}

    def read(address: int, size: int) -> bytes:
        if POINTER - 0x5000 <= address < POINTER + 0x5000:
            block = bytearray(size)
            if address <= place < address + size:
                block[place - address : place - address + 8] = pieces[place]
            return bytes(block)
        return pieces.get(address, b"")[:size]

    return read


@pytest.mark.parametrize("at", [0, 1, 5, 8])
def test_wherever_the_name_is_in_the_inner(at: int) -> None:
    assert full_name(memory(at=at), POINTER, COMM) == NAME


def test_a_short_one_is_whole() -> None:
    assert full_name(memory(), POINTER, b"main") == b"main"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": b"tests::blocks_elsewhere\0"},
        {"name": NAME},
        {"name": NAME[:20] + b"\0" + NAME[20:] + b"\0"},
        {"length": 12},
        {"length": 1 << 40},
        {"local": 0},
        {"local": INNER + 1},
        {"local": 1 << 63},
    ],
)
def test_what_is_no_name_of_that_thread(changes: dict[str, object]) -> None:
    assert full_name(memory(**changes), POINTER, COMM) == COMM  # type: ignore[arg-type]


def test_the_first_page_may_be_all_there_is() -> None:
    inside = memory()

    def read(address: int, size: int) -> bytes:
        first = POINTER & ~0xFFF
        return b"" if first - 0x2000 <= address < first else inside(address, size)

    assert full_name(read, POINTER, COMM) == NAME


def test_memory_that_is_gone() -> None:
    assert full_name(lambda _address, _size: b"", POINTER, COMM) == COMM


@given(st.binary(max_size=4096), st.integers(0, (1 << 64) - 1))
def test_any_memory_ends_in_a_name(data: bytes, pointer: int) -> None:
    found = full_name(lambda address, size: data[address % 64 :][:size], pointer, COMM)
    assert found.startswith(COMM)
