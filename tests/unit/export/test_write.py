"""Files appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest

from hud.errors import ExportError, UsageError
from hud.export import DEFAULT, FORMATS, choose
from hud.export.write import check_writable, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable


def hello(out: BinaryIO) -> None:
    out.write(b"hello\n")


def much(out: BinaryIO) -> None:
    out.write(bytes(1 << 20))


def test_whole_file_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(b"old")
    before = os.umask(0o027)
    try:
        write_atomically(str(path), hello)
    finally:
        os.umask(before)
    assert path.read_bytes() == b"hello\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["trace.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_an_interrupted_write_leaves_what_was_there(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(b"old")

    def stop(out: BinaryIO) -> None:
        out.write(b"half")
        raise error

    with pytest.raises(error):
        write_atomically(str(path), stop)
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["trace.json"]


def test_full_disk(tmp_path: Path, need: Callable[[object, str], None]) -> None:
    need(os.geteuid() == 0, "root, to mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=False
    )
    need(mounted.returncode == 0, "permission to mount")
    try:
        path = tmp_path / "trace.json"
        with pytest.raises(ExportError) as caught:
            write_atomically(
                str(path), lambda out: hello(out) or (out.write(bytes(1 << 20)) and None)
            )
        assert str(caught.value) == f"write {path}: no space left on device"
        assert caught.value.hint == "free some space, or write to another file system"
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_symbolic_link_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    path = tmp_path / "trace.json"
    path.symlink_to(victim)
    write_atomically(str(path), hello)
    assert victim.read_bytes() == b"precious"
    assert path.read_bytes() == b"hello\n"
    assert not path.is_symlink()


def test_the_file_belongs_to_the_invoking_user(
    tmp_path: Path, need: Callable[[object, str], None]
) -> None:
    need(os.geteuid() == 0, "root")
    path = tmp_path / "trace.json"
    write_atomically(str(path), hello, (1234, 5678))
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678)


def test_an_owner_that_cannot_be_given_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    write_atomically(str(path), hello, (99_999_999_999, 1))
    assert path.read_bytes() == b"hello\n"


def test_a_fifo_is_written_directly(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(path.read_bytes()))
    reader.start()
    write_atomically(str(path), hello)
    reader.join(20)
    assert seen == [b"hello\n"]
    assert path.is_fifo()


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/proc/self/fd/1"])
def test_standard_output_keeps_its_place(tmp_path: Path, name: str) -> None:
    program = (
        "from hud.export.write import check_writable, write_atomically\n"
        "print('before')\n"
        f"check_writable({name!r})\n"
        "import sys; sys.stdout.flush()\n"
        f"write_atomically({name!r}, lambda out: out.write(b'hello\\n'))\n"
        "print('after')\n"
    )
    target = tmp_path / "out"
    with target.open("wb") as out:
        subprocess.run(
            [sys.executable, "-c", program],
            stdout=out,
            check=True,
            env={"PYTHONPATH": str(Path(__file__).parents[3])},
        )
    assert target.read_text() == "before\nhello\nafter\n"


def test_a_reader_that_goes_away() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        with pytest.raises(ExportError, match="broken pipe"):
            write_atomically(f"/dev/fd/{write}", hello)
    finally:
        os.close(write)


@pytest.mark.parametrize("check", [check_writable, lambda path: write_atomically(path, hello)])
def test_refusals_name_the_path_and_the_reason(
    tmp_path: Path, check: Callable[[str], None]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name, reason, hint in [
        ("none/trace.json", "no such file or directory", "create the directory first"),
        ("file/trace.json", "not a directory", "one of the parents is a file: choose another path"),
        (".", "is a directory", "name a file, not a directory"),
    ]:
        path = str(tmp_path / name)
        with pytest.raises((UsageError, ExportError)) as caught:
            check(path)
        assert str(caught.value).endswith(f" {path}: {reason}")
        assert caught.value.hint == hint


def test_refused_before_the_run_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        check_writable(str(tmp_path / "none" / "trace.json"))
    assert caught.value.exit_code == 2


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    check_writable(str(path))
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"old")
    check_writable(str(path))
    assert path.read_bytes() == b"old"


def test_choosing_a_format() -> None:
    assert choose("x.json") is FORMATS["trace"]
    assert choose("X.TXT") is FORMATS["summary"]
    assert choose("-") is choose("x.out") is FORMATS[DEFAULT]
    assert choose("x.json", "summary") is FORMATS["summary"]
    with pytest.raises(UsageError) as caught:
        choose("x.json", "svg")
    assert str(caught.value) == "no export format named 'svg'"
    assert caught.value.hint == f"known formats: {', '.join(FORMATS)}"
    assert choose("x.hud.json") is FORMATS["json"], "the longest suffix counts"
    assert choose("x.SPEEDSCOPE.json") is FORMATS["speedscope"]
    assert choose("x.pb.gz") is FORMATS["pprof"]
    assert all(row.name == name for name, row in FORMATS.items())
    assert all(callable(row.writer()) for row in FORMATS.values())
