"""What is kept from frame to frame is what would be made now: whatever came in, was pressed, and
however large the terminal is, a frame is the one that is drawn from nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from pressing import press

from hud.analysis.recording import Recording
from hud.analysis.results import Snapshot
from hud.analysis.snapshot import Analyzer
from hud.model import Stack, TimeSplit, Where
from hud.tui import cells
from hud.tui.cache import IdentityCache, OfEach, kept
from hud.tui.frame import compose
from hud.tui.glyphs import ASCII, UNICODE
from hud.tui.settle import settle
from hud.tui.state import Size, UiState
from hud.tui.style import Line
from tests.builders import sample_recording as build

Change = Callable[["Run"], None]
LATE = 0x77
"""A stack whose names come late."""
KEYS = (
    *("1", "2", "3", "4", "5", "6", "up", "down", "end", "home", "tab", "enter", "esc", "space"),
    *("s", "g", "f", "W", "z", "c", "+", "-", "left", "right", "d", "?", "/", "a", "w", "3"),
)
SIZES = (Size(60, 15), Size(80, 24), Size(100, 30), Size(120, 36), Size(160, 50), Size(40, 10))


class Run:
    """A run that goes on, and the screen that shows it."""

    def __init__(self) -> None:
        self.recording: Recording = build.empty_recording()
        late = build.STACKS[build.CACHE]
        self.recording.add_stack(LATE, Stack(late.addresses, late.complete))
        self.analyzer = Analyzer(self.recording)
        self.now_ns = build.START_NS
        self.polling: dict[int, int] = {}
        self.state = UiState()
        self.size = SIZES[3]

    def look(self) -> None:
        """A quarter of a second later, without a screen."""
        self.now_ns += 250 * build.MS
        self.recording.set_states([self._thread(tid) for tid in build.TIDS], self.now_ns)
        self.analyzer.absorb(self.now_ns)

    def _thread(self, tid: int) -> object:
        begun = self.polling.get(tid, 0)
        passed = self.now_ns - build.START_NS
        split = TimeSplit(poll_cpu_ns=passed // 7 * (tid % 3), parked_ns=passed // 2)
        where = Where.POLL if begun else Where.RUNTIME
        return build.state(tid, where=where, running=bool(begun), poll_start_ns=begun, split=split)

    def snapshot(self) -> Snapshot:
        return self.analyzer.snapshot(self.now_ns, live=True)


class Blocks(NamedTuple):
    """A worker blocks in a stack, for some ms."""

    worker: int
    stack: int
    ms: int

    def __call__(self, run: Run) -> None:
        tid, length = build.TIDS[self.worker], self.ms * build.MS
        start = run.now_ns
        poll = build.poll(tid, start, length, asleep_ns=length, task_id=self.ms)
        run.recording.add_samples(
            [build.asleep(tid, start + length, length, self.stack, start, build.FUTEX), poll]
        )
        run.now_ns += length
        run.polling.pop(tid, None)


class Begins(NamedTuple):
    """A poll that does not end."""

    worker: int

    def __call__(self, run: Run) -> None:
        run.polling.setdefault(build.TIDS[self.worker], run.now_ns)


def names_come(run: Run) -> None:
    run.recording.add_stack(LATE, build.STACKS[build.CACHE])


class Window(NamedTuple):
    seconds: int

    def __call__(self, run: Run) -> None:
        run.recording.set_window(self.seconds * build.SECOND)


class Pressed(NamedTuple):
    key: str

    def __call__(self, run: Run) -> None:
        run.state, _ = press(run.state, run.snapshot(), self.key)


class Resized(NamedTuple):
    size: Size

    def __call__(self, run: Run) -> None:
        run.size = self.size


class Theme(NamedTuple):
    coloured: bool
    unicode: bool

    def __call__(self, run: Run) -> None:
        glyphs = UNICODE if self.unicode else ASCII
        run.state = replace(run.state, coloured=self.coloured, glyphs=glyphs)


WORKERS = st.integers(0, len(build.TIDS) - 1)
STACKS = st.sampled_from([*build.STACKS, LATE])
PRESSED = st.sampled_from(KEYS).map(Pressed)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(Blocks, WORKERS, STACKS, st.integers(5, 90)),
    st.builds(Begins, WORKERS),
    st.just(names_come),
    st.just(Run.look),
    st.integers(1, 3).map(Window),
    PRESSED,
    PRESSED,
    st.sampled_from(SIZES).map(Resized),
    st.builds(Theme, st.booleans(), st.booleans()),
)


def caches() -> list[Callable[[], None]]:
    """What empties each cache of hud's."""
    wrapper = type(lru_cache(len))
    known = gc.get_objects()
    kept_ones = [one._known.clear for one in known if type(one) in (IdentityCache, OfEach)]
    wrapped = [one for one in known if type(one) is wrapper and one.__module__.startswith("hud.")]
    return [*kept_ones, *(one.cache_clear for one in wrapped)]


EMPTY = caches()


def from_nothing(seen: Snapshot, state: UiState, size: Size) -> list[Line]:
    for empty in EMPTY:
        empty()
    cells._cells[0] = cells.Cells(0, 1, range(0), 0)
    return compose(seen, settle(replace(state, rows=()), seen), size)


@settings(max_examples=25, deadline=None)
@given(st.lists(CHANGES, min_size=2, max_size=14))
def test_a_frame_is_the_one_that_is_drawn_from_nothing(changes: list[Change]) -> None:
    run, again = Run(), Run()
    for change in changes:
        change(run)
        run.look()
        seen = run.snapshot()
        run.state = settle(run.state, seen)
        frame = compose(seen, run.state, run.size)
        assert compose(seen, run.state, run.size) == frame
        assert from_nothing(seen, run.state, run.size) == frame
    for change in changes:
        if not isinstance(change, Pressed):
            change(again)
        again.look()
    if run.state.paused is None and run.state.opened is None:
        state = replace(run.state, threshold=(0, 0, 0))
        assert from_nothing(again.snapshot(), state, run.size) == frame


def test_a_result_is_that_of_the_same_value_and_equal_others() -> None:
    made: list[tuple[list[int], int]] = []

    @kept(2)
    def found(value: list[int], other: int = 0) -> int:
        made.append((value, other))
        return len(made)

    first, equal = [1], [1]
    assert [found(first), found(first), found(equal), found(first, 1)] == [1, 1, 2, 3]
    assert found(first) == 4, "no more than two are kept"


def test_of_many_values_the_new_ones_are_looked_at() -> None:
    made: list[str] = []
    holding = OfEach(lambda value, more: made.append(value[0]) or value[0] in more)
    values = [["a"], ["b"], ["c"]]
    assert holding.of(values, "ab") == [True, True, False]
    assert holding.of([["d"], *values], "ab") == [False, True, True, False]
    assert made == ["a", "b", "c", "d"]
    assert holding.of(values, "c") == [False, False, True], "something else for all of them"
    assert len(made) == 7
    for _ in range(9):
        holding.of([["e"]], "c")
    assert len(holding._known) <= 3, "what is gone is not kept"
