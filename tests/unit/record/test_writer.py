"""A recording file while it grows."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hud.errors import ExportError, UsageError
from hud.export.write import check_regular
from hud.model import Batch
from hud.record.format import End, Looked
from hud.record.writer import FLUSH_S, Writer

from .recordings import START, read

if TYPE_CHECKING:
    from types import ModuleType


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_batch_is_on_the_disk_within_the_second(build: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "run.hud"
    clock = Clock()
    writer = Writer(str(path), clock=clock)
    writer.begin(build.info())
    writer.take(Batch(time_ns=1, names={1: "first"}))
    clock.now += FLUSH_S
    writer.take(Batch(time_ns=2, names={2: "second"}))
    writer.take(Batch(time_ns=3, names={3: "third"}))
    entries, lacks = read(path.read_bytes())
    assert [entry.time_ns for entry in entries if isinstance(entry, Batch)] == [1, 2]
    assert lacks == "no end: hud was killed, or the disk was full"
    writer.look(4)
    writer.end(5, "quit")
    assert read(path.read_bytes())[1] == ""
    writer.take(Batch(time_ns=6, names={1: "learned later"}))
    writer.close()
    writer.close()
    assert writer.size == path.stat().st_size
    entries, lacks = read(path.read_bytes())
    assert entries[0] == build.info()
    assert entries[-3:-1] == [Looked(4), End(5, "quit")]
    assert isinstance(entries[-1], Batch)
    assert lacks == ""
    assert FLUSH_S <= 0.9


def test_a_file_is_replaced_and_a_link_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    path = tmp_path / "run.hud"
    path.symlink_to(precious)
    before = os.umask(0o022)
    try:
        Writer(str(path), (os.getuid(), os.getgid())).close()
    finally:
        os.umask(before)
    assert precious.read_text() == "kept"
    assert not path.is_symlink()
    assert path.read_bytes() == START
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["precious", "run.hud"]


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no such file or directory"):
        Writer(str(tmp_path / "absent" / "run.hud"))
    with pytest.raises(ExportError, match="is a directory"):
        Writer(str(tmp_path))


@pytest.mark.parametrize("path", ["-", "/dev/null", "/dev/stdout", "/proc/self/fd/1", "/"])
def test_a_recording_goes_to_a_regular_file(path: str) -> None:
    with pytest.raises(UsageError, match="not a regular file"):
        check_regular(path)


def test_without_room_the_whole_chunks_stay(build: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "run.hud"
    clock = Clock()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, before[1]))
    try:
        writer = Writer(str(path), clock=clock)
        writer.begin(build.info())
        for at in range(100):
            clock.now += 1
            writer.take(Batch(time_ns=at + 1, names={at: os.urandom(100).hex()}))
        writer.end(1_000, "quit")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert writer.trouble is not None
    assert str(writer.trouble) == f"write {path}: file too large"
    assert "ulimit" in writer.trouble.hint
    assert writer.size == path.stat().st_size <= 4_000
    entries, lacks = read(path.read_bytes())
    assert [entry.time_ns for entry in entries if isinstance(entry, Batch)] == [
        *range(1, len(entries))
    ]
    assert len(entries) > 10
    assert lacks.startswith("no end")


def test_the_descriptor_is_closed_and_not_inherited(tmp_path: Path) -> None:
    path = tmp_path / "run.hud"

    def descriptors() -> list[int]:
        links = Path("/proc/self/fd").iterdir()
        return [int(link.name) for link in links if os.path.realpath(link) == str(path)]

    writer = Writer(str(path))
    (mine,) = descriptors()
    assert not os.get_inheritable(mine)
    writer.close()
    assert descriptors() == []
