"""What a worker does now, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from screen_build import MS, RICH, STUCK, WORKERS, snapshot, worker

from hud.analysis.results import WorkerUse
from hud.model import Where
from hud.tui.doing import now


def said(use: WorkerUse, **changes: object) -> tuple[str, str]:
    seen = snapshot(workers=(use,), **changes)
    return now(seen.workers[0], seen)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (WORKERS[0], "in a poll 3.2ms"),
        (WORKERS[1], "parked"),
        (WORKERS[2], "between polls"),
        (WORKERS[3], "allowed to block"),
        (worker(0, Where.ROOT), "block_on"),
        (worker(0, Where.POLL), "in a poll"),
        (WORKERS[1]._replace(alive=False), "gone"),
        (WORKERS[1]._replace(state=None), ""),
    ],
)
def test_in_words(use: WorkerUse, words: str) -> None:
    assert said(use)[0] == words


def test_a_long_poll_is_named_by_its_code_in_the_hue_of_its_cause() -> None:
    assert said(worker(0, Where.POLL, 17 * MS, True)) == ("login::hash_password 17ms", "cause.cpu")


def test_a_stuck_one_is_an_alarm() -> None:
    assert said(STUCK[2]) == ("STUCK Index::save 4.2s", "alarm")
    before = STUCK[2]._replace(state=replace(STUCK[2].state, began_before=True))
    assert said(before)[0] == "STUCK Index::save 4.2s+"


def test_a_short_poll_is_named_by_its_task() -> None:
    use = worker(0, Where.POLL, MS)
    assert use.state is not None
    known = use._replace(state=replace(use.state, task_id=17))
    assert said(known, tasks=RICH["tasks"])[0] == "login::{async fn} 1.0ms"
    assert said(known)[0] == "task 17 1.0ms"


def test_once_the_run_is_over_there_is_no_now() -> None:
    assert said(WORKERS[1], live=False) == ("", "")


def test_the_name_gives_way() -> None:
    seen = snapshot(workers=STUCK)
    text, _ = now(seen.workers[2], seen, 22)
    assert len(text) <= 22
    assert text.startswith("STUCK ")
    assert text.endswith(" 4.2s")
