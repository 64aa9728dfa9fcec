"""How often exact mode may be attached: pure decisions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.profiler.exact import cpu_times, used
from hud.profiler.exact.governor import (
    SWITCH_NS,
    Decision,
    Measurement,
    Mode,
    cost_ns,
    decide,
)

MS = 1_000_000
LIMIT = 0.03


def reading(burden: float, *, attached_ms: int = 100, busy: float = 1.0) -> Measurement:
    """The workers used ``busy`` CPUs, ``burden`` of that for the probes."""
    cpu = attached_ms * MS * busy
    return Measurement(attached_ms * MS, round(cpu * burden), round(cpu))


@pytest.mark.parametrize("mode", [Mode.EVERY, Mode.BURSTS])
def test_a_bearable_cost_is_borne_all_the_time(mode: Mode) -> None:
    assert decide(reading(0.02), LIMIT, mode) == Decision(Mode.EVERY)


def test_bursts_end_only_well_below_the_limit() -> None:
    assert decide(reading(0.028), LIMIT, Mode.EVERY).mode is Mode.EVERY
    assert decide(reading(0.028), LIMIT, Mode.BURSTS).mode is Mode.BURSTS


def test_a_burst_and_its_pause_cost_what_is_allowed() -> None:
    plan = decide(reading(0.6), LIMIT, Mode.BURSTS)
    assert plan.mode is Mode.BURSTS
    period = 100 * MS + plan.pause_ns
    assert (60 * MS + SWITCH_NS) / period == pytest.approx(LIMIT, rel=0.001)


def test_what_nobody_feels_is_allowed_however_idle_the_target_is() -> None:
    idle = Measurement(500 * MS, 400_000, 1_000_000)  # 0.08 % of a CPU, 40 % of its own time
    assert decide(idle, LIMIT, Mode.EVERY) == Decision(Mode.EVERY)


def test_bursts_too_rare_to_tell_anything_end_it_for_good() -> None:
    assert decide(reading(0.9), 0.001, Mode.BURSTS) == Decision(Mode.OFF)
    assert decide(reading(0.0), LIMIT, Mode.OFF) == Decision(Mode.OFF)
    assert decide(reading(0.0), 0.0, Mode.BURSTS) == Decision(Mode.OFF)


def test_workers_that_vanish_meanwhile_do_not_end_it() -> None:
    odd = Measurement(100 * MS, 5 * MS, 0)
    assert odd.overhead == 1.0
    assert decide(odd, LIMIT, Mode.EVERY).mode is Mode.BURSTS


def test_stepped_instructions_cost_more() -> None:
    assert cost_ns(1000, 0, 300) == 1_000_000
    assert cost_ns(0, 1000, 300) == 9_300_000


@given(
    st.integers(10**6, 10**10),
    st.integers(0, 10**11),
    st.integers(0, 10**12),
    st.floats(0, 1),
    st.sampled_from(Mode),
)
def test_no_reading_costs_more_than_allowed(
    attached: int, cost: int, cpu: int, limit: float, mode: Mode
) -> None:
    found = Measurement(attached, cost, cpu)
    plan = decide(found, limit, mode)
    assert plan.pause_ns >= 0
    if plan.mode is Mode.EVERY:
        assert found.overhead <= limit or cost <= 0.001 * attached
    if plan.mode is Mode.BURSTS:
        # at the same rate of work, over burst and pause
        work = max(cpu, cost) / attached * (attached + plan.pause_ns)
        assert cost <= limit * work * 1.001 + 1_000


def test_cpu_time_of_workers_that_come_and_go(tmp_path: Path) -> None:
    def write(tid: int, ns: int) -> None:
        home = tmp_path / "9" / "task" / str(tid)
        home.mkdir(parents=True, exist_ok=True)
        (home / "schedstat").write_text(f"{ns} 5 7\n")

    write(1, 100)
    write(2, 1000)
    before = cpu_times(9, [1, 2], tmp_path)
    assert before == {1: 100, 2: 1000}
    write(1, 150)
    write(3, 9000)
    after = cpu_times(9, [1, 3], tmp_path)  # 2 is gone, 3 is new
    assert used(before, after) == 50


def test_without_workers_the_whole_process_counts() -> None:
    before = cpu_times(os.getpid(), [])
    sum(range(200_000))
    after = cpu_times(os.getpid(), [])
    assert used(before, after) > 0
