"""What the lines above every view say."""

from __future__ import annotations

from dataclasses import replace

from draw import GoldenCheck, drawn, text_of
from screen_build import (
    INFO,
    MS,
    S,
    on_rung,
    snapshot,
)

from hud.model import (
    Rung,
)
from hud.tui.actions import Act, Show
from hud.tui.frame import compose
from hud.tui.settle import settle
from hud.tui.state import Size, UiState


def test_another_rung_and_an_end(golden: GoldenCheck) -> None:
    seen = on_rung(
        Rung.NAMES, "12 threads named api-N", live=False, ended="target exited (status 0)"
    )
    golden("ended-names-100x24", drawn(seen, Size(100, 24)))


def test_header_status() -> None:
    wide = Size(120, 32)
    assert text_of(drawn(snapshot(), wide))[0].endswith(" LIVE")
    assert text_of(drawn(snapshot(), wide, Act.PAUSE))[0].endswith(" PAUSED")
    ended = text_of(drawn(snapshot(live=False, ended="target exited (status 0)"), wide))[0]
    assert ended.endswith("  ENDED: target exited (status 0)")
    assert "LIVE" not in ended


def test_an_ended_run_still_had_workers() -> None:
    gone = tuple(replace(use, alive=False) for use in snapshot().workers)
    seen = snapshot(live=False, workers=gone, ended="target exited (status 0)")
    assert f"{len(gone)} workers" in text_of(drawn(seen, Size(120, 32)))[0]
    heads = text_of(drawn(seen, Size(80, 24), Show("workers")))[4].split()
    assert heads[:2] == ["tid", "poll"], "nothing is going on now"
    assert heads[-2:] == ["time", "longest"]


def test_filters_are_told_where_they_hold() -> None:
    acts = (Act.FILTER_CAUSE, Act.FILTER_WORKER)
    assert "seen on W0" in text_of(drawn(snapshot(), Size(140, 32), *acts))[2]
    assert "seen on W0" in text_of(drawn(snapshot(), Size(140, 32), *acts, Show("timeline")))[2]
    assert "only" not in text_of(drawn(snapshot(), Size(140, 32), *acts, Show("workers")))[2]


def test_the_latest_note_is_the_one_in_the_header() -> None:
    seen = snapshot(info=replace(INFO, notes=("no debug info", "the symbol resolver died")))
    line = text_of(drawn(seen, Size(100, 30)))[3]
    assert line.strip() == "the symbol resolver died  (1 more: ?)"


def test_a_changed_threshold_is_told_in_the_header() -> None:
    before = snapshot()
    state = settle(UiState(), before)
    lower = snapshot(info=replace(INFO, threshold_ns=MS), elapsed_ns=200 * S)
    head = text_of(compose(lower, settle(state, lower), Size(130, 32)))[0]
    assert "at least 1 ms  (5 ms until 00:03:20)" in head
    assert "until" not in text_of(compose(before, state, Size(130, 32)))[0]


def test_the_window_and_the_threshold_stay_on_a_narrow_terminal() -> None:
    """They say what the figures mean; Tokio's version does not."""
    short = snapshot(info=replace(INFO, window_ns=30 * S))
    head = text_of(compose(short, settle(UiState(), short), Size(80, 24)))[0]
    assert "window 30 s" in head
    assert "at least 5 ms" in head
    assert "tokio" not in head
