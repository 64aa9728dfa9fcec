"""Where thread-locals are: slots that the loader filled and tables that each thread has."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest

from hud.model import Mapping
from hud.runtime.blocks import UNALLOCATED, Block, bias_of, executable_block, object_block, origins
from hud.symbols.elf.tls import DESCRIPTOR, DISTANCE, MODULE
from hud.symbols.facts import Slot

BIAS = 0x7F00_0000_0000
SLOT = 0x3000


class Tls(NamedTuple):
    vaddr: int = 0x2000
    memsz: int = 0x100
    align: int = 8


class Memory:
    def __init__(self, **words: int) -> None:
        self.words = {int(name[1:], 16): value for name, value in words.items()}

    def read(self, address: int, size: int) -> bytes:
        assert size == 8
        return struct.pack("<Q", self.words[address]) if address in self.words else b""


def found(memory: Memory, *slots: Slot, machine: str = "x86_64") -> Block | str:
    return object_block(Tls(), machine, slots, BIAS, memory.read, "api.so")


def at_slot(word: int) -> Memory:
    memory = Memory()
    memory.words[BIAS + SLOT] = word
    return memory


def below(bytes_: int) -> int:
    return (1 << 64) - bytes_


def test_module_id() -> None:
    assert found(at_slot(3), Slot(MODULE, SLOT, 0)) == Block(3, 0, 0x100, "api.so")


@pytest.mark.parametrize("word", [0, 1, 1 << 20, UNALLOCATED])
def test_what_is_no_module_id_of_a_shared_object(word: int) -> None:
    what = "no module id of its thread-locals"
    assert found(at_slot(word), Slot(MODULE, SLOT, 0)) == what
    assert found(Memory(), Slot(MODULE, SLOT, 0)) == what


def test_distance_of_a_variable_places_the_block() -> None:
    slot = Slot(DISTANCE, SLOT, 0x30)
    assert found(at_slot(below(0x50)), slot) == Block(0, -0x80, 0x100, "api.so")
    assert found(at_slot(0x50), slot, machine="aarch64") == Block(0, 0x20, 0x100, "api.so")
    assert isinstance(found(at_slot(0), slot), str)  # not filled yet
    assert isinstance(found(at_slot(0x50), slot), str)
    assert isinstance(found(at_slot(below(1 << 40)), slot), str)


def test_descriptor_is_a_distance_or_leads_to_a_module_id() -> None:
    slot = Slot(DESCRIPTOR, SLOT, 0x30)
    assert found(at_slot(below(0x50)), slot) == Block(0, -0x80, 0x100, "api.so")
    memory = at_slot(0x5000_0000)
    memory.words |= {0x5000_0000: 4, 0x5000_0008: 0x30}
    assert found(memory, slot) == Block(4, 0, 0x100, "api.so")
    memory.words[0x5000_0008] = 0x38  # another variable's
    assert isinstance(found(memory, slot), str)


def test_the_first_slot_that_says_something_counts() -> None:
    memory = Memory()
    memory.words = {BIAS + 8: 0, BIAS + 16: 5}
    assert found(memory, Slot(MODULE, 8, 0), Slot(MODULE, 16, 0)) == Block(5, 0, 0x100, "api.so")
    assert found(memory) == "no TLS relocation"
    assert object_block(None, "x86_64", (), 0, memory.read, "") == "no TLS segment"


def test_threads_that_touched_the_module_have_a_block() -> None:
    memory = Memory()
    for thread, (length, block) in enumerate(
        [(4, 0x9000), (4, UNALLOCATED), (4, 0), (2, 0x9000), (3, 0x9100)]
    ):
        pointer, dtv = 0x1000 * (thread + 1), 0x100000 * (thread + 1)
        memory.words |= {pointer + 8: dtv, dtv - 16: length, dtv + 48: block}
    pointers = {10 + thread: 0x1000 * (thread + 1) for thread in range(6)}
    block = Block(3, 0, 0x100, "api.so")
    assert origins(block, pointers, memory.read, "x86_64") == {10: 0x9000, 14: 0x9100}
    assert origins(Block(0, -0x80, 0x100), pointers, memory.read, "x86_64") == pointers


def test_bias_by_the_first_segment_that_is_mapped() -> None:
    segments = [(0, 0, 0x900, 4), (0x2840, 0x1840, 0x500, 5)]
    maps = [Mapping(BIAS + 0x2000, BIAS + 0x3000, 0x1000, True, "api.so")]
    assert bias_of(maps, segments) == BIAS
    maps = [Mapping(BIAS, BIAS + 0x1000, 0, False, "api.so"), *maps]
    assert bias_of(maps, segments) == BIAS
    assert bias_of(maps[1:], segments[:1]) is None
    assert bias_of([], segments) is None


@pytest.mark.parametrize(
    ("tls", "machine", "want"),
    [
        (Tls(), "riscv64", "no layout of thread-locals for machine riscv64"),
        (None, "x86_64", "no TLS segment"),
        (Tls(align=3), "x86_64", "no sound TLS segment"),
        (Tls(memsz=0x1F8, align=32), "x86_64", Block(0, -0x200, 0x1F8)),
        (Tls(align=64), "aarch64", Block(0, 64, 0x100)),
    ],
)
def test_block_of_the_executable(tls: Tls | None, machine: str, want: Block | str) -> None:
    assert executable_block(tls, machine) == want
