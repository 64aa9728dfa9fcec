"""Threads and their names, vanishing ones and hostile names included."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from hud.errors import TargetError
from hud.model import ThreadName
from hud.process.threads import Call, count_threads, list_threads, read_call, read_comm
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


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("202 0x1 0x2 0x3 0x4 0x5 0x6 0x70 0x71\n", Call(202, (1, 2, 3, 4, 5, 6), 0x70, 0x71)),
        ("-1 0x7f01 0x7f02\n", Call(-1, (), 0x7F01, 0x7F02)),
        ("running\n", None),
        ("", None),
        ("202 0x10 x 0x7f02", None),
    ],
)  # fmt: skip
def test_what_a_thread_is_blocked_in(tree: Any, text: str, call: Call | None) -> None:
    home = tree.add(100, "shop", threads={100: "shop"})
    (home / "task/100/syscall").write_text(text)
    assert read_call(100, 100, tree.root) == call
    assert read_call(100, 101, tree.root) is None


def test_process_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="threads of process 7: the process is gone"):
        list_threads(7, tmp_path)


def test_own_main_thread_is_listed() -> None:
    pid = os.getpid()
    assert pid in [thread.tid for thread in list_threads(pid)]


def test_threads_are_counted_by_their_directory(tmp_path: Path) -> None:
    pid = os.getpid()
    done = threading.Event()
    before = count_threads(pid)
    other = threading.Thread(target=done.wait)
    other.start()
    assert count_threads(pid) == before + 1
    done.set()
    other.join()
    assert count_threads(7, tmp_path) == 0
