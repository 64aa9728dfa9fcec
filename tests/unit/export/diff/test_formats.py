"""The formats of a comparison say the same, and nothing of the target's has power in them."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from hud.analysis.comparison.compare import Comparison, compare
from hud.analysis.results import Snapshot
from hud.export.diff import FORMATS, cells, written
from tests.builders.services import Blocks, run

A, B, C = "api::a", "api::b", "api::c"
CODE = {A: Blocks(8, 20), B: Blocks(2, 60), C: Blocks(0.1, 6)}


@pytest.fixture(scope="module")
def before() -> Snapshot:
    return run(CODE, seed=2)


@pytest.fixture(scope="module")
def comparison(before: Snapshot) -> Comparison:
    return compare(before, run({A: Blocks(8, 40), C: Blocks(0.1, 6)}, seed=3))


def test_text(comparison: Comparison) -> None:
    text = written("text")(comparison, 100)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "20 s, 4 workers: 6.9 % of worker time blocked, 195 long polls" in lines[0]
    worse, gone = (line.split() for line in lines if "worse  " in line or "gone  " in line)
    assert worse[0] == "worse"
    assert worse[5:10] == ["19ms", "→", "34ms", "(x1.9)", "cpu"]
    assert gone[0] == "gone"
    assert gone[2] == "-"


def test_nothing_to_tell(before: Snapshot) -> None:
    text = written("text")(compare(before, before), 100)
    assert "No overall difference: 6.9 % of worker time was blocked, then 6.9 %" in text
    assert "1 row of less than 0.05 % of worker time not compared." in text


def test_why_not(before: Snapshot) -> None:
    other = replace(before, info=replace(before.info, threshold_ns=1_000_000))
    for name in ("text", "markdown"):
        text = written(name)(compare(before, other), 100)
        assert "The two runs cannot be compared." in text
        assert "the thresholds differ: 5 ms and 1 ms" in text
    decoded = msgspec.json.decode(written("json")(compare(before, other), 100))
    assert decoded["cannot_compare"] == ["the thresholds differ: 5 ms and 1 ms"]
    assert decoded["changes"] == []


def test_json(comparison: Comparison) -> None:
    decoded = msgspec.json.decode(written("json")(comparison, 100))
    assert decoded["schema"] == 1
    assert [one["verdict"] for one in decoded["changes"]] == ["worse", "gone", "too little to tell"]
    worse, gone, _ = decoded["changes"]
    assert worse["function"] == A
    assert (worse["file"], worse["line"]) == ("/home/me/demo-server/src/a.rs", 10)
    assert worse["before"]["episodes"] == comparison.before.blockers[0].count
    assert worse["length_ratio"]["low"] > 1
    assert gone["after"] is None
    assert gone["share_difference"]["high"] < 0


def test_markdown_is_a_table(comparison: Comparison) -> None:
    lines = written("markdown")(comparison, 100).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 4
    assert "blocks in" not in table[0], "no row says it"
    assert {line.count(" | ") for line in table} == {len(cells.TITLES) - 2}


@pytest.mark.parametrize("name", FORMATS)
def test_names_have_no_power(before: Snapshot, name: str) -> None:
    evil = "a|b`<script>[x](y)\x1b[31m\n# **z**\u202e"
    rows = (replace(before.blockers[0], function=evil, operation=evil, where=evil),)
    text = written(name)(compare(replace(before, blockers=rows), replace(before, blockers=())), 200)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n# " not in text
    if name == "markdown":
        titles, _, row = (line for line in text.splitlines() if line.startswith("|"))
        assert row.count(" | ") == titles.count(" | ")
        assert "<" not in row.replace("\\<", "")
        assert "|b" not in row.replace("\\|", "")
