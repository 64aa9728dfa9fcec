"""Lines of files whose names others chose: what is quoted, and what is refused and why."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.profiler.naming import source
from hud.profiler.naming.source import (
    AROUND,
    LINE_LIMIT,
    Quote,
    SourceReader,
    Wanted,
    locate,
    quote,
)

TEXT = "".join(f"line {number}\n" for number in range(1, 31))


def wanted(path: object, line: int = 15, executable: str = "/srv/app", built_ns: int = 0) -> Wanted:
    return Wanted(1, os.getpid(), str(path), line, executable, built_ns)


def test_lines_around(tmp_path: Path) -> None:
    (tmp_path / "a.rs").write_text(TEXT)
    found = quote(wanted("/a.rs"), (tmp_path,))
    assert found.note == ""
    assert found.lines == tuple(
        (number, f"line {number}") for number in range(15 - AROUND, 15 + AROUND + 1)
    )


@pytest.mark.parametrize(("line", "first", "last"), [(1, 1, 7), (30, 24, 30), (4, 1, 10)])
def test_lines_at_the_ends(tmp_path: Path, line: int, first: int, last: int) -> None:
    (tmp_path / "a.rs").write_text(TEXT)
    found = quote(wanted("/a.rs", line), (tmp_path,))
    assert (found.lines[0][0], found.lines[-1][0]) == (first, last)


@pytest.mark.parametrize("line", [31, 0, -1, 1 << 62])
def test_line_that_is_not_there(tmp_path: Path, line: int) -> None:
    (tmp_path / "a.rs").write_text(TEXT)
    note = f"/a.rs: no line {line}: not the source of this build"
    assert quote(wanted("/a.rs", line), (tmp_path,)) == Quote((), note)


def test_first_root_that_has_the_file(tmp_path: Path) -> None:
    inside, host = tmp_path / "inside", tmp_path / "host"
    for root in (inside, host):
        root.mkdir()
        (root / "a.rs").write_text(f"{root.name}\n")
    assert quote(wanted("/a.rs", 1), (inside, host)).lines == ((1, "inside"),)
    (inside / "a.rs").unlink()
    assert quote(wanted("/a.rs", 1), (inside, host)).lines == ((1, "host"),)
    note = "/b.rs: no such file or directory"
    assert quote(wanted("/b.rs", 1), (inside, host)) == Quote((), note)


def test_relative_names_begin_at_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "ws/src").mkdir(parents=True)
    (tmp_path / "ws/src/main.rs").write_text(TEXT)
    found = quote(wanted("src/main.rs", 2, "/ws/target/release/app"), (tmp_path,))
    assert found.lines[1] == (2, "line 2")
    note = "src/main.rs: not in a known directory"
    assert quote(wanted("src/main.rs", 2, "/usr/bin/app"), (tmp_path,)) == Quote((), note)
    assert locate("a.rs", "/ws/target/x/target/debug/app") == "/ws/target/x/a.rs"


def test_no_way_out_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "out.rs").write_text(TEXT)
    (tmp_path / "root/up").symlink_to("..")
    for path in ("/../out.rs", "/up/out.rs", "../../out.rs"):
        assert not quote(wanted(path, 2, "/ws/target/app"), (tmp_path / "root",)).lines


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.rs").write_text(TEXT)
    (tmp_path / "link.rs").symlink_to("a.rs")
    note = "/link.rs: not a regular file"
    assert quote(wanted("/link.rs"), (tmp_path,)) == Quote((), note)


def test_text_is_kept_as_it_is_but_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_bytes(b"a\tb\r\n\x1b[31m\xff\x0c\n" + b"y" * 5000 + b"\nend")
    lines = dict(quote(wanted("/a.c", 2), (tmp_path,)).lines)
    assert lines[1] == "a\tb"
    assert lines[2] == "\x1b[31m\ufffd\x0c"
    assert len(lines[3]) == LINE_LIMIT
    assert lines[4] == "end"


def test_size_limit_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SIZE_LIMIT", len(TEXT))
    (tmp_path / "a.rs").write_text(TEXT)
    (tmp_path / "b.rs").write_text(TEXT + "\n")
    assert quote(wanted("/a.rs"), (tmp_path,)).lines
    assert not quote(wanted("/b.rs"), (tmp_path,)).lines


def test_file_that_is_newer_than_the_program(tmp_path: Path) -> None:
    path = tmp_path / "a.rs"
    path.write_text(TEXT)
    changed = path.stat().st_mtime_ns
    assert quote(wanted("/a.rs", built_ns=changed), (tmp_path,)).note == ""
    found = quote(wanted("/a.rs", built_ns=changed - 1), (tmp_path,))
    assert found.lines
    assert found.note == "/a.rs: changed after the program was built, lines may have moved"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (
            "/rustc/0123abcd/library/std/src/thread/mod.rs",
            "the standard library's source is not installed here",
        ),
        ("/etc/shadow", "not the name of a source file"),
        ("", "not the name of a source file"),
        ("/a\0.rs", "a path with a NUL"),
        ("/" + "a" * 300 + ".rs", "file name too long"),
        ("/\x1b[2J\udcff.rs", "no such file or directory"),
    ],
)
def test_names_that_are_refused(tmp_path: Path, path: str, why: str) -> None:
    found = quote(wanted(path), (tmp_path,))
    assert found.lines == ()
    assert found.note.endswith(f": {why}")
    assert found.note.isprintable()


@given(
    path=st.text(max_size=30), suffix=st.sampled_from(["", ".rs", "/../a.c"]), line=st.integers()
)
def test_any_name_ends_in_a_quote(path: str, suffix: str, line: int) -> None:
    found = quote(wanted(path + suffix, line, path), (Path("/nowhere"), Path("/dev")))
    assert found.lines == ()
    assert found.note.isprintable()


def test_the_thread_answers_with_the_key(tmp_path: Path) -> None:
    (tmp_path / "a.rs").write_text(TEXT)
    process = tmp_path / "proc" / str(os.getpid())
    process.mkdir(parents=True)
    shutil.copy("/proc/self/status", process)
    (process / "root").symlink_to(tmp_path)
    sources = SourceReader(tmp_path / "proc", Path("/nowhere"))
    assert sources.answers() == []
    for key in (7, 9):
        sources.ask(wanted("/a.rs")._replace(key=key))
    found: list[tuple[int, Quote]] = []
    end = time.monotonic() + 20
    while len(found) < 2 and time.monotonic() < end:
        found += sources.answers()
        time.sleep(0.005)
    assert [key for key, _ in found] == [7, 9]
    assert all(len(one.lines) == 2 * AROUND + 1 for _, one in found)
