"""One worker: all of its time, its blockers, its latest long polls."""

from __future__ import annotations

from draw import text_of
from screen_build import HASH, RICH, SAVE, WORKERS, S, snapshot

from hud.analysis.results import WorkerUse
from hud.tui.glyphs import UNICODE
from hud.tui.state import UiState
from hud.tui.views import worker

KNOWN = snapshot(**RICH)


def pane(use: WorkerUse | None, width: int = 120, height: int = 16) -> list[str]:
    return text_of(worker.pane(use, KNOWN, UiState(), (width, height)))


def test_its_blockers_have_their_time_on_it_and_no_other() -> None:
    lines = [line[:59] for line in pane(WORKERS[2])]
    first = next(at for at, line in enumerate(lines) if line.startswith(" blockers"))
    assert lines[first].split()[1:4:2] == ["3.5s", "cpu"]
    assert "hash_password" in lines[first]
    assert lines[first + 1].strip() == "", "the others were on W0 alone"


def test_its_polls_are_its_own_the_latest_first() -> None:
    lines = [line[60:] for line in pane(WORKERS[1])[1:]]
    times = [line.split()[0] for line in lines if line.strip()]
    mine = [one for one in KNOWN.timeline if one.tid == WORKERS[1].worker.tid]
    assert len(times) == 15
    assert times == sorted(times, reverse=True)
    assert times[0] == f"02:{(mine[-1].start_ns - KNOWN.info.start_monotonic_ns) / S - 120:06.3f}"


def test_on_a_narrow_terminal_they_stand_below() -> None:
    lines = pane(WORKERS[0], 80, 20)
    titles = [line for line in lines if line.startswith("── ")]
    assert titles[0].startswith("── W0 demo-worker-0, tid 22969 ─")
    assert titles[1].startswith("── its latest long polls ─")


def test_without_one_there_is_a_line() -> None:
    assert pane(None)[0] == "─" * 120


def test_bars_are_to_the_scale_of_the_first() -> None:
    lines = text_of(worker.weighed([(4 * S, HASH), (S, SAVE)], 80, UNICODE))
    assert [line.count("█") for line in lines] == [10, 2]
    assert lines[0].split()[-1] == "bcrypt::hash"
