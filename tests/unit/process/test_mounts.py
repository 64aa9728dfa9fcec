"""mountinfo, and from places in file systems to paths."""

from __future__ import annotations

from hud.process.mounts import Mount, path_at, read_mounts

LINES = r"""
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 254:16 / /data rw - xfs /dev/vdb rw
23 21 254:0 /srv/app /my\040app rw master:2 - ext4 /dev/vda rw
24 21 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate
25 21 not numbers - ext4
26 21 0:27
"""
MOUNTS = read_mounts(LINES)


def test_lines() -> None:
    assert MOUNTS[2] == Mount((254, 0), "/srv/app", "/my app", "ext4", "rw")
    assert [mount.kind for mount in MOUNTS] == ["ext4", "xfs", "ext4", "cgroup2"]


def test_paths() -> None:
    assert path_at(MOUNTS, (254, 16), "/index/7") == "/data/index/7"
    assert path_at(MOUNTS, (254, 0), "/etc/passwd") == "/etc/passwd"
    assert path_at(MOUNTS, (254, 0), "/srv/app/log") == "/my app/log"
    assert path_at(MOUNTS, (254, 0), "/srv/apple") == "/srv/apple"
    assert path_at(MOUNTS, (9, 9), "/x") == ""
