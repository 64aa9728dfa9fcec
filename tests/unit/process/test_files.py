"""Paths that others chose stay inside their root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hud.process.files import open_inside


def read(root: Path, path: str) -> bytes:
    with open(open_inside(root, path), "rb") as file:
        return file.read()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_bytes(b"outside")
    root = tmp_path / "root"
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/a").write_bytes(b"inside")
    return root


def test_links_are_followed_as_inside(root: Path) -> None:
    (root / "lib").symlink_to("/usr/lib")
    (root / "usr/lib/b").symlink_to("../../../../../usr/lib/a")
    assert read(root, "/usr/lib/a") == b"inside"
    assert read(root, "/lib/b") == b"inside"
    assert read(root, "/../../usr/lib/a") == b"inside"


@pytest.mark.parametrize("target", ["/outside", "../outside", "../../../outside"])
def test_no_link_leads_out(target: str, root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to(str(tmp_path) + target if target == "/outside" else target)
    with pytest.raises(OSError, match="No such file"):
        open_inside(root, "/link")


def test_only_regular_files(root: Path) -> None:
    os.mkfifo(root / "fifo")
    for path in ("/fifo", "/usr", "/", ""):
        with pytest.raises(OSError, match="not a regular file"):
            open_inside(root, path)
    for path in ("/absent", "/usr/lib/a/b"):
        with pytest.raises(OSError, match=r"No such file|Not a directory"):
            open_inside(root, path)
    with pytest.raises(OSError, match="NUL"):
        open_inside(root, "/usr\0/lib")


def test_magic_links_are_refused() -> None:
    with pytest.raises(OSError, match="symbolic links"):
        open_inside(Path("/"), "/proc/self/exe")
