"""Names and unwind tables by address, with a resolver that writes down what it is asked."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

from hud.errors import TargetError
from hud.model import Batch, Frame, Mapping, Stack
from hud.probe import wire
from hud.probe.probe import RawStack
from hud.probe.unwind import UnwindTables
from hud.process.mappings import read_mappings
from hud.profiler.naming import addresses as module_under_test
from hud.profiler.naming import modules
from hud.profiler.naming.addresses import Addresses, lookups_of
from hud.profiler.naming.cache import Cache
from hud.profiler.naming.modules import PAGE, _vaddr
from hud.profiler.notes import Notes
from hud.resolver.client import Resolver
from hud.resolver.messages import AskFrames, AskTails, AskUnwind, Failed, Frames, Tails, Unwind
from hud.symbols.facts import Between, Recovered, UnwindTable
from tests.builders.asked import Asked

PATIENCE_S = 60
APP, LIB = 0x5555_0000_0000, 0x7FFF_0000_0000


def code(
    start: int, path: str, inode: int = 1, offset: int = 0x1000, size: int = 0x8000
) -> Mapping:
    return Mapping(start, start + size, offset, True, path, "08:01", inode)


class World:
    """Addresses over mappings that the test may change."""

    def __init__(self, *mappings: Mapping, cache: Cache | None = None) -> None:
        self.mappings = list(mappings)
        self.reads = 0
        self.asked = Asked()
        self.between: dict[tuple[int, int, int, int], list[Recovered]] = {}
        """What tail calls removed, by pair."""
        self.notes = Notes()
        self.addresses = Addresses(self.asked, self._open, self._read, cache, notes=self.notes)
        self.addresses.refresh()

    def _open(self, mapping: Mapping) -> int:
        if "secret" in mapping.path:
            raise TargetError(f"{mapping.path}: permission denied")
        return os.open("/dev/null", os.O_RDONLY)

    def _read(self) -> list[Mapping]:
        self.reads += 1
        return list(self.mappings)

    def named(self, key: int, *pcs: int, stop: str = "") -> list[str]:
        """The functions of a stack once everything is answered."""
        known = {key: self.addresses.want(key, RawStack(pcs, stop))}
        return functions((known | self.answered())[key])

    def filled(self) -> dict[int, Stack]:
        """The stacks that have their names now."""
        batch = Batch()
        self.addresses.fill(batch)
        return batch.stacks

    def answer_tails(self) -> None:
        """With what ``between`` has."""
        self.asked.answer_all(
            AskTails, lambda asked: Tails([self._between(pair) for pair in asked.pairs])
        )

    def _between(self, pair: tuple[int, int, int, int]) -> Between:
        """Functions are 16 bytes long."""
        start = pair[3] & ~0xF
        return Between(start, start + 0x10, self.between.get((*pair[:3], start), []))

    def answered(self) -> dict[int, Stack]:
        """The stacks that are named once every frame is called MODULE+OFFSET."""
        self.answer_tails()
        self.asked.answer_all(AskFrames, self._frames)
        return self.filled()

    def _frames(self, asked: AskFrames) -> Frames:
        path = self.asked.modules[asked.module]
        return Frames([(Frame(0, function=f"{path}+{at:#x}"),) for at in asked.offsets])

    def offsets(self) -> list[list[int]]:
        """Of the questions for frames that have no answer."""
        return [list(one.offsets) for one in self.asked.all(AskFrames)]

    def pairs(self) -> list[list[tuple[int, int, int, int]]]:
        """Of those for tail calls."""
        return [one.pairs for one in self.asked.all(AskTails)]


def functions(stack: Stack) -> list[str]:
    assert stack.frames is not None
    return [frame.function for frame in stack.frames]


@pytest.fixture
def world() -> World:
    return World(code(APP, "/app"), code(LIB, "/lib/libc.so", inode=2))


def test_modules_are_handed_over_once(world: World) -> None:
    assert list(world.asked.modules.values()) == ["/app", "/lib/libc.so"]
    assert [one.module for one in world.asked.all(AskUnwind)] == list(world.asked.modules)
    world.addresses.refresh()
    assert world.reads == 2
    assert len(world.asked.modules) == 2
    assert world.addresses.modules.module_of("/lib/libc.so") == list(world.asked.modules)[1]
    assert world.addresses.modules.module_of("/none") is None
    assert world.addresses.modules.text_bytes == 0x10000


def test_unwind_tables_have_room_for_the_data_before_the_code() -> None:
    world = World(code(APP, "/app", offset=0x1000), code(APP + 0x10000, "/app", offset=0x4000))
    found = world.addresses.modules
    assert found.span_bytes == found.text_bytes + 0x4000
    far = World(code(APP, "/app", offset=1 << 40)).addresses.modules
    assert far.span_bytes == far.text_bytes + modules.MOST_BEFORE


def test_callers_are_looked_up_one_byte_before_their_return_address(world: World) -> None:
    stack = world.addresses.want(5, RawStack((LIB + 0x10, APP + 0x20, APP + 0x30), ""))
    assert stack == Stack((LIB + 0x10, APP + 0x20, APP + 0x30), True)
    app, lib = world.asked.modules
    asked = sorted((one.module, one.offsets) for one in world.asked.all(AskFrames))
    assert asked == [(app, [0x101F, 0x102F]), (lib, [0x1010])]
    assert world.addresses.pending_stacks == 1
    ((key, named),) = world.answered().items()
    assert key == 5
    assert named.frames == (
        Frame(LIB + 0x10, function="/lib/libc.so+0x1010"),
        Frame(APP + 0x20, function="/app+0x101f"),
        Frame(APP + 0x30, function="/app+0x102f"),
    )
    assert world.addresses.pending_stacks == 0


def test_same_address_innermost_and_as_a_caller_are_two_sites(world: World) -> None:
    assert lookups_of((7, 7)) == [15, 14]
    assert world.named(1, APP + 0x20, APP + 0x20) == ["/app+0x1020", "/app+0x101f"]


def test_caller_at_the_first_byte_of_a_mapping_belongs_to_the_one_before() -> None:
    world = World(code(APP, "/a"), code(APP + 0x8000, "/b", inode=2))
    assert world.named(1, APP + 0x8000, APP + 0x8000) == ["/b+0x1000", "/a+0x8fff"]


def test_known_stacks_are_named_at_once(world: World) -> None:
    pcs = (APP + 1, APP + 2, APP + 3)
    world.named(1, *pcs)
    again = world.addresses.want(2, RawStack(pcs, "unreadable stack memory"))
    assert functions(again) == ["/app+0x1001", "/app+0x1001", "/app+0x1002"]
    assert (again.complete, again.stop) == (False, "unreadable stack memory")
    assert world.offsets() == []
    # another innermost frame under the same callers asks for that one only
    world.addresses.want(3, RawStack((APP + 9, *pcs[1:]), ""))
    assert world.offsets() == [[0x1009]]


def test_site_that_is_asked_for_is_not_asked_again(world: World) -> None:
    world.addresses.want(1, RawStack((APP + 1, APP + 2), ""))
    world.addresses.want(2, RawStack((APP + 1, APP + 2, APP + 3), ""))
    assert world.offsets() == [[0x1001, 0x1001], [0x1002]]
    done = world.answered()
    assert {key: len(stack.frames or ()) for key, stack in done.items()} == {1: 2, 2: 3}


def test_questions_are_small_and_in_the_order_of_the_stacks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module_under_test, "MOST_IN_QUESTION", 3)
    for key, first in ((1, 0x70), (2, 0x10)):
        pcs = tuple(APP + first + n for n in (4, 2, 8))
        world.addresses.want(key, RawStack(pcs, ""), ask=False)
    world.addresses.ask_wanted()
    assert world.offsets() == [[0x1071, 0x1074, 0x1077], [0x1011, 0x1014, 0x1017]]
    world.answer_tails()
    world.asked.answer(AskFrames, Frames([(Frame(0, "f"),)] * 3))
    assert list(world.filled()) == [1]


def test_names_are_kept_for_the_next_run(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "hud" / "modules")
    assert cache
    world = World(code(APP, "/app"), cache=cache)
    names = world.named(1, APP + 0x20, APP + 0x30)
    world.addresses.keep_names()
    again = World(code(APP, "/app"), cache=cache)
    again.addresses.want(1, RawStack((APP + 0x20, APP + 0x30), ""))
    assert again.offsets() == again.pairs() == []
    (stack,) = again.filled().values()
    assert functions(stack) == names == ["/app+0x1020", "/app+0x102f"]
    assert stack.frames is not None
    assert (stack.frames[0].address, stack.frames[0].module) == (APP + 0x20, "/app")
    # what is new is added to what was kept
    again.named(2, APP + 0x40)
    again.addresses.keep_names()
    third = World(code(APP, "/app"), cache=cache)
    third.addresses.want(1, RawStack((APP + 0x20, APP + 0x30), ""))
    third.addresses.want(2, RawStack((APP + 0x40,), ""))
    assert third.offsets() == []


def test_names_that_could_not_be_had_are_asked_for_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "hud" / "modules")
    world = World(code(APP, "/app"), cache=cache)
    world.addresses.want(1, RawStack((APP + 0x20,), ""))
    world.asked.answer(AskFrames, Frames([(Frame(0, module="/app", offset=0x20),)]))
    world.addresses.keep_names()
    again = World(code(APP, "/app"), cache=cache)
    again.addresses.want(1, RawStack((APP + 0x20,), ""))
    assert again.offsets() == [[0x1020]]


def test_damaged_names_count_as_absent(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "hud" / "modules")
    key = cache.key(os.open("/dev/null", os.O_RDONLY))
    cache.store(key, "names", b"\x81\xcd\x10\x20\x93\x01\x02\x03")
    world = World(code(APP, "/app"), cache=cache)
    assert world.named(1, APP + 0x20) == ["/app+0x1020"]
    cache.store(key, "names", b"nonsense")
    world = World(code(APP, "/app"), cache=cache)
    assert world.named(1, APP + 0x20) == ["/app+0x1020"]


def test_stack_waits_for_all_its_modules(world: World) -> None:
    world.addresses.want(1, RawStack((APP + 1, LIB + 2), ""))
    world.answer_tails()
    assert world.filled() == {}
    world.asked.answer(AskFrames, Frames([(Frame(0, "f"),)]))
    assert world.filled() == {}
    world.asked.answer(AskFrames, Frames([(Frame(0, "g"),)]))
    assert list(world.filled()) == [1]


def test_inlined_calls(world: World) -> None:
    world.addresses.want(1, RawStack((APP + 1, APP + 2), ""))
    assert world.offsets() == [[0x1001, 0x1001]]
    inline = (Frame(0, function="f", inlined=True), Frame(0, function="g"))
    world.answer_tails()
    world.asked.answer(AskFrames, Frames([inline, (Frame(0, "h"),)]))
    (stack,) = world.filled().values()
    assert stack.frames is not None
    assert [frame.address for frame in stack.frames].count(APP + 1) + 1 == len(stack.frames)


def test_addresses_without_a_module_keep_what_is_known_of_them() -> None:
    world = World(
        code(APP, "/app"),
        code(LIB, "/secret", inode=9),
        Mapping(0x1000, 0x2000, 0, True, "", "00:00", 0),
    )
    assert list(world.notes) == ["/secret: permission denied"]
    pcs = (LIB + 0x10, 0x1234, 0xDEAD_0000, 0, (1 << 64) - 1)
    world.addresses.want(1, RawStack(pcs, "no unwind rule"))
    (stack,) = world.filled().values()
    assert stack.frames == (
        Frame(LIB + 0x10, module="/secret", offset=0x1010),
        Frame(0x1234, offset=0x233),
        Frame(0xDEAD_0000),
        Frame(0),
        Frame((1 << 64) - 1),
    )
    assert world.offsets() == []


def test_refused_names_keep_module_and_offset(world: World) -> None:
    world.addresses.want(1, RawStack((APP + 1,), ""))
    world.asked.answer(AskFrames, Failed("it died"))
    (stack,) = world.filled().values()
    assert stack.frames == (Frame(APP + 1, module="/app", offset=0x1001),)
    assert list(world.notes) == ["/app: it died"]
    assert world.addresses.unnamed == 1


def test_short_answer_leaves_nobody_waiting(world: World) -> None:
    world.addresses.want(1, RawStack((APP + 1, APP + 0x20), ""))
    world.answer_tails()
    world.asked.answer(AskFrames, Frames([(Frame(0, function="f"),)]))
    (stack,) = world.filled().values()
    assert stack.frames == (
        Frame(APP + 1, function="f"),
        Frame(APP + 0x20, module="/app", offset=0x101F),
    )


def test_library_that_is_replaced_at_the_same_addresses(world: World) -> None:
    assert world.named(1, LIB + 1, APP + 1) == ["/lib/libc.so+0x1001", "/app+0x1000"]
    world.mappings[1] = code(LIB, "/lib/other.so", inode=3)
    world.addresses.refresh()
    assert world.named(2, LIB + 1, APP + 1) == ["/lib/other.so+0x1001", "/app+0x1000"]


def test_answer_about_a_replaced_library_is_not_believed(world: World) -> None:
    world.addresses.want(1, RawStack((LIB + 1,), ""))
    world.mappings[1] = code(LIB, "/lib/other.so", inode=3)
    world.addresses.refresh()
    world.asked.answer(AskFrames, Frames([(Frame(0, "of another library"),)]))
    assert world.filled() == {}
    assert functions(world.answered()[1]) == ["/lib/other.so+0x1001"]


def test_waiting_stack_keeps_all_its_names_when_a_library_goes(world: World) -> None:
    world.named(1, APP + 1, APP + 2)
    world.addresses.want(2, RawStack((LIB + 1, APP + 2), ""))  # APP + 2 is known already
    del world.mappings[1]
    world.addresses.refresh()
    done = world.answered()
    assert functions(done[2]) == ["", "/app+0x1001"]
    assert world.addresses.pending_stacks == 0


def test_library_loaded_later_names_the_stacks_that_met_it(world: World) -> None:
    new = 0x7FFE_0000_0000
    stop = "code outside every known module"
    assert not world.addresses.modules.knows((new + 1, APP + 1))
    assert world.named(1, new + 1, APP + 1, stop=stop) == ["", "/app+0x1000"]
    assert world.named(2, new + 1, APP + 1, stop=stop) == ["", "/app+0x1000"]
    world.mappings.append(code(new, "/lib/plugin.so", inode=7))
    world.addresses.refresh()
    assert world.addresses.modules.knows((new + 1, APP + 1))
    done = world.answered()
    assert {key: functions(stack) for key, stack in done.items()} == {
        1: ["/lib/plugin.so+0x1001", "/app+0x1000"],
        2: ["/lib/plugin.so+0x1001", "/app+0x1000"],
    }


def test_exec_forgets_everything(world: World) -> None:
    world.named(1, APP + 1)
    world.addresses.want(2, RawStack((APP + 0x77,), ""))
    world.addresses.clear()
    assert (world.addresses.pending_stacks, world.addresses.modules.pending_unwind) == (0, 0)
    assert not world.addresses.modules.knows((APP + 1,))
    assert world.answered() == {}
    world.mappings[:] = [code(APP, "/next", inode=5)]
    world.addresses.refresh()
    assert world.named(1, APP + 1) == ["/next+0x1001"]


def test_names_have_a_bound_and_nobody_waits_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module_under_test, "MOST_NAMED", 10)
    for number in range(30):
        pcs = tuple(APP + 0x100 * number + at for at in range(1, 5))
        world.addresses.want(number, RawStack(pcs, ""))
        done: dict[int, Stack] = {}
        for _ in range(3):
            done |= world.answered()
        assert "" not in functions(done[number])
        assert world.addresses.pending_stacks == 0


def test_modules_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "MOST_MODULES", 2)
    world = World(*(code(APP + (n << 20), f"/{n}", inode=n + 1) for n in range(4)))
    assert list(world.asked.modules.values()) == ["/0", "/1"]
    assert len(list(world.notes)) == 1


# --------------------------------------------------------------------------- unwind tables


ROWS = struct.pack("<4I", 0, 0x21, 0x900, 0)
BUCKETS = struct.pack("<11I", *([0] * 9), 1, 1)


def table(base: int = 0) -> UnwindTable:
    return UnwindTable(base, ROWS, BUCKETS, 2, 1, 0)


class Kernel:
    """The maps of the kernel programs."""

    def __init__(self, rows: int = 64) -> None:
        self.memory = bytearray(wire.MAPPING.size * wire.MAX_MAPPINGS)
        self.config = wire.Config()
        self.tables = UnwindTables(
            memoryview(bytearray(8 * rows)),
            memoryview(bytearray(8 * 64)),
            memoryview(self.memory),
            self.config,
        )


def answer_unwind(world: World, base: int = 0) -> None:
    world.asked.answer_all(AskUnwind, lambda _: Unwind([(0, 0, 0x20000)], table(base), ""))
    assert world.filled() == {}


def biases(kernel: Kernel) -> list[tuple[int, int]]:
    """(start, bias) of the mappings in use."""
    at = kernel.config.mappings_first
    entries = list(wire.MAPPING.iter_unpack(kernel.memory))[at : at + wire.MAX_MAPPINGS // 2]
    return [(e[0], e[2]) for e in entries if 0 < e[0] < 1 << 62]


@pytest.mark.parametrize("early", [True, False])
def test_tables_go_to_the_kernel_whenever_they_come(world: World, early: bool) -> None:
    kernel = Kernel()
    assert world.addresses.modules.pending_unwind == 2
    if early:
        answer_unwind(world)
        world.addresses.modules.use_tables(kernel.tables)
    else:
        world.addresses.modules.use_tables(kernel.tables)
        assert biases(kernel) == []
        answer_unwind(world)
    assert world.addresses.modules.pending_unwind == 0
    # mapped from file offset 0x1000, where the vaddr is 0x1000
    assert biases(kernel) == [(APP, APP - 0x1000), (LIB, LIB - 0x1000)]


def test_library_that_goes_leaves_the_kernel(world: World) -> None:
    kernel = Kernel()
    world.addresses.modules.use_tables(kernel.tables)
    answer_unwind(world)
    del world.mappings[1]
    world.addresses.refresh()
    assert [start for start, _ in biases(kernel)] == [APP]
    # and when it comes back its table is still there
    world.mappings.append(code(LIB + 0x10000, "/lib/libc.so", inode=2))
    world.addresses.refresh()
    assert [start for start, _ in biases(kernel)] == [APP, LIB + 0x10000]
    assert world.asked.all(AskUnwind) == []


def test_base_of_the_table(world: World) -> None:
    kernel = Kernel()
    world.addresses.modules.use_tables(kernel.tables)
    answer_unwind(world, base=0x400)
    assert biases(kernel)[0] == (APP, APP - 0x1000 + 0x400)


def test_module_without_rules_and_one_that_failed_are_told(world: World) -> None:
    kernel = Kernel()
    world.addresses.modules.use_tables(kernel.tables)
    world.asked.answer(AskUnwind, Unwind([], None, "no .eh_frame"), Failed("no"))
    assert list(world.notes) == ["/app: no .eh_frame", "/lib/libc.so: no"]
    assert biases(kernel) == []


@pytest.mark.parametrize("early", [True, False])
def test_table_without_room_is_told(world: World, early: bool) -> None:
    kernel = Kernel(rows=3)
    if early:
        answer_unwind(world)
    world.addresses.modules.use_tables(kernel.tables)
    answer_unwind(world)
    assert list(world.notes) == ["/lib/libc.so: no room for its unwind rules"]
    assert [start for start, _ in biases(kernel)] == [APP]


@pytest.mark.parametrize(
    ("offset", "segments", "expected"),
    [
        (0x1000, [(0x1000, 0x1000, 0x500)], 0x1000),
        # the R segment ends inside the page where the RX segment starts (lld)
        (0x5F000, [(0, 0, 0x5F4C0), (0x604C0, 0x5F4C0, 0x9000)], 0x60000),
        (0x5F000, [(0x604C0, 0x5F4C0, 0x9000), (0, 0, 0x5F4C0)], 0x60000),
        # the second half of a segment, mapped apart
        (0x61000, [(0, 0, 0x5F4C0), (0x604C0, 0x5F4C0, 0x9000)], 0x62000),
        (0x70000, [(0, 0, 0x5F4C0), (0x604C0, 0x5F4C0, 0x9000)], None),
        (0, [], None),
        # not PIE
        (0, [(0x400000, 0, 0x5000)], 0x400000),
    ],
)
def test_vaddr_of_a_mapping(
    offset: int, segments: list[tuple[int, int, int]], expected: int | None
) -> None:
    if PAGE != 4096:
        pytest.skip("pages of 4 KiB")
    assert _vaddr(offset, segments) == expected


# --------------------------------------------------------------------------- tail calls


def nap_between(world: World) -> None:
    """A tail call of nap, at 0x1100 of /app, between the two frames of SLEEPS."""
    app, lib = world.asked.modules
    nap = (
        Frame(0, "inlined", inlined=True, recovered=True),
        Frame(0, "nap", module="/app", recovered=True),
    )
    pair = app, 0x101F, lib, 0x1010
    world.between[pair] = [Recovered(app, 0x1100, nap)]


SLEEPS = LIB + 0x10, APP + 0x20, APP + 0x30
TOLD = [
    (LIB + 0x10, "/lib/libc.so+0x1010"),
    (APP + 0x100, "inlined"),
    (APP + 0x100, "nap"),
    (APP + 0x20, "/app+0x101f"),
    (APP + 0x30, "/app+0x102f"),
]


def told(stack: Stack) -> list[tuple[int, str]]:
    return [(frame.address, frame.function) for frame in stack.frames or ()]


def test_frames_that_tail_calls_removed_are_put_back(world: World) -> None:
    nap_between(world)
    world.addresses.want(1, RawStack(SLEEPS, ""))
    app, lib = world.asked.modules
    assert world.pairs() == [[(app, 0x101F, lib, 0x1010), (app, 0x102F, app, 0x101F)]]
    (stack,) = world.answered().values()
    assert told(stack) == TOLD
    assert stack.addresses == SLEEPS
    # the callers are known now, and what is between them and the innermost frame is not theirs
    world.addresses.want(2, RawStack((LIB + 0x28, *SLEEPS[1:]), ""))
    assert world.pairs() == [[(app, 0x101F, lib, 0x1028)]]
    (other,) = world.answered().values()
    assert told(other) == [(LIB + 0x28, "/lib/libc.so+0x1028"), *TOLD[3:]]
    assert told(world.addresses.want(3, RawStack(SLEEPS, ""))) == TOLD


def test_tail_calls_into_one_function_are_asked_for_once(world: World) -> None:
    nap_between(world)
    world.addresses.want(1, RawStack(SLEEPS, ""))
    world.answered()
    world.addresses.want(2, RawStack((LIB + 0x1F, *SLEEPS[1:]), ""))
    assert world.pairs() == []
    (stack,) = world.answered().values()
    assert told(stack) == [(LIB + 0x1F, "/lib/libc.so+0x101f"), *TOLD[1:]]


def test_refused_tail_calls_cost_only_themselves(world: World) -> None:
    world.addresses.want(1, RawStack(SLEEPS, ""))
    world.asked.answer(AskTails, Failed("it died"))
    (stack,) = world.answered().values()
    assert told(stack) == [TOLD[0], *TOLD[3:]]
    assert list(world.notes) == ["frames removed by tail calls are missing: it died"]


def test_tail_calls_are_kept_for_the_next_run(tmp_path: Path) -> None:
    sleeps = RawStack((APP + 0x10, APP + 0x20), "")
    world = World(code(APP, "/app"), cache=Cache(tmp_path / "hud" / "modules"))
    (app,) = world.asked.modules
    nap = Recovered(app, 0x1100, (Frame(0, "nap", module="/app", recovered=True),))
    world.between[app, 0x101F, app, 0x1010] = [nap]
    world.addresses.want(1, sleeps)
    world.answered()
    world.addresses.keep_names()
    again = World(code(APP, "/app"), cache=Cache(tmp_path / "hud" / "modules"))
    again.addresses.want(1, sleeps)
    assert again.pairs() == again.offsets() == []
    (stack,) = again.filled().values()
    assert told(stack)[1] == (APP + 0x100, "nap")
    again.addresses.want(2, RawStack((APP + 0x18, APP + 0x20), ""))
    assert again.pairs() == []  # the same function
    again.addresses.want(3, RawStack((APP + 0x28, APP + 0x20), ""))
    assert len(again.pairs()) == 1


# --------------------------------------------------------------------------- the real resolver


def test_names_of_this_process_from_the_real_resolver() -> None:
    def open_mapping(mapping: Mapping) -> int:
        return os.open("/proc/self/exe", os.O_RDONLY)

    with Resolver() as resolver:
        path = str(Path(sys.executable).resolve())
        mine = [mapping for mapping in read_mappings(os.getpid()) if mapping.path == path]
        pc = next(mapping.start for mapping in mine if mapping.executable) + 0x20
        notes = Notes()
        addresses = Addresses(resolver, open_mapping, lambda: mine, notes=notes)
        addresses.refresh()
        addresses.want(1, RawStack((pc, 0x10), "no unwind rule"))
        (stack,) = named(resolver, addresses, 1)
        assert stack.frames is not None
        assert stack.frames[0].module == path
        assert stack.frames[0].address == pc
        assert stack.frames[-1] == Frame(0x10)
        assert resolver.run_until(lambda: not addresses.modules.pending_unwind, PATIENCE_S)
        assert list(notes) == []

        # a dead resolver costs names, and is said once for each request
        os.kill(resolver.pid, 9)
        addresses.want(2, RawStack((pc + 8,), ""))
        (stack,) = named(resolver, addresses, 2)
        assert stack.frames is not None
        assert [(f.module, f.address) for f in stack.frames] == [(path, pc + 8)]
        assert addresses.unnamed == 1
        assert "SIGKILL" in next(iter(notes))


def named(resolver: Resolver, addresses: Addresses, key: int) -> list[Stack]:
    batch = Batch()

    def done() -> bool:
        addresses.fill(batch)
        return key in batch.stacks

    assert resolver.run_until(done, PATIENCE_S)
    return list(batch.stacks.values())
