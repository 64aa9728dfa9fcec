"""The programs below a command are held before their main, unseen, and go on whatever hud does."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hud.errors import KernelError, TargetError
from hud.process import tree
from hud.process.tree import Held, Tree

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a filter without more takes root"),
    pytest.mark.timeout(60),
]

LIKE_STD = "import select; p = select.poll(); [p.register(n) for n in (0, 1, 2)]; p.poll(0)"
"""What Rust's std does before main."""


def held(tree: Tree, timeout_s: float = 20) -> Held | None:
    """The next one; None = nobody within that time."""
    ready, _, _ = select.select([tree], [], [], timeout_s)
    return tree.held() if ready else None


def program(then: str) -> str:
    return f"{sys.executable} -c '{LIKE_STD}; {then}'"


def ended(tree: Tree) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(tree.pid, 0)[1])


def test_each_is_held_and_let_go(tmp_path: Path) -> None:
    marks = [tmp_path / name for name in ("one", "two")]
    script = "; ".join(program(f'open("{mark}", "w")') for mark in marks)
    with Tree(["sh", "-c", f"{script}; exit 5"], None) as tree:
        pids = set()
        for number, _ in enumerate(marks):
            one = held(tree)
            assert one is not None
            assert [mark.exists() for mark in marks] == [at < number for at in range(2)]
            assert "-c" in Path(f"/proc/{one.pid}/cmdline").read_text()
            assert "State:\tS" in Path(f"/proc/{one.pid}/status").read_text(), "not stopped"
            pids.add(one.pid)
            tree.let_go(one.ticket)
        assert len(pids - {tree.pid}) == 2
        assert ended(tree) == 5
    assert all(mark.exists() for mark in marks)


def test_other_polls_are_not_held() -> None:
    others = "; ".join(
        f"p = select.poll(); [p.register(n) for n in {streams}]; p.poll(0)"
        for streams in ("(0, 1)", "(0, 1, 2, 3)")
    )
    with Tree([sys.executable, "-c", f"import select; {others}"], None) as tree:
        assert ended(tree) == 0


def test_nothing_of_it_is_left() -> None:
    """No child, and nobody who waits for what has ended."""
    with Tree(["true"], None) as tree:
        assert ended(tree) == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_one_that_dies_meanwhile() -> None:
    with Tree(["sh", "-c", program("pass")], None) as tree:
        one = held(tree)
        assert one is not None
        os.kill(one.pid, signal.SIGKILL)
        tree.let_go(one.ticket)
        assert ended(tree) in (137, -9)


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_what_is_left_of_the_tree_goes_on(how: str, tmp_path: Path) -> None:
    """Its polls would fail without somebody who answers."""
    mark = tmp_path / "mark"
    command = [sys.executable, "-c", f"{LIKE_STD}; open({str(mark)!r}, 'w')"]
    end = "tree.close(); os._exit(0)" if how == "closed" else "os.kill(os.getpid(), 9)"
    script = f"""
import os, select
from hud.process.tree import Tree
tree = Tree({command!r}, None)
select.select([tree], [], [])
print(tree.held().pid, flush=True)
{end}
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        stderr=subprocess.DEVNULL,  # the program's own end with it
    )
    pid = int(done.stdout)
    until = time.monotonic() + 20
    while not mark.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert mark.exists(), Path(f"/proc/{pid}/syscall").read_text()


def test_what_cannot_be_started() -> None:
    with pytest.raises(TargetError, match="start /nothing/here: no such file or directory"):
        Tree(["/nothing/here"], None)


def test_where_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As below another filter of that kind."""
    monkeypatch.setattr(tree, "SECCOMP_FILTER_FLAG_NEW_LISTENER", 1 << 20)
    with pytest.raises(KernelError, match="hold programs: seccomp: invalid argument"):
        Tree(["true"], None)


def test_below_another_of_its_kind() -> None:
    """There is one listener in a tree."""
    code = (
        "from hud.errors import KernelError; from hud.process.tree import Tree\n"
        "try: Tree(['true'], None)\n"
        "except KernelError as error: raise SystemExit('outside' in error.hint and 9)"
    )
    with Tree([sys.executable, "-c", code], None) as tree:
        assert ended(tree) == 9


def test_a_shell_with_job_control_sees_nothing(need: Callable[[object, str], None]) -> None:
    need(shutil.which("bash"), "bash")
    with Tree(["bash", "-ic", f"{program('pass')}; jobs"], None) as tree:
        one = held(tree)
        assert one is not None
        tree.let_go(one.ticket)
        assert ended(tree) == 0
