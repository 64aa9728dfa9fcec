"""The table of blockers: columns, colours, what stands below a row."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis.cause import Cause
from hud.analysis.results import Case, HolderUse
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
    whole = snapshot.blockers[0].total_ns
    blocker = replace(
        snapshot.blockers[0],
        holders=(
            HolderUse("cache::refill", "src/cache.rs:88", "worker", 7, whole // 2),
            HolderUse("thread filler", "", "other thread", 0, whole // 4),
            HolderUse("src/db.rs:27", "src/db.rs:27", "worker", 7, whole // 5, inferred=True),
            HolderUse("jobs::send", "", "pool thread", 8, whole // 6, held=False),
            HolderUse("rare::holder", "", "worker", 9, whole // 100),
        ),
        cases=(
            *snapshot.blockers[0].cases,
            Case(Cause.LOCK, "std::sync::Mutex<T>::lock", whole // 4, 0),
            Case(Cause.DNS, "rare", whole // 100, 0),
        ),
        lasting=2,
        lasting_ns=7_200_000_000,
        holds=5,
    )
    text = summary.text(replace(snapshot, blockers=(blocker,)))
    said = " ".join(" ".join(table(text)[2:]).split())
    assert said == (
        "2 of 240 have not ended, the longest 7.2 s so far; "
        "also lock in std::sync::Mutex<T>::lock (25 % of it); "
        "held by refill src/cache.rs:88, on a worker; thread filler; "
        "woken by send, on a thread of the blocking pool; "
        "holds a lock that 5 polls waited for"
    )


def test_verbose_adds_tasks_and_files(snapshot: Snapshot) -> None:
    blocker = replace(
        snapshot.blockers[0],
        details=tuple((f"/data/{n}", 9) for n in range(5)),
        types=(("a", 3), ("b", 1)),
        behind=11.6,
        waiting_ns=1_500_000_000,
    )
    shown = replace(snapshot, blockers=(blocker,))
    lines = [line.strip() for line in table(summary.text(shown, verbose=True))]
    assert "about /data/0, /data/1, /data/2 and 2 more" in lines
    assert "task a 75 %, b 25 %; 12 ready tasks behind it in the worker's own queue" in lines
    assert "19 s in all, and 1.5 s without a CPU; p99 92 ms" in lines
    few = replace(shown, blockers=(replace(blocker, count=99),))
    assert "p99" not in summary.text(few, verbose=True), "it would be the longest"
    assert not any(word in summary.text(shown) for word in ("/data", "task a", "p99"))


def test_long_lists_are_cut_and_say_so(snapshot: Snapshot) -> None:
    few = tuple(replace(one, share=0.001) for one in snapshot.blockers)
    text = summary.text(replace(snapshot, blockers=few * 5))
    assert "  and 10 more, together 1.0 %\n" in text
    assert len(rows(text)) == 20
