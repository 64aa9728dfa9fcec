"""Gates on a comparison: services that block more, or not, than they did."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

from hud.analysis.comparison.compare import NOTABLE, compare
from hud.gates.grammar import LEAST_WORSE, parse
from hud.gates.suppressions import read
from hud.gates.worse import breaches, growth, unsure
from tests.builders.services import Blocks, run

if TYPE_CHECKING:
    from pathlib import Path

    from hud.analysis.results import Snapshot

A, B = "api::a", "api::b"
USUAL = {A: Blocks(8, 20), B: Blocks(2, 60)}
SLOW = {**USUAL, B: Blocks(2, 120)}


@cache
def usual() -> Snapshot:
    return run(USUAL, 1)


@cache
def slow() -> Snapshot:
    return run(SLOW, 2)


def said(gate: str, before: Snapshot, after: Snapshot) -> list[str]:
    return [one.says for one in breaches(parse(gate), compare(before, after), [])]


def test_the_row_that_got_worse_and_no_other() -> None:
    (found,) = said("worse>20%", usual(), slow())
    assert found.startswith("api::b src/a.rs:10: ")
    assert " of worker time after " in found
    assert ", typically 88.1 ms after 52.5 ms (cpu" in found
    assert said("worse>20%", slow(), usual()) == []
    assert said("worse>20%", usual(), usual()) == []


def test_by_how_much_is_what_the_gate_asks() -> None:
    (change,) = (one for one in compare(usual(), slow()).changes if one.side.row.function == B)
    percent = 100 * growth(change)
    assert 70 < percent < 150
    assert said(f"worse>{percent - 1:.0f}%", usual(), slow())
    assert said(f"worse>{percent + 1:.0f}%", usual(), slow()) == []


def test_what_is_new_is_worse_than_any_bound() -> None:
    (found,) = said("worse>100000%", run({A: USUAL[A]}, 3), usual())
    assert found.startswith("api::b src/a.rs:10: new, ")


@pytest.mark.parametrize(
    ("gate", "count"),
    [
        ("worse(function=*::b)>20%", 1),
        ("worse(function=*::a)>20%", 0),
        ("worse(cause=lock)>20%", 0),
    ],
)
def test_filters(gate: str, count: int) -> None:
    assert len(said(gate, usual(), slow())) == count


def test_an_excuse_covers_it(tmp_path: Path) -> None:
    path = tmp_path / "hud.txt"
    path.write_text("api::b any never known\n")
    excuses = read(str(path))
    assert breaches(parse("worse>20%"), compare(usual(), slow()), excuses) == []


def test_what_cannot_be_compared_is_a_doubt_and_no_pass() -> None:
    gate = parse("worse>20%")
    assert unsure(gate, compare(usual(), slow())) == ""
    lost = replace(usual(), losses=replace(usual().losses, ring_full=9))
    assert unsure(gate, compare(lost, slow())).startswith(
        "the two runs cannot be compared: before: 9 events"
    )
    short = compare(run({A: Blocks(1, 600)}, 1, seconds=4), run({A: Blocks(1, 600)}, 2, seconds=4))
    assert unsure(gate, short) == "the runs are too short to tell of api::a"
    assert unsure(parse("worse(function=x)>20%"), short) == ""


def test_the_least_bound_is_the_least_that_is_told() -> None:
    assert round(100 * (NOTABLE - 1)) == LEAST_WORSE
