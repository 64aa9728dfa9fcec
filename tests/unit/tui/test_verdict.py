"""The sentences at the top of the screen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from draw import drawn, text_of
from screen_build import (
    INFO,
    MS,
    QUIET,
    STUCK,
    S,
    on_rung,
    snapshot,
    worker,
)

from hud.model import (
    Rung,
    Where,
)
from hud.tui.state import Size
from hud.tui.verdict import caveats, verdict


def test_a_stuck_worker_takes_the_verdict() -> None:
    assert verdict(snapshot(workers=STUCK)) == [
        "W2 has been in one poll for 4.2 s: store::Index::save (fsync)",
        "34 % of worker time was blocked, in 349 long polls.",
    ]
    before = STUCK[2]._replace(state=replace(STUCK[2].state, began_before=True))
    assert verdict(snapshot(workers=(before,)))[0] == (
        "W2 has been in one poll for 4.2 s, since before hud attached: store::Index::save (fsync)"
    )


def test_a_spinner_is_named_and_the_number_of_the_others_comes_first() -> None:
    two = (*STUCK[:3], worker(3, Where.POLL, 9 * S, running=True))
    said = "W3 has been in one poll for 9 s: api::login::hash_password (cpu)"
    assert verdict(snapshot(workers=two))[0] == f"2 workers are stuck: {said}"
    narrow = ((60, "for 9 s"), (80, "for 9 s: ...gin::hash_password (cpu)"))
    for width, ends in narrow:
        line = text_of(drawn(snapshot(workers=two), Size(width, 24)))[1]
        assert line.startswith("  STUCK  2 workers: W3 has been in one poll for 9 s")
        assert line.rstrip().endswith(ends), line


@pytest.mark.parametrize(
    ("use", "stuck"),
    [
        (worker(0, Where.POLL, 999 * MS), False),
        (worker(0, Where.POLL, 1_000 * MS), True),
        (worker(0, Where.ROOT, 1_000 * MS), True),
        (worker(0, Where.ALLOWED, 60 * S), False),
        (worker(0, Where.POLL, 60 * S)._replace(alive=False), False),
    ],
)
def test_who_is_stuck(use: Any, stuck: bool) -> None:
    assert verdict(snapshot(workers=(use,)))[0].startswith("W0") is stuck


def test_who_was_stuck_at_the_end_is_told() -> None:
    said = verdict(snapshot(workers=STUCK, live=False, ended="detached"))[0]
    assert said == ("W2 was in a poll that has not ended, 4.2 s so far: store::Index::save (fsync)")


def test_nobody_is_stuck_below_the_threshold() -> None:
    patient = replace(INFO, threshold_ns=5 * S)
    assert "%" in verdict(snapshot(workers=STUCK, info=patient))[0]


def test_a_stuck_worker_without_a_blocker_is_named_by_its_stack() -> None:
    words = verdict(snapshot(workers=STUCK, blockers=()))
    assert words[0] == "W2 has been in one poll for 4.2 s: store::Index::save (fsync)"


def test_nothing_found_is_an_answer() -> None:
    assert verdict(snapshot(**QUIET)) == [
        "No poll of 5 ms or more in 2 min 14 s; the longest was 3.1 ms.",
        "t lowers the threshold.",
    ]
    assert verdict(
        snapshot(**{**QUIET, "longest_poll_ns": 0}, info=replace(INFO, threshold_ns=MS))
    ) == ["No poll of 1 ms or more in 2 min 14 s."]
    assert verdict(snapshot(**QUIET, workers=())) == ["No worker was seen yet."]


def test_without_context_polls_are_not_seen() -> None:
    for rung in (Rung.STACKS, Rung.NAMES, Rung.LATENCY):
        seen = on_rung(rung, "because", **QUIET)
        assert caveats(seen)[0].startswith(f"Polls are not seen ({rung.name}). ")
        assert caveats(seen)[0].endswith(" Why: because.")
        assert f"polls not seen ({rung.name})" in "\n".join(text_of(drawn(seen, Size(80, 24))))
        assert "poll" not in verdict(seen)[0]
    latency = on_rung(Rung.LATENCY, "", **QUIET)
    assert verdict(latency) == [
        "No worker is known: only waits for a CPU were seen, 3 of 5 ms or more in 2 min 14 s."
    ]
