"""Points of the resolver against the running process's memory; nothing that differs is used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hud.errors import TargetError
from hud.model import Mapping
from hud.profiler.exact.uprobe_sites import check, require_safe_returns
from hud.symbols.facts import Point, Role

PID = 77
START, OFFSET = 0x4000, 0x1000
CODE = bytes(range(256)) * 16
"""One page of "machine code", at START in memory and at OFFSET in the file."""


class Process:
    """A /proc tree: one process with one mapped file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.binary = root / "service"
        self.home = root / str(PID)
        (self.home / "map_files").mkdir(parents=True)
        self.binary.write_bytes(bytes(OFFSET) + CODE)
        self.link = self.home / "map_files" / f"{START:x}-{START + len(CODE):x}"
        self.link.symlink_to(self.binary)
        (self.home / "exe").symlink_to(self.binary)
        self.memory = self.home / "mem"
        self.memory.write_bytes(bytes(START) + CODE)
        self.mapping = Mapping(
            START, START + len(CODE), OFFSET, True, "/srv/service",
            inode=self.binary.stat().st_ino,
        )  # fmt: skip

    def point(self, at: int, size: int = 16, role: Role = Role.RUNNING) -> Point:
        return Point(role, 0x9000 + at, OFFSET + at, CODE[at : at + size], True)

    def check(self, *points: Point, mappings: list[Mapping] | None = None) -> object:
        return check(PID, "/srv/service", points, mappings or [self.mapping], self.root)


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


def test_places_lead_to_the_mapped_inode(process: Process) -> None:
    found = process.check(process.point(16), process.point(512, role=Role.IDLE))
    link = str(process.link)
    assert found == [("running", link, OFFSET + 16), ("idle", link, OFFSET + 512)]


def test_a_file_that_was_replaced_is_not_touched(process: Process) -> None:
    """The path leads to another build now; the link of map_files to what is mapped, as ever."""
    moved = process.root / "old"
    process.binary.rename(moved)
    process.binary.write_bytes(bytes(OFFSET) + CODE[::-1])
    with pytest.raises(TargetError, match="another build, or was changed"):
        process.check(process.point(16))
    process.link.unlink()
    process.link.symlink_to(moved)
    assert process.check(process.point(16))


def test_the_executable_is_a_way_only_to_the_mapped_inode(process: Process) -> None:
    process.link.unlink()
    assert process.check(process.point(16)) == [("running", str(process.home / "exe"), OFFSET + 16)]
    other = replace(process.mapping, inode=process.mapping.inode + 1)
    with pytest.raises(TargetError, match="cannot be reached"):
        process.check(process.point(16), mappings=[other])


def test_a_breakpoint_in_memory_is_left_alone(process: Process) -> None:
    changed = bytearray(CODE)
    changed[16] = 0xCC
    process.memory.write_bytes(bytes(START) + changed)
    with pytest.raises(TargetError, match="a debugger's breakpoint"):
        process.check(process.point(16))
    assert process.check(process.point(512))


def test_memory_that_was_patched_is_left_alone(process: Process) -> None:
    changed = bytearray(CODE)
    changed[20] ^= 1
    process.memory.write_bytes(bytes(START) + changed)
    with pytest.raises(TargetError, match="differs from the file"):
        process.check(process.point(16))


@pytest.mark.parametrize(
    "changes",
    [
        {"executable": False},
        {"writable": True},
        {"path": "/srv/other"},
        {"offset": OFFSET + 0x1000},
        {"offset": 0},
    ],
)
def test_only_read_only_code_of_that_file(process: Process, changes: dict[str, object]) -> None:
    with pytest.raises(TargetError):
        process.check(process.point(16), mappings=[replace(process.mapping, **changes)])


def test_mapped_twice_or_two_files_of_one_path(process: Process) -> None:
    again = replace(process.mapping, start=START + 0x10000, end=START + 0x11000)
    with pytest.raises(TargetError):
        process.check(process.point(16), mappings=[process.mapping, again])
    other = replace(again, inode=process.mapping.inode + 1)
    with pytest.raises(TargetError, match="two files"):
        process.check(process.point(16), mappings=[process.mapping, other])


def test_a_process_that_is_gone(process: Process) -> None:
    process.memory.unlink()
    with pytest.raises(TargetError, match="the target's code: no such file"):
        process.check(process.point(16))


@given(st.integers(-0x3000, 0x4000), st.binary(min_size=0, max_size=16))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_an_offset_is_used_only_where_the_bytes_are_the_same(
    process: Process, at: int, content: bytes
) -> None:
    point = Point(Role.RUNNING, 0x9000, OFFSET + at, content, True)
    try:
        process.check(point)
    except TargetError:
        assert not content or at < 0 or CODE[at : at + len(content)] != content
    else:
        assert at >= 0
        assert content
        assert CODE[at : at + len(content)] == content


@pytest.mark.parametrize(
    ("status", "release", "why"),
    [
        ("Seccomp:\t0\nx86_Thread_features:\t\n", "6.12.1", ""),
        ("Seccomp:\t2\n", "6.1.0-50-amd64", ""),
        ("Seccomp:\t2\n", "6.12.107+deb13", "seccomp"),
        ("Seccomp:\t2\n", "6.18.44", ""),
        ("Seccomp:\t0\nx86_Thread_features:\tshstk wrss\n", "6.18.44", "shadow stack"),
    ],
)
def test_returns_are_probed_only_where_that_is_safe(
    process: Process, status: str, release: str, why: str
) -> None:
    (process.home / "status").write_text(f"Name:\tservice\n{status}")
    if why:
        with pytest.raises(TargetError, match=why):
            require_safe_returns(PID, release, "x86_64", process.root)
    else:
        require_safe_returns(PID, release, "x86_64", process.root)


def test_returns_on_aarch64(process: Process) -> None:
    """A seccomp filter has no system call to refuse; a mapping tells of a shadow stack."""
    (process.home / "status").write_text("Name:\tservice\nSeccomp:\t2\n")
    smaps = process.home / "smaps"
    smaps.write_text("7f00-7f10 rw-p 0 00:00 0 \nVmFlags: rd wr mr mw me ac sd\n")
    require_safe_returns(PID, "6.12.107+deb13", "aarch64", process.root)
    smaps.write_text(
        smaps.read_text() + "8f00-8f10 rw-p 0 00:00 0 \nVmFlags: rd wr mr mw me ac ss sd\n"
    )
    with pytest.raises(TargetError, match="shadow stack"):
        require_safe_returns(PID, "6.18.1", "aarch64", process.root)
    smaps.unlink()
    with pytest.raises(TargetError, match="gone"):
        require_safe_returns(PID, "6.18.1", "aarch64", process.root)
