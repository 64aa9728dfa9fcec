"""Pid namespaces and containers, from /proc."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hud.errors import KernelError
from hud.process.namespace import (
    container_name,
    in_initial_pid_namespace,
    join_initial_time_namespace,
    require_initial_pid_namespace,
)

HEX = "0123456789ab" + "c" * 52


@pytest.mark.parametrize(
    ("cgroup", "name"),
    [
        ("0::/\n", ""),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", ""),
        (f"0::/system.slice/docker-{HEX}.scope\n", "docker 0123456789ab"),
        (f"12:cpu:/docker/{HEX}\n0::/\n", "docker 0123456789ab"),
        (f"0::/machine.slice/libpod-{HEX}.scope/container\n", "podman 0123456789ab"),
        (
            f"0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-{HEX}.scope\n",
            "kubernetes 0123456789ab",
        ),
        ("0::/lxc.payload.web1/init.scope\n", "lxc web1"),
    ],
)
def test_container_by_cgroup_path(tree: Any, cgroup: str, name: str) -> None:
    tree.add(10, "shop", extra={"cgroup": cgroup})
    assert container_name(10, tree.root) == name


def test_other_pid_namespace_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").write_text("")  # any inode but that of the initial namespace
    assert not in_initial_pid_namespace(tmp_path)
    with pytest.raises(KernelError) as caught:
        require_initial_pid_namespace(tmp_path)
    assert "--pid=host" in caught.value.hint
    assert caught.value.exit_code == 4


def test_another_clock_than_the_kernels_is_refused(tmp_path: Path) -> None:
    for process in ("self", "1"):
        (tmp_path / process / "ns").mkdir(parents=True)
        (tmp_path / process / "ns/time").write_text("")
    with pytest.raises(KernelError) as caught:
        join_initial_time_namespace(tmp_path)
    assert "--time=/proc/1/ns/time" in caught.value.hint
    assert caught.value.exit_code == 4


def test_kernel_without_namespaces_is_fine(tmp_path: Path) -> None:
    assert in_initial_pid_namespace(tmp_path)
    require_initial_pid_namespace(tmp_path)
    join_initial_time_namespace(tmp_path)
