"""Addresses with a cache and debug files, and the real resolver."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hud.model import Batch, Mapping
from hud.probe import wire
from hud.probe.probe import RawStack
from hud.probe.unwind import UnwindTables
from hud.profiler.naming.addresses import Addresses
from hud.profiler.naming.cache import Cache
from hud.profiler.naming.debugfiles import DebugFileSearch
from hud.profiler.naming.debuginfo import DebugInfo
from hud.profiler.notes import Notes
from hud.resolver.client import Resolver
from hud.resolver.messages import AskFacts, Facts
from tests.builders import elfbuild as b
from tests.builders.asked import ask
from tests.builders.elfbuild import TEXT, Sec, Sym
from tests.builders.splitdwarf import dwo, make

PID = 7
PATIENCE_S = 60
START = 0x5555_0000_0000


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    with Resolver() as made:
        yield made


class World:
    """One program at START, in a root of its own."""

    def __init__(self, tmp_path: Path, resolver: Resolver, program: bytes) -> None:
        self.root = tmp_path / "root"
        process = tmp_path / "proc" / str(PID)
        if not process.exists():
            process.mkdir(parents=True)
            (process / "root").symlink_to(self.root)
            shutil.copy("/proc/self/status", process)
            self.put("/opt/app", program)
        self.resolver = resolver
        self.cache = Cache(tmp_path / "cache" / "modules")
        files = DebugFileSearch(PID, (), tmp_path / "proc", tmp_path / "host")
        self.notes = Notes()
        self.debug = DebugInfo(resolver, files, self.cache, notes=self.notes)
        self.addresses = Addresses(
            resolver, self._open, self._read, self.cache, self.debug, self.notes
        )

    def put(self, path: str, content: bytes) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def _open(self, mapping: Mapping) -> int:
        return os.open(self.root / mapping.path.lstrip("/"), os.O_RDONLY)

    def _read(self) -> list[Mapping]:
        return [Mapping(START, START + 0x1000, TEXT, True, "/opt/app", "08:01", 1)]

    def settle(self) -> bool:
        """Whether better names came while all was answered."""
        better = False

        def done() -> bool:
            nonlocal better
            better |= self.addresses.fill(Batch())
            return not self.resolver.pending()

        assert self.resolver.run_until(done, PATIENCE_S)
        return better

    def names(self, *addresses: int) -> list[str]:
        batch = Batch(stacks={1: self.addresses.want(1, RawStack(addresses, ""))})

        def done() -> bool:
            self.addresses.fill(batch)
            return batch.stacks[1].frames is not None

        assert self.resolver.run_until(done, PATIENCE_S)
        return [frame.raw for frame in batch.stacks[1].frames or ()]


EH_FRAME = Sec(".eh_frame", bytes(4), addr=0x9000)


def test_a_second_start_asks_for_nothing(tmp_path: Path, resolver: Resolver) -> None:
    program = b.elf([EH_FRAME, *b.symbol_sections([Sym("f", TEXT, 0x1000)])])
    cold = World(tmp_path, resolver, program)
    cold.addresses.refresh()
    assert cold.addresses.modules.pending_unwind == 1
    number = cold.addresses.modules.module_of("/opt/app")
    assert number is not None
    assert not cold.addresses.modules.is_ready(number)
    cold.settle()
    assert cold.addresses.modules.is_ready(number)
    assert cold.addresses.modules.known_facts(number) is None
    facts = ask(resolver, AskFacts(number))
    assert isinstance(facts, Facts)
    cold.addresses.modules.keep_facts(number, facts)

    warm = World(tmp_path, resolver, program)
    tables = UnwindTables(
        *(memoryview(bytearray(size)) for size in (4096, 4096)),
        memoryview(bytearray(wire.MAX_MAPPINGS * wire.MAPPING.size)),
        wire.Config(),
    )
    warm.addresses.modules.use_tables(tables)
    warm.addresses.refresh()
    assert warm.addresses.modules.pending_unwind == 0
    assert resolver.pending() == 0
    number = warm.addresses.modules.module_of("/opt/app")
    assert number is not None
    assert number in tables
    known = warm.addresses.modules.known_facts(number)
    assert known is not None
    assert (known.facts, known.crates) == (facts.facts, facts.crates)
    assert warm.names(START) == ["f"]


def test_another_file_is_read_anew(tmp_path: Path, resolver: Resolver) -> None:
    cold = World(tmp_path, resolver, b.elf([EH_FRAME]))
    cold.addresses.refresh()
    cold.settle()
    cold.put("/opt/app", b.elf([EH_FRAME, Sec("more", b"")]))
    again = World(tmp_path, resolver, b"")
    again.addresses.refresh()
    assert again.addresses.modules.pending_unwind == 1


def test_frames_wait_for_their_split_units(tmp_path: Path, resolver: Resolver) -> None:
    made = make(5)
    world = World(tmp_path, resolver, made.program)
    world.put("/build/outer.dwo", dwo(made))
    world.addresses.refresh()
    world.settle()
    assert world.names(START + 0x44, START + 0x11) == ["inner", "outer", "outer"]
    assert list(world.notes) == []


def test_names_without_the_split_units(tmp_path: Path, resolver: Resolver) -> None:
    world = World(tmp_path, resolver, make(5).program)
    world.addresses.refresh()
    world.settle()
    assert world.names(START + 0x44) == [""]
    assert list(world.notes) == ["/opt/app: split debug info not found: /build/outer.dwo"]


def test_names_asked_before_the_debug_file_came_are_asked_again(
    tmp_path: Path, resolver: Resolver
) -> None:
    note = Sec(".note.gnu.build-id", b.note(3, b"GNU\0", b"\xab\xcd\xef\1"), 7)
    world = World(tmp_path, resolver, b.elf([note]))
    debug = b.elf([note, *b.symbol_sections([Sym("late", TEXT, 0x1000)])])
    world.put("/usr/lib/debug/.build-id/ab/cdef01.debug", debug)
    world.addresses.refresh()
    # before the module has said what it is
    world.addresses.want(5, RawStack((START,), ""))
    assert world.settle()
    assert world.names(START) == ["late"]
