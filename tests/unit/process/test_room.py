"""What cgroups of either version leave a process, from trees built in a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from hud.process.room import memory_left
from tests.unit.process.test_pressure import PID, group, tree


def v2(path: Path, limit: str, used: int, files: int = 0) -> None:
    stat = f"anon 9\ninactive_file {files}\nactive_file 2\n"
    group(path, memory__max=f"{limit}\n", memory__current=f"{used}\n", memory__stat=stat)


def v2_tree(tmp_path: Path) -> tuple[Path, Path]:
    top = tmp_path / "cg"
    mounts = f"30 1 0:26 / {top} rw - cgroup2 cgroup2 rw\n"
    return tree(tmp_path, "0::/a.slice/b.service\n", mounts), top


def test_the_narrowest_group_counts_and_files_are_given_back(tmp_path: Path) -> None:
    proc, top = v2_tree(tmp_path)
    v2(top / "a.slice" / "b.service", "1000", 300, 100)
    v2(top / "a.slice", "2000", 1900, 8)
    assert memory_left(PID, proc) == 2000 - 1900 + 8 + 2
    v2(top / "a.slice", "max", 1900)
    assert memory_left(PID, proc) == 1000 - 300 + 100 + 2
    v2(top / "a.slice" / "b.service", "1000", 5000)
    assert memory_left(PID, proc) == 0


@pytest.mark.parametrize("limit", ["max", "?"])
def test_no_limit(tmp_path: Path, limit: str) -> None:
    proc, top = v2_tree(tmp_path)
    assert memory_left(PID, proc) is None
    v2(top / "a.slice" / "b.service", limit, 1)
    assert memory_left(PID, proc) is None
    (top / "a.slice" / "b.service" / "memory.current").write_text("many")
    assert memory_left(PID, proc) is None


def test_version_1(tmp_path: Path) -> None:
    top = tmp_path / "memory"
    mounts = f"25 1 0:20 / {top} rw - cgroup cgroup rw,memory\n"
    proc = tree(tmp_path, "3:cpu:/c\n8:memory:/m\n0::/\n", mounts)
    stat = "inactive_file 7\ntotal_inactive_file 30\ntotal_active_file 20\n"
    files = {"memory__limit_in_bytes": "1000\n", "memory__usage_in_bytes": "400\n"}
    group(top / "m", **files, memory__stat=stat)
    assert memory_left(PID, proc) == 1000 - 400 + 50
