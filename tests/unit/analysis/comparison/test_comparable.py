"""Runs that were not seen alike are not compared, and it is said why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hud.analysis.comparison.comparable import why_not
from hud.analysis.results import Snapshot
from hud.model import Detection, Losses, Rung
from tests.builders.services import Blocks, run

CODE = {"api::a": Blocks(8, 20)}


@pytest.fixture(scope="module")
def one() -> Snapshot:
    return run(CODE, seed=1)


def changed(snapshot: Snapshot, **info: object) -> Snapshot:
    return replace(snapshot, info=replace(snapshot.info, **info))  # type: ignore[arg-type]


def busy(snapshot: Snapshot, share: float) -> Snapshot:
    each = round(share * snapshot.span_ns)
    return replace(
        snapshot,
        workers=tuple(
            use._replace(split=use.split._replace(runtime_ns=each)) for use in snapshot.workers
        ),
    )


def test_two_like_runs(one: Snapshot) -> None:
    assert why_not(one, run(CODE, seed=2)) == ()


def test_too_short(one: Snapshot) -> None:
    short = run(CODE, seed=2, seconds=1)
    assert why_not(short, one) == ("before: 1 s is too short",)
    assert why_not(one, short) == ("after: 1 s is too short",)


def test_lost_events(one: Snapshot) -> None:
    (said,) = why_not(one, replace(one, losses=Losses(ring_full=3)))
    assert said == "after: 3 events or threads were lost"


def test_seen_in_other_ways(one: Snapshot) -> None:
    (said,) = why_not(one, changed(one, detection=Detection(Rung.STACKS, "stripped")))
    assert "different ways" in said


def test_other_thresholds(one: Snapshot) -> None:
    (said,) = why_not(one, changed(one, threshold_ns=1_000_000))
    assert said == "the thresholds differ: 5 ms and 1 ms"


def test_more_pressure(one: Snapshot) -> None:
    pressed = replace(one, waiting_ns=round(0.2 * one.worker_time_ns))
    (said,) = why_not(one, pressed)
    assert said == "the workers waited for a CPU 0 % of the time, then 20 %"


def test_other_load(one: Snapshot) -> None:
    assert why_not(busy(one, 0.1), busy(one, 0.25)) == ()
    (said,) = why_not(busy(one, 0.1), busy(one, 0.4))
    assert said == "the load differs: besides the blockers the workers worked 10 %, then 40 %"
    assert why_not(busy(one, 0.001), busy(one, 0.04)) == ()
