"""The causes of EPERM, in their order, each with its remedy."""

from __future__ import annotations

import errno
import os
import resource
from dataclasses import replace

import pytest

from hud.kernel.denied import Privileges, allow_locked_memory, diagnose, privileges, refused
from hud.kernel.loader import rejected

ALL = (1 << 41) - 1
FREE = Privileges(
    root=True,
    capabilities=ALL,
    lockdown="none",
    seccomp=False,
    own_user_namespace=False,
    release=(6, 1),
    memlock=-1,
)
NOBODY = Privileges(
    root=False,
    capabilities=0,
    lockdown="confidentiality",
    seccomp=True,
    own_user_namespace=True,
    release=(5, 10),
    memlock=65536,
)


@pytest.mark.parametrize(
    ("now", "cause", "remedy"),
    [
        (NOBODY, "not root", "run as root"),
        (replace(NOBODY, root=True), "CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE missing", "--cap-add"),
        (
            replace(NOBODY, root=True, capabilities=ALL & ~(1 << 19)),
            "CAP_SYS_PTRACE missing",
            "CAP_SYS_PTRACE",
        ),
        (replace(NOBODY, capabilities=ALL), "kernel lockdown (confidentiality)", "lockdown"),
        (replace(NOBODY, capabilities=ALL, lockdown="none"), "a seccomp filter", "seccomp="),
        (replace(FREE, release=(5, 10), memlock=65536), "the locked-memory limit", "ulimit -l"),
        (replace(FREE, release=(5, 11), memlock=65536), "permission denied", "audit log"),
        (replace(FREE, own_user_namespace=True), "a user namespace", "host"),
        (replace(FREE, lockdown="integrity"), "permission denied", "audit log"),
        (FREE, "permission denied", "audit log"),
    ],
)
def test_causes_in_their_order(now, cause, remedy):
    said, hint = diagnose(now)
    assert said == cause
    assert remedy in hint


def test_admin_stands_for_the_newer_capabilities():
    assert replace(FREE, capabilities=1 << 21).missing() == ["CAP_SYS_PTRACE"]
    assert replace(FREE, capabilities=1 << 39 | 1 << 38 | 1 << 19).missing() == []


def test_privileges_are_read_from_files(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "sys/kernel/security").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text(
        "Name:\tx\nCapPrm:\t0000000000000001\nCapEff:\t000000c000080000\nSeccomp:\t2\n"
        "Seccomp_filters:\t1\n"
    )
    (tmp_path / "proc/self/uid_map").write_text("         0       1000          1\n")
    (tmp_path / "sys/kernel/security/lockdown").write_text("none [integrity] confidentiality\n")
    now = privileges(tmp_path)
    assert now.capabilities == 0xC000080000
    assert now.missing() == []
    assert now.lockdown == "integrity"
    assert now.seccomp
    assert now.own_user_namespace
    blank = privileges(tmp_path / "nowhere")
    assert (blank.lockdown, blank.seccomp, blank.own_user_namespace) == ("", False, False)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EPERM, "create map m: not permitted: not root"),
        (errno.EACCES, "create map m: not permitted: not root"),
        (errno.ENOSYS, "create map m: not supported"),
        (errno.ENOMEM, "create map m: out of memory"),
        (errno.EINVAL, "create map m: invalid argument"),
    ],
)
def test_refusals_are_sentences(number, message):
    error = refused("create map m", OSError(number, os.strerror(number)), NOBODY)
    assert str(error) == message
    assert error.hint or number == errno.EINVAL


def test_rejections_quote_the_verifier():
    log = b"\n".join(b"%d: (b7) r0 = 0" % n for n in range(100)) + (
        b"\nR1 invalid mem access 'scalar'\nprocessed 100 insns (limit 1000000)\n"
    )
    error = rejected("p", OSError(errno.EACCES, "Permission denied"), log)
    assert str(error) == "load program p: rejected by the verifier: R1 invalid mem access 'scalar'"
    assert len(error.detail.splitlines()) == 40
    assert "99: (b7) r0 = 0" in error.detail


def test_rejections_name_the_missing_field():
    log = b"0: (85) call unknown#195896083\ninvalid func unknown#195896083\n"
    error = rejected("p", OSError(errno.EINVAL, "x"), log, {195896083: "task_struct.state"})
    assert str(error) == "load program p: this kernel has no task_struct.state"


@pytest.mark.parametrize(("release", "raised"), [((5, 10), True), ((5, 11), False)])
def test_the_locked_memory_limit_is_raised_where_the_kernel_counts_by_it(
    release: tuple[int, int], raised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda *limit: set_to.append(limit))
    allow_locked_memory(release)
    assert set_to == ([(resource.RLIMIT_MEMLOCK, (-1, -1))] if raised else [])


def test_a_limit_that_may_not_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_limit: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    allow_locked_memory((5, 10))
