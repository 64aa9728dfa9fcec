"""Workers that wait for each other's locks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.analysis import standoff
from hud.analysis.advice.advise import advise
from hud.analysis.cause import Cause
from hud.analysis.snapshot import Analyzer
from hud.model import Where

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.results import Snapshot


def _waiting_for(build: ModuleType, locks: tuple[int, ...]) -> Snapshot:
    """A worker each, asleep for 7 s on the lock at that address."""
    recording = build.empty_recording()
    start, now = build.START_NS, build.START_NS + 7 * build.SECOND
    states = []
    for tid, lock in zip(build.TIDS, locks, strict=False):
        state = build.state(
            tid,
            where=Where.POLL,
            since_ns=start,
            poll_start_ns=start,
            asleep_stack=build.CACHE,
            syscall=build.FUTEX,
        )
        states.append(replace(state, argument=lock))
    recording.set_states(states, now)
    return Analyzer(recording, machine="x86_64").snapshot(now, True)


def test_two_that_wait_for_each_other_are_told_so(build: ModuleType) -> None:
    snapshot = _waiting_for(build, (0x1000, 0x2000))
    assert snapshot.standoff is not None
    assert standoff.in_words(snapshot.standoff) == (
        "W0 and W1 seem to wait for each other: asleep on 2 locks for 7 s, and nobody releases one."
    )
    (row,) = snapshot.blockers
    assert row.cause is Cause.LOCK
    text = advise(row, snapshot.stacks).text
    assert "same order" in text
    assert "do less" not in text


def test_each_of_them_is_told_what_to_do(build: ModuleType) -> None:
    snapshot = _waiting_for(build, (0x1000, 0x2000))
    for episode in snapshot.lasting:
        stack = snapshot.stacks[episode.stack]
        assert standoff.fix_of(episode, snapshot.standoff, stack) == standoff.FIX
        assert standoff.fix_of(episode, None, stack).startswith("find who holds this lock")
        ended = replace(episode, in_progress=False)
        assert standoff.fix_of(ended, snapshot.standoff, stack) == ""


def test_two_in_one_queue_are_no_standoff(build: ModuleType) -> None:
    snapshot = _waiting_for(build, (0x1000, 0x1000))
    assert snapshot.standoff is None
    (row,) = snapshot.blockers
    text = advise(row, snapshot.stacks).text
    assert text == "find who holds this lock: nobody has released it for 7 s so far"
