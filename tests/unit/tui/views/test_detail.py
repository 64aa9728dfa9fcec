"""The selected blocker in few lines and in many."""

from __future__ import annotations

from dataclasses import replace

import pytest
from draw import GoldenCheck, style_of, text_of
from screen_build import GET, HASH, MS, RICH, SAVE, S, snapshot

from hud.analysis.results import Blocker, Snapshot
from hud.tui import groups
from hud.tui.glyphs import ASCII, UNICODE
from hud.tui.layout import width_of
from hud.tui.views import detail

KNOWN = snapshot(**RICH)
GROUP = groups.by_file([replace(one, file="src/a.rs") for one in KNOWN.blockers])[0]


def texts(
    blocker: Blocker = KNOWN.blockers[0], width: int = 76, height: int = 24, seen: Snapshot = KNOWN
) -> list[str]:
    return text_of(detail.view(seen, blocker, width, height, UNICODE))


@pytest.mark.parametrize("at", range(len(KNOWN.blockers)))
def test_it_has_the_size_it_is_given(at: int) -> None:
    for height in range(30):
        for width in (40, 60, 76, 120, 300):
            for one in (KNOWN.blockers[at], GROUP):
                lines = detail.view(KNOWN, one, width, height, ASCII)
                assert len(lines) == height
                assert all(width_of(line) <= width for line in lines)
                assert all(text.isascii() for text in text_of(lines))


def test_what_matters_most_stays_longest() -> None:
    labels = [
        ["fix"],
        ["fix", "cost"],
        ["fix", "cost", "stack"],
        ["fix", "cost", "stack"],
        ["fix", "cost", "stack"],
        ["fix", "cost", "stack", "source"],
        ["fix", "cost", "stack", "source"],
        ["fix", "why", "cost", "stack", "source"],
    ]
    for height, wanted in enumerate(labels, 1):
        found = [text[:9].strip() for text in texts(width=90, height=height)]
        assert [label for label in found if label] == wanted


def test_the_stack_loses_its_outer_calls_first() -> None:
    assert texts(height=3)[-1].split()[:2] == ["stack", "login::hash_password"]
    assert "login::hash_password" in texts(height=4)[2]
    assert "bcrypt::hash        + 3 frames of blowfish" in texts(height=5)[4]
    whole = texts(height=24)
    assert any(text.endswith("└ 3 frames of blowfish") for text in whole)
    assert sum("◀ your code blocks here" in text for text in whole) == 1


def test_one_with_everything_known(golden: GoldenCheck) -> None:
    golden("detail-rich-76x24", detail.view(KNOWN, KNOWN.blockers[0], 76, 24, UNICODE))
    golden("detail-lock-76x24", detail.view(KNOWN, KNOWN.blockers[2], 76, 24, UNICODE))
    golden("detail-group-100x24", detail.view(KNOWN, GROUP, 100, 24, UNICODE))


def test_what_has_not_ended_has_no_typical_cost() -> None:
    stuck = replace(SAVE, count=1, lasting=1, lasting_ns=4 * S)
    lines = texts(stuck)
    assert any(line == " cost    has not ended, 4 s so far" for line in lines)
    assert not any("typically" in line or "at worst" in line for line in lines)
    some = texts(replace(SAVE, lasting=2, lasting_ns=4 * S, p50_ns=120 * MS))
    assert any("typically 120 ms, 31 times" in line for line in some)
    assert any("2 of 31 have not ended, the longest 4 s so far" in line for line in some)
    once = texts(replace(HASH, count=1, max_ns=66 * MS))
    assert any(line == " cost    66 ms of a worker, once in 2 min 14 s" for line in once)


def test_time_without_a_cpu_is_told_apart() -> None:
    lines = detail.view(KNOWN, replace(HASH, waiting_ns=210 * MS), 90, 24, UNICODE)
    said = next(text for text in text_of(lines) if "without a CPU" in text)
    assert said.strip() == "▒▒ 210 ms without a CPU in these polls, counted apart"
    assert style_of(lines, "▒▒") == "wait"


def test_as_many_workers_as_fit_and_the_number_of_the_others() -> None:
    many = replace(HASH, workers=tuple((at, (40 - at) * MS) for at in range(40)))
    line = next(text for text in texts(many, width=70) if text.startswith(" workers"))
    shown = line.count(" W")
    assert line.endswith(f"  and {40 - shown} more")
    assert 3 <= shown <= 6


def test_hardly_any_task_held_up_is_not_worth_a_line() -> None:
    for behind, said in ((0.2, ""), (0.6, "about 1 ready task "), (2.1, "about 2 ready tasks ")):
        text = "\n".join(texts(replace(HASH, behind=behind)))
        assert said in text
        assert ("held up" in text) is bool(said)


def test_without_a_stack_it_says_so() -> None:
    nothing = snapshot(stacks={})
    assert "stack   none was caught" in "\n".join(texts(seen=nothing))
    assert not any(line.startswith(" fix") for line in texts(seen=nothing))
    unnamed = replace(KNOWN.stacks[1], frames=None)
    waits = snapshot(stacks={1: unnamed})
    assert "stack   names not known yet" in "\n".join(texts(seen=waits))


def test_who_holds_the_lock_comes_before_what_is_only_good_to_know() -> None:
    lines = texts(KNOWN.blockers[2], height=8)
    assert any("cache::refresh  src/cache.rs:88" in line for line in lines)
    assert GET.function in "\n".join(lines)


def test_the_crate_of_own_calls_goes_without_saying() -> None:
    lines = texts(width=90)
    assert any(line.startswith(" stack   login::{async fn}  ") for line in lines)
    assert any("└ bcrypt::hash " in line for line in lines), "another one says whose call it is"
