"""One long poll, and those around it."""

from __future__ import annotations

from dataclasses import replace

from draw import text_of
from screen_build import INFO, MS, NOW, RICH, S, episode, snapshot

from hud.analysis.cause import Cause
from hud.analysis.results import Episode, Snapshot
from hud.tui.glyphs import UNICODE
from hud.tui.state import UiState
from hud.tui.views import episode as view

KNOWN = snapshot(**RICH)


def pane(one: Episode | None, seen: Snapshot = KNOWN, width: int = 120) -> list[str]:
    return text_of(view.pane(one, seen, UiState(), width, 16))


def test_its_own_time_and_the_wait_stand_apart() -> None:
    waited = replace(episode(0, 0, S), duration_ns=80 * MS, on_cpu_ns=55 * MS, waiting_ns=25 * MS)
    lines = pane(waited)
    assert any("55 ms on the CPU, 25 ms without a CPU" in line for line in lines)
    (row,) = text_of(view.rows([waited], KNOWN, 80, UNICODE))
    assert row.split()[3:5] == ["55ms", "▒25ms"]


def test_a_wait_for_a_cpu_alone_has_no_hue() -> None:
    waited = episode(0, 0, S, cause=Cause.WAITING, on_cpu_ns=0, waiting_ns=66 * MS)
    (row,) = view.rows([waited], KNOWN, 80, UNICODE)
    assert not any(span.style.startswith("cause.") for span in row)
    assert "66ms" in "".join(span.text for span in row)


def test_doubts_are_said() -> None:
    begun = episode(0, 0, S, began_before=True, begin_uncertainty_ns=20_000, in_progress=True)
    said = "not ended yet; began before hud attached, so it was longer; known to within 20 us"
    assert any(said in line for line in pane(begun, width=200))


def test_those_around_it_are_of_other_workers_and_the_nearest() -> None:
    chosen = KNOWN.timeline[150]
    lines = pane(chosen)
    right = [line.partition("│")[2] for line in lines[1:]]
    assert not any(f" W{chosen.worker_id} " in line for line in right)
    times = [float(line.split()[0][3:]) for line in right]
    assert times == sorted(times)
    assert min(times) < (chosen.start_ns - KNOWN.info.start_monotonic_ns) / S % 60 < max(times)


def test_times_of_a_short_run_are_seconds_and_of_a_long_one_a_clock() -> None:
    one = episode(0, 0, 2 * S)
    assert view.moment(one, KNOWN) == "02:12.000"
    short = snapshot(elapsed_ns=8 * S, info=replace(INFO, start_monotonic_ns=NOW - 8 * S))
    assert view.moment(one, short) == "6.000 s"


def test_a_worker_that_was_not_held_up() -> None:
    assert "was not blocked" in pane(None)[1]


def test_the_frame_to_blame_is_marked() -> None:
    assert any("hash_password" in line and "◀" in line for line in pane(episode(0, 0, S)))
