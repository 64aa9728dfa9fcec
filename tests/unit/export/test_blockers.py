"""The table of blockers: columns, colours, advice."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis.results import HolderUse
from hud.export import summary

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot


ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


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
    assert plain.isascii()
    assert "\x1b" not in plain


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_table_fits_the_terminal(snapshot: Snapshot, width: int) -> None:
    blockers = tuple(
        replace(one, function="very::" * 30 + one.function) for one in snapshot.blockers
    )
    lines = summary.text(replace(snapshot, blockers=blockers), width=width).splitlines()
    table = lines[lines.index(next(one for one in lines if "share" in one)) :]
    table = table[: table.index("")]
    assert max(map(len, table)) <= width
    assert "..." in table[1]
    assert "hash_password" in table[1], "the end of a name says more than its beginning"


def test_columns_line_up(snapshot: Snapshot) -> None:
    lines = summary.text(snapshot).splitlines()
    head = next(at for at, line in enumerate(lines) if "share" in line)
    rows = [line for line in lines[head + 1 : head + 19] if not line.startswith(" " * 10)]
    assert len(rows) == 6
    for title in ("cause", "function", "where"):
        at = lines[head].index(title)
        assert all(row[at - 1] == " " and row[at] != " " for row in rows), title
    for title in ("share", "count", "total", "max", "p99"):
        at = lines[head].index(title) + len(title)
        assert all(row[at - 1] != " " and row[at] == " " for row in rows), title


def test_advice_stands_below_its_row(snapshot: Snapshot) -> None:
    fix = "fix: call bcrypt::hash in spawn_blocking (costs a worker 79 ms each time)"
    lines = [line.strip() for line in summary.text(snapshot).splitlines()]
    at = lines.index("in bcrypt::hash")
    assert lines[at + 1 : at + 3] == ["task api::login::{async fn}", fix]
    nothing = replace(snapshot, stacks={})
    assert "fix:" not in summary.text(nothing)
    narrow = summary.text(snapshot, width=60)
    assert " ".join(narrow.split()).count(fix) == 1, "wrapped, not cut"
    assert (
        max(map(len, narrow[narrow.index("   share") : narrow.index("  allowed")].splitlines()))
        <= 60
    )


def test_what_it_was_about_and_who_is_waited_for(snapshot: Snapshot) -> None:
    blocker = replace(
        snapshot.blockers[0],
        details=tuple((f"/data/{n}", 9) for n in range(5)),
        holders=(
            HolderUse("cache::refill", "src/cache.rs:88", "worker", 7, 5),
            HolderUse("thread filler", "", "other thread", 0, 4),
            HolderUse("src/db.rs:27", "src/db.rs:27", "worker", 7, 3, inferred=True),
            HolderUse("jobs::send", "", "pool thread", 8, 2, held=False),
        ),
    )
    text = summary.text(replace(snapshot, blockers=(blocker,)))
    assert "about /data/0, /data/1, /data/2 and 2 more\n" in text
    own = "cache::refill src/cache.rs:88, on a worker"
    assert f"held by {own}; thread filler; ~src/db.rs:27, on a worker\n" in text
    assert "woken by jobs::send, on a thread of the blocking pool\n" in text


def test_long_lists_are_cut_and_say_so(snapshot: Snapshot) -> None:
    many = snapshot.blockers * 5
    text = summary.text(replace(snapshot, blockers=many))
    rest = sum(one.total_ns for one in many[20:])
    assert f"and 10 more, {rest / 1e9:.1f}s\n" in text
