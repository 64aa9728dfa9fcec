"""CPU quotas by cgroup of either version, and stolen time, from trees built in a directory."""

from __future__ import annotations

import os
from pathlib import Path

from hud.model import HostPressure
from hud.process.pressure import HostWatch, groups_of

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PID = 77


def tree(tmp_path: Path, cgroup: str, mounts: str, theirs: str = "") -> Path:
    proc = tmp_path / "proc"
    for pid in ("self", str(PID)):
        (proc / pid).mkdir(parents=True)
    (proc / str(PID) / "cgroup").write_text(cgroup)
    (proc / "self" / "mountinfo").write_text(mounts)
    (proc / str(PID) / "mountinfo").write_text(theirs)
    stolen(proc, 5)
    return proc


def stolen(proc: Path, ticks: int) -> None:
    (proc / "stat").write_text(f"cpu  1 2 3 4 5 6 7 {ticks} 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n")


def group(path: Path, **files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)
    return path


def v2(path: Path, periods: int, usec: int, quota: str = "max 100000") -> Path:
    stat = f"usage_usec 9\nnr_periods 50\nnr_throttled {periods}\nthrottled_usec {usec}\n"
    return group(path, cpu__stat=stat, cpu__max=f"{quota}\n")


def test_the_group_around_it_that_stopped_it_longest(tmp_path: Path) -> None:
    top = tmp_path / "cg"
    mounts = f"30 1 0:26 / {top} rw - cgroup2 cgroup2 rw\n"
    proc = tree(tmp_path, "0::/a.slice/b.service\n", mounts)
    v2(top / "a.slice" / "b.service", 1, 10, "200000 100000")
    v2(top / "a.slice", 3, 1000, "50000 100000")
    watch = HostWatch(PID, proc)
    assert watch.read() == HostPressure(quota="2 CPUs in /a.slice/b.service")
    v2(top / "a.slice" / "b.service", 2, 20, "200000 100000")
    v2(top / "a.slice", 13, 501_000, "50000 100000")
    stolen(proc, 9)
    assert watch.read() == HostPressure(
        throttled_ns=500_000_000,
        throttled_periods=10,
        stolen_ns=4 * TICK_NS,
        quota="0.5 CPUs in /a.slice",
    )


def test_version_1(tmp_path: Path) -> None:
    top = tmp_path / "cpu,cpuacct"
    mounts = (
        f"25 1 0:20 / {tmp_path}/memory rw - cgroup cgroup rw,memory\n"
        f"26 1 0:21 / {top} rw - cgroup cgroup rw,cpu,cpuacct\n"
    )
    proc = tree(tmp_path, "8:memory:/m\n3:cpu,cpuacct:/jobs\n0::/\n", mounts)
    stat = "nr_periods 9\nnr_throttled {}\nthrottled_time {}\n"
    jobs = group(
        top / "jobs",
        cpu__stat=stat.format(1, 5),
        cpu__cfs_quota_us="100000\n",
        cpu__cfs_period_us="100000\n",
    )
    group(top, cpu__stat=stat.format(0, 0), cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    watch = HostWatch(PID, proc)
    (jobs / "cpu.stat").write_text(stat.format(4, 1005))
    assert watch.read() == HostPressure(1000, 3, 0, "1 CPU in /jobs")


def test_part_of_a_hierarchy_is_mounted_as_in_a_container(tmp_path: Path) -> None:
    top = tmp_path / "cg"
    mounts = f"30 1 0:26 /docker/abc {top} rw - cgroup2 cgroup2 rw\n"
    proc = tree(tmp_path, "0::/docker/abc/inner\n", mounts)
    v2(top / "inner", 0, 0, "10000 100000")
    v2(top, 0, 0)
    assert [one.name for one in groups_of(PID, proc)] == ["/inner", "/"]
    assert HostWatch(PID, proc).read().quota == "0.1 CPUs in /inner"


def test_the_targets_own_mount_is_the_last_resort(tmp_path: Path) -> None:
    theirs = "30 1 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    proc = tree(tmp_path, "0::/../pod/x\n", "30 1 0:26 / /nowhere rw - cgroup2 c rw\n", theirs)
    v2(proc / str(PID) / "root" / "sys" / "fs" / "cgroup", 0, 0, "150000 100000")
    assert HostWatch(PID, proc).read().quota == "1.5 CPUs in /"


def test_nothing_readable_is_nothing_told(tmp_path: Path) -> None:
    assert HostWatch(PID, tmp_path).read() == HostPressure()
    odd = "0::/x\n:::\nnonsense\n"
    proc = tree(tmp_path, odd, "30 1 0:26 / / rw\n- - -\n1 2 x:y / / rw - cgroup2 c rw\n")
    (proc / "stat").write_text("cpu\n")
    assert HostWatch(PID, proc).read() == HostPressure()
