"""What each worker does, in words: no more than was seen."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))

from screen_build import (
    MS,
    NOW,
    RICH,
    STUCK,
    TASKS,
    S,
    on_rung,
    snapshot,
    worker,
)

from hud.commands.doing import Doing, as_data, doings, lines, sentence
from hud.model import Rung, Where


def only(use: Any, **changes: Any) -> Doing:
    (found,) = doings(snapshot(workers=(use,), **changes))
    return found


def test_each_state_has_its_words() -> None:
    asleep_ns = {"since_ns": NOW - 340 * MS}
    for where, running, said in (
        (Where.RUNTIME, False, "parked for 340 ms"),
        (Where.RUNTIME, True, "between polls, on a CPU"),
        (Where.ALLOWED, True, "in spawn_blocking or block_in_place, on a CPU for 340 ms"),
        (Where.FOREIGN, False, "outside the runtime, asleep for 340 ms"),
        (
            Where.UNKNOWN,
            False,
            "asleep for 340 ms; what it does is not known: Tokio's state cannot be read",
        ),
    ):
        use = worker(0, where, running=running)
        assert use.state is not None
        use = use._replace(state=replace(use.state, **asleep_ns))
        assert sentence(only(use)) == said


def test_a_long_poll_has_its_time_its_cause_and_its_stack() -> None:
    found = doings(snapshot(workers=STUCK, **{**RICH, "blockers": ()}))
    stuck = found[2]
    assert sentence(stuck) == "in a poll for 4.2 s, asleep (fsync)"
    text = list(lines(stuck, unfold=False))
    assert text[0].split()[:4] == ["W2", "demo-worker-2", "22971", "in"]
    (blamed,) = [line for line in text if line.endswith("<- blocks here")]
    assert "store::Index::save" in blamed
    assert "src/store.rs:143" in blamed
    assert any(line.endswith("6 frames of libc, tokio 1.54.1, std") for line in text)
    unfolded = list(lines(stuck, unfold=True))
    assert len(unfolded) > len(text)
    assert any("tokio::runtime::task::raw::poll" in line for line in unfolded)


def test_a_poll_without_a_stack_says_so() -> None:
    short = only(worker(0, Where.POLL, 300_000, running=True))
    assert sentence(short) == "in a poll for 300 us, on a CPU"
    assert list(lines(short, unfold=False))[1].strip() == "no stack was caught in this poll"


def test_what_began_before_the_attach_lasts_longer_than_is_known() -> None:
    use = worker(0, Where.POLL, 2 * S)
    assert use.state is not None
    use = use._replace(state=replace(use.state, began_before=True))
    assert sentence(only(use)).startswith("in a poll for more than 2 s, asleep")


def test_a_worker_that_waits_for_a_cpu_says_how_long() -> None:
    use = worker(0, Where.POLL, 20 * MS, running=True)
    assert use.state is not None
    waiting = replace(use.state, running=False, runnable=True, since_ns=NOW - 3 * MS)
    assert " ready, without a CPU for 3 ms" in sentence(only(use._replace(state=waiting)))


def test_the_type_of_the_task_where_it_is_known() -> None:
    found = Doing(
        STUCK[0].worker, "poll", "on a CPU", poll_ns=S, task_id=7, task=TASKS[0].kind.name
    )
    assert sentence(found) == "in a poll of api::login::{async fn} (task 7) for 1 s, on a CPU"


def test_a_worker_that_never_woke_is_parked_only_where_polls_are_seen() -> None:
    use = worker(0, Where.RUNTIME)._replace(state=None)
    assert sentence(only(use)) == "parked, since before hud attached"
    (found,) = doings(on_rung(Rung.NAMES, "no CONTEXT", workers=(use,)))
    assert sentence(found) == "asleep since before hud attached; in what is not known"
    assert sentence(only(use._replace(alive=False))) == "has ended"


@pytest.mark.parametrize("number", range(4))
def test_data_have_null_for_what_is_not_known(number: int) -> None:
    found = doings(snapshot(workers=STUCK, **{**RICH, "blockers": ()}))[number]
    data = as_data(found)
    assert data["worker"] == number
    assert (data["poll_us"] is None) == (found.what != "poll")
    assert (data["stack"] is None) == (found.stack is None)
    assert data["detail"] is None
    if found.stack is not None and found.stack.frames:
        assert len(data["stack"]) == len(found.stack.frames)


def test_an_incomplete_stack_says_where_it_ends() -> None:
    found = doings(snapshot(workers=STUCK, **{**RICH, "blockers": ()}))[2]
    assert found.stack is not None
    cut = replace(found.stack, complete=False, stop="no unwind rule")
    said = list(lines(found._replace(stack=cut), unfold=False))
    assert said[-1].strip() == "... the rest is not known (no unwind rule)"
