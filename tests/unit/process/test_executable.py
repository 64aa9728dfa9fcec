"""Descriptors of what the target runs, on this process and on constructed trees; no root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hud.errors import TargetError
from hud.model import Mapping
from hud.process.executable import open_executable, open_mapping, open_named, same_file
from hud.process.mappings import read_mappings


def mapping(path: str, inode: int, **more: Any) -> Mapping:
    return Mapping(0x1000, 0x2000, 0, True, path, "fd:01", inode, **more)


@pytest.fixture
def shop(tree: Any, tmp_path: Path) -> tuple[Path, Path]:
    """The proc root, and a library as process 10 sees it under /lib/libshop.so."""
    home = tree.add(10, "shop")
    root = tmp_path / "container"
    (root / "lib").mkdir(parents=True)
    library = root / "lib/libshop.so"
    library.write_bytes(b"ELF, more or less")
    (home / "root").symlink_to(root)
    return tree.root, library


def test_own_executable() -> None:
    descriptor = open_executable(os.getpid())
    again = open_named("/proc/self/exe")
    other = open_named(__file__)
    try:
        assert same_file(descriptor, again)
        assert not same_file(descriptor, other)
        assert not os.get_inheritable(descriptor)
        assert os.pread(descriptor, 4, 0) == b"\x7fELF"
        with pytest.raises(OSError):
            os.write(descriptor, b"x")
    finally:
        for each in (descriptor, again, other):
            os.close(each)


def test_library_by_path_inside_the_targets_root(shop: tuple[Path, Path]) -> None:
    proc, library = shop
    descriptor = open_mapping(10, mapping("/lib/libshop.so", library.stat().st_ino), proc)
    try:
        assert os.read(descriptor, 100) == b"ELF, more or less"
    finally:
        os.close(descriptor)


def test_map_files_come_first(shop: tuple[Path, Path], tmp_path: Path) -> None:
    proc, _library = shop
    old = tmp_path / "old"
    old.write_bytes(b"the old one")
    (proc / "10/map_files").mkdir()
    (proc / "10/map_files/1000-2000").symlink_to(old)
    deleted = mapping("/lib/libshop.so", old.stat().st_ino, deleted=True)
    descriptor = open_mapping(10, deleted, proc)
    try:
        assert os.read(descriptor, 100) == b"the old one"
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("path", "inode", "message"),
    [
        ("/lib/libshop.so", 1, "not the file that is mapped"),
        ("/lib/libnone.so", 7, "no such file or directory"),
        ("[heap]", 0, "no file behind it"),
        ("", 0, "anonymous memory: no file behind it"),
        ("/lib/\x1b[31m", 7, r"/lib/\\x1b\[31m: no such file"),
    ],
)
def test_mapping_without_its_file(
    shop: tuple[Path, Path], path: str, inode: int, message: str
) -> None:
    with pytest.raises(TargetError, match=message):
        open_mapping(10, mapping(path, inode), shop[0])


def test_deleted_file_is_not_looked_for_by_path(shop: tuple[Path, Path]) -> None:
    proc, library = shop
    with pytest.raises(TargetError, match="deleted"):
        open_mapping(10, mapping("/lib/libshop.so", library.stat().st_ino, deleted=True), proc)


def test_fifo_symlink_and_device_under_a_targets_path_are_refused(
    shop: tuple[Path, Path],
) -> None:
    proc, library = shop
    os.mkfifo(library.parent / "fifo")
    (library.parent / "link").symlink_to(library)
    for name in ("fifo", "link"):
        inode = (library.parent / name).stat().st_ino
        with pytest.raises(TargetError, match=r"not a regular file|symbolic link"):
            open_mapping(10, mapping(f"/lib/{name}", inode), proc)
    with pytest.raises(TargetError, match="not a regular file"):
        open_named("/dev/null")


def test_refusals_leave_no_descriptor_open(shop: tuple[Path, Path]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path, inode in (("/lib/libshop.so", 1), ("/lib", 5), ("/none", 5)):
        with pytest.raises(TargetError):
            open_mapping(10, mapping(path, inode), shop[0])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_vdso_is_copied_from_memory() -> None:
    vdso = next(item for item in read_mappings(os.getpid()) if item.path == "[vdso]")
    descriptor = open_mapping(os.getpid(), vdso)
    try:
        assert os.read(descriptor, 4) == b"\x7fELF"
        assert os.fstat(descriptor).st_size == vdso.end - vdso.start
    finally:
        os.close(descriptor)


def test_vdso_of_a_hostile_size_is_refused() -> None:
    with pytest.raises(TargetError, match="bytes long"):
        open_mapping(os.getpid(), Mapping(0, 1 << 40, 0, True, "[vdso]"))


def test_executable_of_a_process_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="executable of process 5: no such file"):
        open_executable(5, tmp_path)
