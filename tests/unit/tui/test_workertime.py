"""Where a worker's time went."""

from __future__ import annotations

from screen_build import ELAPSED, MS, S, busy_worker, idle_worker, worker

from hud.analysis.cause import Cause
from hud.model import TimeSplit, Where
from hud.tui import workertime
from hud.tui.glyphs import UNICODE

USE = worker(0, Where.RUNTIME)._replace(
    split=TimeSplit(poll_cpu_ns=30 * S, waiting_ns=10 * S, parked_ns=60 * S),
    time_ns=100 * S,
    blocked_ns=20 * S,
    causes=((Cause.CPU, 15 * S), (Cause.LOCK, 5 * S)),
)


def test_shares_are_of_the_time_that_it_was_a_worker() -> None:
    assert workertime.blocked(USE) == 0.2
    assert workertime.waiting(USE) == 0.1
    never = USE._replace(time_ns=0)
    assert (workertime.blocked(never), workertime.waiting(never)) == (0.0, 0.0)


def test_the_parts_are_all_of_its_time() -> None:
    parts = workertime.parts(USE, True, UNICODE)
    assert sum(part.ns for part in parts) == USE.split.total_ns()
    assert {part.name: part.ns for part in parts if part.ns} == {
        "blocked": 20 * S,
        "no CPU": 10 * S,
        "short polls": 10 * S,
        "parked": 60 * S,
    }


def test_without_context_nobody_knows_what_was_a_poll() -> None:
    names = [part.name for part in workertime.parts(USE, False, UNICODE)]
    assert names == ["on the CPU", "no CPU", "asleep"]


def test_the_meter_is_to_scale_and_in_the_hues_of_the_causes() -> None:
    found = [(span.text, span.style) for span in workertime.meter(USE, True, 20, UNICODE)]
    assert found == [
        ("███", "cause.cpu"),
        ("█", "cause.lock"),
        ("▒▒", "wait"),
        ("▪▪", ""),
        ("·" * 12, "label"),
    ]


def test_time_that_is_not_known_is_blank() -> None:
    longer = USE._replace(time_ns=200 * S)
    meter = workertime.meter(longer, True, 20, UNICODE)
    assert sum(len(span.text) for span in meter) == 10


def test_who_slept_all_the_time() -> None:
    assert workertime.is_idle(idle_worker(0))
    assert not workertime.is_idle(busy_worker(0, 22)), "it worked without blocking"
    assert not workertime.is_idle(idle_worker(0)._replace(episodes=1))
    rare = TimeSplit(parked_ns=ELAPSED, runtime_ns=MS)
    assert workertime.is_idle(idle_worker(0)._replace(split=rare)), "100 %, as it is written"
    assert not workertime.is_idle(idle_worker(0)._replace(split=rare._replace(runtime_ns=S)))


def test_numbers_in_a_row_are_joined() -> None:
    uses = [idle_worker(number) for number in (0, 7, 8, 9, 10, 45, 46)]
    assert workertime.numbers(uses, "-") == "W0 W7-W10 W45 W46"
