"""Finding the target by name and by pid, on constructed /proc trees."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from hud.errors import KernelError, TargetError, UsageError
from hud.process import find as module
from hud.process.find import command_line, find_target, process_identity, same_process

OWN = 900


@pytest.fixture
def host(tree: Any) -> Any:
    tree.add(1, "systemd", ppid=0)
    tree.add(2, "kthreadd", exe=None, ppid=0, flags=0x0020_8040)
    tree.add(50, "kworker/0:1", exe=None, ppid=2, flags=0x0420_8060)
    tree.add(4121, "api-server", exe="/srv/api-server", argv=["/srv/api-server", "--port", "80"])
    tree.add(4200, "postgres", exe="/usr/lib/postgresql/15/bin/postgres")
    tree.add(4300, "a-very-long-pro", exe="/opt/a-very-long-program-name")
    # sudo hud api-server, started from a shell
    tree.add(700, "bash")
    tree.add(800, "sudo", ppid=700)
    tree.add(OWN, "hud", ppid=800, exe="/usr/bin/python3.11")
    return tree


def found(tree: Any, name: str) -> int:
    return find_target(name, None, tree.root, OWN).pid


@pytest.mark.parametrize(
    ("name", "pid"),
    [
        ("api-server", 4121),
        ("/srv/api-server", 4121),
        ("./target/release/api-server", 4121),
        ("api", 4121),
        ("ostgre", 4200),
        ("a-very-long-pro", 4300),
        ("a-very-long-program-name", 4300),
        ("program", 4300),
    ],
)
def test_name_matches_comm_or_file_name_exactly_or_in_part(host: Any, name: str, pid: int) -> None:
    assert found(host, name) == pid


def test_exact_match_wins_over_a_longer_name_that_contains_it(host: Any) -> None:
    host.add(5000, "api")
    assert found(host, "api") == 5000
    with pytest.raises(TargetError, match=r'^3 processes match "ap') as caught:
        host.add(5001, "rapid")
        found(host, "ap")
    assert "4121" in caught.value.hint


def test_target_says_what_it_is(host: Any) -> None:
    target = find_target("api-server", None, host.root, OWN)
    assert (target.pid, target.name, target.executable, target.start_ticks) == (
        4121,
        "api-server",
        "/srv/api-server",
        5000,
    )


def test_deleted_executable_matches_by_its_name(tree: Any) -> None:
    tree.add(10, "main", exe="/srv/shop (deleted)")
    target = find_target("shop", None, tree.root, OWN)
    assert target.executable == "/srv/shop"


def test_hud_and_what_started_it_are_never_found_by_name(host: Any) -> None:
    for name in ("bash", "sudo", "hud", "python3.11"):
        with pytest.raises(TargetError, match="no process named"):
            found(host, name)
    host.add(701, "bash")
    assert found(host, "bash") == 701


def test_parent_loop_ends(tree: Any) -> None:
    tree.add(10, "a", ppid=11)
    tree.add(11, "b", ppid=10)
    tree.add(12, "c")
    assert find_target("c", None, tree.root, 10).pid == 12


def test_kernel_threads_and_zombies_are_not_found_by_name(host: Any) -> None:
    host.add(60, "shop", state="Z", exe=None)
    for name in ("kworker", "shop"):
        with pytest.raises(TargetError, match="no process named"):
            found(host, name)


def test_several_matches_are_listed_with_escaped_and_shortened_command_lines(tree: Any) -> None:
    tree.add(7, "web", argv=["/srv/web", "--title", "a\x1b[31mb"])
    tree.add(4242, "web", argv=["/srv/web", "x" * 200])
    with pytest.raises(TargetError) as caught:
        found(tree, "web")
    assert caught.value.exit_code == 3
    assert str(caught.value) == '2 processes match "web"'
    lines = caught.value.hint.split("\n")
    assert lines[0] == "choose one with --pid:"
    assert lines[1] == r"     7  /srv/web --title a\x1b[31mb"
    assert lines[2].startswith("  4242  /srv/web xxxx")
    assert lines[2].endswith("…")
    assert len(lines[2]) <= 80


def test_long_list_of_matches_is_cut(tree: Any) -> None:
    for pid in range(100, 130):
        tree.add(pid, "web")
    with pytest.raises(TargetError) as caught:
        found(tree, "web")
    assert caught.value.hint.split("\n")[-1] == "  and 18 more"


@pytest.mark.parametrize("name", ["api-servr", "API-Server", "apiserver"])
def test_near_miss_is_named(host: Any, name: str) -> None:
    with pytest.raises(TargetError) as caught:
        found(host, name)
    assert str(caught.value) == f'no process named "{name}"'
    assert caught.value.hint == "did you mean api-server (pid 4121)?"


def test_nothing_near_gives_no_guess(host: Any) -> None:
    with pytest.raises(TargetError) as caught:
        found(host, "zzzzqqqq")
    assert "did you mean" not in caught.value.hint


def test_hostile_name_is_escaped(host: Any) -> None:
    with pytest.raises(TargetError) as caught:
        found(host, "\x1b]0;x\x07")
    assert str(caught.value) == r'no process named "\x1b]0;x\x07"'


def test_neither_name_nor_pid(tree: Any) -> None:
    with pytest.raises(UsageError):
        find_target(None, None, tree.root, OWN)


def test_pid(host: Any) -> None:
    assert find_target(None, 4200, host.root, OWN).name == "postgres"
    assert find_target(None, 700, host.root, OWN).name == "bash"


@pytest.mark.parametrize(
    ("pid", "message", "hint"),
    [
        (99, "no process with pid 99", "ps -e"),
        (50, "process 50 (kworker/0:1) is a kernel thread", "user space"),
        (61, "process 61 (gone) is a zombie: it has ended", "4121"),
        (4125, "4125 is a thread of process 4121 (api-server)", "hud --pid 4121"),
        (OWN, "process 900 (hud) is hud itself", "the process to look at"),
    ],
)
def test_pid_that_cannot_be_looked_at(host: Any, pid: int, message: str, hint: str) -> None:
    host.add(61, "gone", state="Z", exe=None, ppid=4121)
    host.add(4125, "worker", tgid=4121)
    with pytest.raises(TargetError) as caught:
        find_target(None, pid, host.root, OWN)
    assert (str(caught.value), caught.value.exit_code) == (message, 3)
    assert hint in caught.value.hint


def test_process_of_another_user(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "readlink", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name, pid in (("postgres", None), (None, 4200)):
        with pytest.raises(KernelError) as caught:
            find_target(name, pid, host.root, OWN)
        assert caught.value.exit_code == 4
        assert "process 4200 (postgres): it belongs to user" in str(caught.value)
        assert caught.value.hint == "run as root: sudo hud --pid 4200"


def test_reused_pid_is_told_apart(tree: Any) -> None:
    tree.add(10, "shop", start=777)
    target = find_target("shop", None, tree.root, OWN)
    assert process_identity(10, tree.root) == 777
    assert same_process(target, tree.root)
    tree.stat(tree.root / "10/stat", 10, "shop", "S", 1, 0, 1, 778, 0)
    assert not same_process(target, tree.root)
    assert process_identity(11, tree.root) is None


def test_command_line_of_nothing_is_empty(tree: Any) -> None:
    assert command_line(4, tree.root) == ""


def test_a_pid_of_the_host_is_out_of_sight_in_a_container(
    tree: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for initial in (True, False):
        monkeypatch.setattr(module, "in_initial_pid_namespace", lambda _, initial=initial: initial)
        with pytest.raises(TargetError, match="no process with pid 12345") as refused:
            find_target(None, 12345, tree.root, OWN)
        assert ("--pid=host" in refused.value.hint) is not initial
