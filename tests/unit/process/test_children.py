"""What the target has started: found in a /proc of files, and really."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hud.process.children import Children, descendants


def _process(proc: Path, pid: int, children: str, ticks: int, state: str = "S") -> None:
    task = proc / str(pid) / "task" / str(pid)
    task.mkdir(parents=True, exist_ok=True)
    (task / "children").write_text(children)
    fields = [state, "1", *["0"] * 9, str(ticks), "0", *["0"] * 30]
    (proc / str(pid) / "stat").write_text(f"{pid} (work er) {' '.join(fields)}\n")


def test_the_busiest_comes_first_and_what_was_before_does_not_count(tmp_path: Path) -> None:
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    _process(tmp_path, 10, "20 21 22 ", 0)
    _process(tmp_path, 20, "", 500)
    _process(tmp_path, 21, "30 ", 0)
    _process(tmp_path, 22, "", 9, state="Z")
    _process(tmp_path, 30, "", 0)
    children = Children(10, tmp_path)
    _process(tmp_path, 20, "", 501)
    _process(tmp_path, 30, "", 7)
    found = children.read()
    assert [(one.pid, one.name, one.cpu_ns) for one in found] == [
        (30, "work er", 7 * tick),
        (20, "work er", tick),
        (21, "work er", 0),
    ]
    _process(tmp_path, 21, "30 31 ", 0)
    _process(tmp_path, 31, "", 4)
    assert 31 in [one.pid for one in children.read(last=True)], "born since"


def test_nonsense_is_no_child(tmp_path: Path) -> None:
    assert descendants(10, tmp_path) == []
    _process(tmp_path, 10, "10 x -3 99999 99999", 0)
    assert descendants(10, tmp_path) == [99999]
    assert Children(10, tmp_path).read() == ()


@pytest.mark.skipif(
    not Path("/proc/self/task/self").parent.joinpath(str(os.getpid()), "children").exists(),
    reason="no CONFIG_PROC_CHILDREN",
)
def test_a_real_child_is_found() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in descendants(os.getpid())
        child.communicate(b"\n")
