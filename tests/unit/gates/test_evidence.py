"""When nothing found means nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis.recording import BREAKS_OFF
from hud.analysis.snapshot import Analyzer
from hud.gates.evidence import blind, lacks
from hud.gates.grammar import parse
from hud.model import Detection, Losses, Rung, TimeSplit

if TYPE_CHECKING:
    from hud.analysis.recording import Recording
    from hud.analysis.results import Snapshot


@pytest.fixture
def snapshot(sample_recording: Recording) -> Snapshot:
    return Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)


def test_a_whole_run_lacks_nothing(snapshot: Snapshot) -> None:
    sees = replace(snapshot.info, sample_period_ns=snapshot.info.threshold_ns)
    assert lacks(replace(snapshot, info=sees)) == []


def test_each_lack_is_said(snapshot: Snapshot) -> None:
    info = replace(snapshot.info, sample_period_ns=snapshot.info.threshold_ns)
    whole = replace(snapshot, info=info)
    stacks = replace(info, detection=Detection(Rung.NAMES, "names"))
    rare = replace(info, sample_period_ns=2 * info.threshold_ns)
    idle = tuple(one._replace(split=TimeSplit(parked_ns=9)) for one in whole.workers)
    cases = {
        "polls were not seen": replace(whole, info=stacks),
        "no worker": replace(whole, workers=()),
        "no poll was seen": replace(whole, workers=idle),
        "rarer than the threshold": replace(whole, info=rare),
        "990 ms is too short; at least 1 s": replace(whole, span_ns=990_000_000),
        "breaks off": replace(whole, ended=BREAKS_OFF),
        "held up for 2 s": replace(whole, unseen_ns=2_000_000_000),
        "events were lost": replace(whole, losses=Losses(ring_full=1)),
        "threads were not watched": replace(whole, losses=Losses(threads_full=1)),
        "could not always be read": replace(whole, losses=Losses(context_unreadable=1)),
        "not held one by one": replace(whole, losses=Losses(recording_full=1)),
    }
    for says, case in cases.items():
        (said,) = lacks(case)
        assert says in said


def test_a_stack_that_was_not_taken_hides_no_poll(snapshot: Snapshot) -> None:
    info = replace(snapshot.info, sample_period_ns=snapshot.info.threshold_ns)
    losses = Losses(stacks_skipped=3, stacks_full=1, symbols_late=2)
    assert lacks(replace(snapshot, info=info, losses=losses)) == []


def test_below_the_threshold_nothing_was_looked_for(snapshot: Snapshot) -> None:
    assert blind(parse("max>4ms"), snapshot).startswith("polls below 5 ms")
    assert blind(parse("max>5ms"), snapshot) == blind(parse("count>0"), snapshot) == ""
