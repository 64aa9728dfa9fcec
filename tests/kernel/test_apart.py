"""What the kernel programs say of polls where Tokio keeps no ids (before 1.22)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from polling import Ran

from hud.model import Kind, SampleFlag, Where

pytestmark = pytest.mark.kernel

MULTI = {"task_id": -1, "current": -1}
CURRENT = {"task_id": -1, "current": 40, "kinds": 2, "tick_multi": -1, "tick_current": 104}


@pytest.mark.parametrize("layout", [MULTI, CURRENT], ids=["multi_thread", "current_thread"])
@pytest.mark.parametrize("kind", ["sleep", "back to back"])
def test_polls_are_told_apart_by_the_tick(
    run: Callable[..., Ran], kind: str, layout: dict[str, int]
) -> None:
    ran = run(kind, 12_000, seconds=0.8, **layout)
    told = ran.of(Kind.POLL)
    assert len(ran.polls) > 10
    assert abs(len(told) - len(ran.polls)) <= 2
    assert {(sample.where, sample.task_id) for sample in told} == {(Where.POLL, 0)}
    assert not any(sample.flags & SampleFlag.TICK_UNKNOWN for sample in told)
    lengths = sorted(sample.duration_ns for sample in told)
    assert 11_000_000 < lengths[len(lengths) // 2] < 20_000_000


@pytest.mark.parametrize(("layout", "each_ns"), [(MULTI, 12_000_000), (CURRENT, 36_000_000)])
def test_polls_of_one_turn_of_a_worker_are_told_apart_by_the_budget(
    run: Callable[..., Ran], layout: dict[str, int], each_ns: int
) -> None:
    """current_thread polls one task in a turn."""
    told = run("one turn", 12_000, seconds=0.8, **layout).of(Kind.POLL)
    assert len(told) > 5
    lengths = sorted(sample.duration_ns for sample in told)
    assert each_ns * 0.9 < lengths[len(lengths) // 2] < each_ns * 1.5


def test_root_future_drives_no_scheduler(run: Callable[..., Ran]) -> None:
    # where there is never anything but 0
    told = run("root", 12_000, seconds=0.8, **MULTI, scheduler=0).of(Kind.POLL)
    assert len(told) > 10
    assert {(sample.where, sample.task_id) for sample in told} == {(Where.ROOT, 0)}


@pytest.mark.parametrize("kind", ["parked", "driver", "allowed", "without core"])
def test_what_is_no_blocker_is_not_told(run: Callable[..., Ran], kind: str) -> None:
    ran = run(kind, 12_000, seconds=0.8, **MULTI)
    assert {Kind(sample.kind) for sample in ran.samples} <= {Kind.LATENCY}
    assert ran.probe.counters.context_read > 50
    allowed = sum(state.split.allowed_ns for state in ran.states)
    assert (allowed > 200_000_000) == (kind in ("allowed", "without core"))


def test_polls_whose_tick_has_no_known_place_are_unknown(run: Callable[..., Ran]) -> None:
    ran = run("sleep", 12_000, seconds=0.8, **MULTI, tick_multi=-1)
    assert not ran.of(Kind.POLL)
    assert sum(state.split.unknown_asleep_ns for state in ran.states) > 200_000_000
