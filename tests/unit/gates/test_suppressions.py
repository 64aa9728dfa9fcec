"""Files of excuses."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from hud.errors import UsageError
from hud.gates.suppressions import read

if TYPE_CHECKING:
    from pathlib import Path


def test_lines_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "hud.txt"
    path.write_text(
        "# what may block\n\na::b*  cpu 2027-03-31  issue 412, soon\nc any never once\n"
    )
    first, second = read(str(path))
    assert (first.place, first.reason) == (f"{path}:3", "issue 412, soon")
    assert first.covers("a::bc", "cpu")
    assert not first.covers("a::bc", "lock")
    assert not first.covers("x::a::bc", "cpu")
    assert second.covers("c", "lock")


def test_it_holds_to_the_end_of_its_day(tmp_path: Path) -> None:
    path = tmp_path / "hud.txt"
    path.write_text("a cpu 2027-03-31 why\nb cpu never why\n")
    last, forever = read(str(path))
    assert [last.expired(date(2027, 3, 31)), last.expired(date(2027, 4, 1))] == [False, True]
    assert not forever.expired(date(9999, 1, 1))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a cpu never", "a line is FUNCTION CAUSE UNTIL REASON"),
        ("a cqu never why", "a cause is one of any, cpu"),
        ("a cpu 31.3.2027 why", "the day is like 2027-03-31, or never"),
        ("a cpu 2027-02-30 why", "the day is like"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "hud.txt"
    path.write_text(f"# first\n{line}\n")
    with pytest.raises(UsageError) as caught:
        read(str(path))
    assert str(caught.value).startswith(f"{path}:2: {says}")


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no such file"), (b"\xff", "not text"), (b"#" * 1_000_001, "too large")],
)
def test_what_cannot_be_read(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "hud.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=f"read {path}: {says}"):
        read(str(path))
