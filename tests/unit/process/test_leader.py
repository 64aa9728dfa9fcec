"""A process whose main thread has ended while others run: everything is read of one that lives."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hud.errors import TargetError
from hud.model import Mapping
from hud.process.descriptors import describe
from hud.process.executable import open_executable, open_mapping
from hud.process.find import find_target
from hud.process.life import Exec, LifeCycle
from hud.process.mappings import read_mappings
from hud.process.mounts import mounts_of
from hud.process.namespace import container_name
from hud.process.procfs import live_tids, map_files, proc_directory
from hud.process.threads import list_threads
from hud.profiler.naming.debugfiles import DebugFileSearch
from hud.runtime.memory import memory_reader

SOURCES = Path(__file__).resolve().parents[3] / "hud"
OF_A_LIVING_THREAD = (
    "auxv|cgroup|cmdline|cwd|environ|exe|fd|maps|map_files|mem|mountinfo|net|ns|root"
)
CONTAINER = "0123456789ab"


@pytest.fixture
def shop(tree: Any, tmp_path: Path) -> Any:
    """Process 10: its leader and thread 11 have ended, 12 and 13 live."""
    tree.add(10, "shop", state="Z", exe=None, threads={10: "shop", 11: "a", 12: "b", 13: "c"})
    tree.thread(10, 11, b"a", state="X")
    (tree.root / "10/maps").write_text("")
    living = tree.root / "10/task/12"
    root = tmp_path / "container"
    (root / "lib").mkdir(parents=True)
    program = root / "lib/shop"
    program.write_bytes(b"a program")
    (living / "exe").symlink_to(program)
    (living / "root").symlink_to(root)
    (living / "fd").mkdir()
    (living / "fd/3").symlink_to(program)
    (living / "maps").write_text(
        f"1000-2000 r-xp 00000000 fd:01 {program.stat().st_ino} /lib/shop\n"
    )
    (living / "mem").write_bytes(bytes(0x1000) + b"code")
    (living / "cgroup").write_text(f"0::/docker/{CONTAINER}{'0' * 52}\n")
    (living / "mountinfo").write_text("22 27 0:21 / /srv rw,relatime - proc proc rw\n")
    return tree


def content(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def memory(proc: Path) -> bytes:
    descriptor, read = memory_reader(10, proc)
    try:
        return read(0x1000, 4)
    finally:
        os.close(descriptor)


def library(proc: Path) -> bytes:
    return content(open_mapping(10, read_mappings(10, proc)[0], proc))


def mount(proc: Path) -> str:
    return mounts_of(10, proc)[0].point


def program(proc: Path) -> bytes:
    return content(open_executable(10, proc))


def debug_file(proc: Path) -> bytes:
    found = DebugFileSearch(10, proc=proc, host=proc).split_object("/lib/shop", "shop.dwo")
    assert found is not None
    return content(found.descriptor)


@pytest.mark.parametrize(
    ("read", "wanted"),
    [
        (program, b"a program"),
        (library, b"a program"),
        (memory, b"code"),
        (mount, "/srv"),
        (debug_file, b"split"),
        (lambda proc: container_name(10, proc), f"docker {CONTAINER}"),
        (lambda proc: [one.tid for one in list_threads(10, proc)], [11, 12, 13]),
    ],
)
def test_read_of_a_thread_that_lives(
    shop: Any, read: Callable[[Path], object], wanted: object
) -> None:
    (shop.root / "10/task/12/root/lib/shop.dwo").write_bytes(b"split")
    assert read(shop.root) == wanted


def test_its_descriptors(shop: Any) -> None:
    found = describe(10, 3, shop.root)
    assert found is not None
    assert found.detail.endswith("/lib/shop")


def test_links_to_mapped_files_are_those_of_the_threads_own_number(shop: Any) -> None:
    assert map_files(10, shop.root) == shop.root / "12/map_files"
    replaced = shop.root / "replaced"
    replaced.write_bytes(b"what is mapped")
    (shop.root / "12/map_files").mkdir(parents=True)
    (shop.root / "12/map_files/1000-2000").symlink_to(replaced)
    mapping = Mapping(0x1000, 0x2000, 0, True, "/lib/shop", "fd:01", 1, deleted=True)
    assert content(open_mapping(10, mapping, shop.root)) == b"what is mapped"


def test_it_is_found_by_name_and_pid(shop: Any) -> None:
    by_name, by_pid = (find_target(*one, shop.root, 900) for one in (("shop", None), (None, 10)))
    assert by_name == by_pid
    assert (by_pid.name, by_pid.executable.endswith("/lib/shop")) == ("shop", True)


def test_without_a_living_thread_it_has_ended(shop: Any) -> None:
    for tid in (12, 13):
        shop.thread(10, tid, b"b", state="Z")
    assert proc_directory(10, shop.root) == shop.root / "10"
    with pytest.raises(TargetError, match="is a zombie: it has ended"):
        find_target(None, 10, shop.root, 900)


def test_a_leader_that_lives_is_asked_itself(tree: Any) -> None:
    tree.add(10, "shop", threads={10: "shop", 12: "b"})
    assert proc_directory(10, tree.root) == tree.root / "10"
    assert map_files(10, tree.root) == tree.root / "10/map_files"
    assert live_tids(10, tree.root) == [10, 12]


def test_exec_after_the_leaders_end_is_noticed(shop: Any) -> None:
    pid = os.getpid()  # a pidfd wants a real process
    (shop.root / "10").rename(shop.root / str(pid))
    for tid in (10, pid):
        shop.thread(pid, tid, b"shop", state="Z")
    (shop.root / str(pid) / "task/10").rename(shop.root / "elsewhere")
    with LifeCycle(pid, shop.root) as life:
        assert set(life.threads) == {11, 12, 13}
        shop.thread(pid, pid, b"other", stack=0x7FFE_0000_0000)
        assert Exec() in life.read()
        assert pid in life.threads


def test_no_code_asks_the_leader_for_what_only_a_living_thread_has() -> None:
    direct = re.compile(rf'str\((?:\w+\.)*_?pid\) / "(?:{OF_A_LIVING_THREAD})"')
    found = [
        f"{path.relative_to(SOURCES)}:{number}"
        for path in sorted(SOURCES.rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").split("\n"), 1)
        if direct.search(line)
    ]
    assert found == []
