"""Threads and their names, vanishing ones and hostile names included."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hud.errors import TargetError
from hud.model import ThreadName
from hud.target.threads import list_threads, read_comm
from hud.text import printable


def test_threads_by_tid_with_raw_names(tree: Any) -> None:
    tree.add(100, "shop", threads={100: "shop", 1002: "b", 103: " a \x1b[2J"})
    tree.thread(100, 104, b"\xff\n\n")
    assert list_threads(100, tree.root) == [
        ThreadName(100, "shop"),
        ThreadName(103, " a \x1b[2J"),
        ThreadName(104, "\udcff\n\n"),
        ThreadName(1002, "b"),
    ]
    assert printable("\udcff\n\n") == r"\xff\x0a\x0a"


def test_thread_that_ends_meanwhile_is_left_out(tree: Any) -> None:
    home = tree.add(100, "shop", threads={100: "shop", 101: "a"})
    (home / "task/101/comm").unlink()
    assert list_threads(100, tree.root) == [ThreadName(100, "shop")]
    assert read_comm(100, 101, tree.root) is None


def test_process_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="threads of process 7: the process is gone"):
        list_threads(7, tmp_path)


def test_own_main_thread_is_listed() -> None:
    pid = os.getpid()
    assert pid in [thread.tid for thread in list_threads(pid)]
