"""The table of blockers: columns, colours, what stands below a row."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis.shares import Shares
from hud.export import summary

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot


ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def table(text: str) -> list[str]:
    """The lines of the table, its head first."""
    lines = text.splitlines()
    head = next(at for at, line in enumerate(lines) if line.lstrip().startswith("share"))
    return lines[head : lines.index("", head)]


def rows(text: str) -> list[str]:
    return [line for line in table(text)[1:] if re.match(r"\s{2,3}\d+  ", line)]


def test_colour_marks_causes_only(snapshot: Snapshot) -> None:
    plain, coloured = summary.text(snapshot), summary.text(snapshot, color=True)
    assert ESCAPES.sub("", coloured) == plain
    assert re.findall(r"\x1b\[\d+m(\w+)\x1b\[0m", coloured) == [
        "cpu",
        "fsync",
        "lock",
        "dns",
        "sleep",
        "file",
    ]
    assert "\x1b" not in plain


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200, None])
def test_all_of_it_fits_the_terminal(snapshot: Snapshot, width: int | None) -> None:
    """Whatever serde calls its types; in a file or a pipe it keeps to 120 columns."""
    generic = "<serde_json::de::Visitor<" + "very::deep::module::Type, " * 30 + "> as Tr>::visit"
    blockers = tuple(
        replace(one, function=f"very::{'deep::' * at}{one.function}", operation=generic)
        for at, one in enumerate(snapshot.blockers)
    )
    text = summary.text(replace(snapshot, blockers=blockers), width=width, verbose=True)
    assert max(map(len, text.splitlines())) <= (width or 120)
    lasts = ["hash_password", "save", "get", "resolve_peer", "{async fn}", "{async fn}"]
    for row, last in zip(rows(text), lasts, strict=True):
        assert last in row, "the last segment of a name is never cut"


def test_columns_go_where_there_is_no_room(snapshot: Snapshot) -> None:
    first = replace(snapshot.blockers[0], waiting_ns=snapshot.blockers[0].total_ns // 2)
    shown = replace(snapshot, blockers=(first, *snapshot.blockers[1:]))
    heads = {width: table(summary.text(shown, width=width))[0].split() for width in (40, 60, 120)}
    assert heads[120] == [
        "share",
        "no",
        "CPU",
        "count",
        "typical",
        "worst",
        "cause",
        "function",
        "blocks",
        "in",
    ]
    assert heads[60] == ["share", "typical", "worst", "cause", "function"]
    assert heads[40] == ["share", "worst", "cause", "function"]


def test_columns_line_up(snapshot: Snapshot) -> None:
    text = summary.text(snapshot)
    head = table(text)[0]
    assert len(rows(text)) == 6
    for title in ("cause", "function", "blocks in"):
        at = head.index(title)
        assert all(row[at - 1] == " " and row[at] != " " for row in rows(text)), title
    for title in ("share", "count", "typical", "worst"):
        at = head.index(title) + len(title)
        assert all(row[at - 1] != " " and row[at] == " " for row in rows(text)), title


def test_bars_are_proportional_and_the_first_fills_its_column(snapshot: Snapshot) -> None:
    bars = [re.search(r"[█▏▎▍▌▋▊▉]+", row) for row in rows(summary.text(snapshot))]
    lengths = [bar[0].count("█") if bar else -1 for bar in bars]
    assert lengths == [10, 3, 1, 0, 0, 0]
    plain = rows(summary.text(snapshot, ascii_only=True))
    assert [row.count("#") for row in plain] == [10, 3, 2, 1, 1, 1]


def test_file_and_line_of_each_row_are_there_without_asking(snapshot: Snapshot) -> None:
    text, wide = summary.text(snapshot), summary.text(snapshot, width=160)
    assert len(table(wide)) == 1 + len(snapshot.blockers)
    for row in snapshot.blockers:
        assert f"\n      {row.where}\n" in text
        assert f"  {row.where}\n" in wide, "behind its function, where there is room"


def test_facts_stand_below_their_row(snapshot: Snapshot) -> None:
    held = replace(snapshot.blockers[0], holds=5)
    shown = replace(snapshot, blockers=(held, *snapshot.blockers[1:]))
    lines = table(summary.text(shown))
    assert lines[2] == "      src/login.rs:88; holds a lock that 5 polls waited for"
    assert lines[4] == "      src/store.rs:143"
    more = table(summary.text(shown, verbose=True))
    assert more[2] == lines[2]
    assert more[3] == "      task api::login::{async fn}"


def test_long_lists_are_cut_and_say_so(snapshot: Snapshot) -> None:
    few = tuple(replace(one, total_ns=1_000) for one in snapshot.blockers)
    shares = Shares({"": 1_000_000}, {})
    text = summary.text(replace(snapshot, blockers=few * 5, shares=shares))
    assert "  and 10 more, together 1.0 %\n" in text
    assert len(rows(text)) == 20
