"""What hud needs of its privileges and of the machine's settings, and what each costs if missing.

One row each; tests/e2e/test_needs.py tries them. ``hud doctor`` prints what is missing here, ``hud
help security`` has all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from hud.kernel import denied, uapi
from hud.kernel.denied import Privileges

_NAME_COLUMNS = 27

NOT_AT_ALL = "hud does not run"
OTHERS = "another user's process"
NO_KERNEL_NAMES = "kernel functions have no names"


class Here(NamedTuple):
    """What the rows ask for."""

    now: Privileges
    kptr_restrict: int
    """sysctl; 0 where there is none, as the next."""
    ptrace_scope: int
    own_network: bool
    """hud is in a network namespace of its own."""

    def holds(self, *capabilities: int) -> bool:
        """Any of them."""
        return any(self.now.capabilities >> one & 1 for one in capabilities)


class Need(NamedTuple):
    """One row."""

    name: str
    costs: str
    lacks: Callable[[Here], bool] = lambda _: False
    """Whether it is missing, or in the way, here."""
    remedy: str = ""
    stops: bool = False
    """hud cannot run, whatever the process."""


TABLE = (
    Need(
        "CAP_BPF",
        f"{NOT_AT_ALL}; CAP_SYS_ADMIN would do",
        lambda here: not here.holds(uapi.CAP_BPF, uapi.CAP_SYS_ADMIN),
        "grant CAP_BPF",
        stops=True,
    ),
    Need(
        "CAP_PERFMON",
        f"{NOT_AT_ALL}; CAP_SYS_ADMIN would do",
        lambda here: not here.holds(uapi.CAP_PERFMON, uapi.CAP_SYS_ADMIN),
        "grant CAP_PERFMON",
        stops=True,
    ),
    Need(
        "CAP_SYS_PTRACE",
        f"{OTHERS}: {NOT_AT_ALL}",
        lambda here: not here.holds(uapi.CAP_SYS_PTRACE),
        "grant CAP_SYS_PTRACE",
        stops=True,
    ),
    Need(
        "CAP_DAC_READ_SEARCH",
        f"{OTHERS}: polls are not seen",
        lambda here: not here.holds(uapi.CAP_DAC_READ_SEARCH, uapi.CAP_DAC_OVERRIDE),
        "grant CAP_DAC_READ_SEARCH",
    ),
    Need(
        "CAP_SETUID, CAP_SETGID",
        f"as root: {NOT_AT_ALL}",
        lambda here: (
            here.now.root and not (here.holds(uapi.CAP_SETUID) and here.holds(uapi.CAP_SETGID))
        ),
        "grant CAP_SETUID and CAP_SETGID, or run as an ordinary user with the others",
        stops=True,
    ),
    Need(
        "CAP_CHECKPOINT_RESTORE",
        "deleted libraries have no names",
        lambda here: not here.holds(uapi.CAP_CHECKPOINT_RESTORE, uapi.CAP_SYS_ADMIN),
        "grant CAP_CHECKPOINT_RESTORE",
    ),
    Need(
        "CAP_SYSLOG",
        f"kptr_restrict = 1: {NO_KERNEL_NAMES}",
        lambda here: here.kptr_restrict == 1 and not here.holds(uapi.CAP_SYSLOG),
        "grant CAP_SYSLOG, or sysctl kernel.kptr_restrict=0",
    ),
    Need("any other capability", "nothing"),
    Need(
        "kptr_restrict = 2",
        NO_KERNEL_NAMES,
        lambda here: here.kptr_restrict >= 2,
        "sysctl kernel.kptr_restrict=1",
    ),
    Need("perf_event_paranoid", "nothing, whatever it is"),
    Need("unprivileged_bpf_disabled", "nothing, whatever it is"),
    Need(
        "yama ptrace_scope = 3",
        "polls are not seen; 0 to 2 cost nothing",
        lambda here: here.ptrace_scope >= 3,
        "boot with kernel.yama.ptrace_scope = 2 or less: 3 stays until then",
    ),
    Need(
        "lockdown=confidentiality",
        f"{NOT_AT_ALL}; integrity costs nothing",
        lambda here: here.now.lockdown == denied.CONFIDENTIALITY,
        "boot without lockdown=confidentiality",
        stops=True,
    ),
    Need(
        "a user namespace",
        NOT_AT_ALL,
        lambda here: here.now.own_user_namespace,
        "run as root of the host, outside the user namespace",
        stops=True,
    ),
    Need("a pid namespace", f"{NOT_AT_ALL}: --pid=host"),
    Need("a time namespace", f"nothing; without CAP_SYS_ADMIN {NOT_AT_ALL}"),
    Need(
        "a network namespace",
        "threads are noticed in /proc, a little later",
        lambda here: here.own_network,
        "run it in the host's network namespace (in a container: --net=host)",
    ),
    Need("any other namespace", "nothing"),
    Need("no /sys", f"{NOT_AT_ALL} without --btf"),
    Need("/proc: hidepid, subset=pid", "nothing"),
)


def here(root: Path = Path("/")) -> Here:
    """This process on this machine; what cannot be read counts as harmless."""
    sysctl = root / "proc/sys/kernel"
    return Here(
        denied.privileges(root),
        _number(sysctl / "kptr_restrict"),
        _number(sysctl / "yama/ptrace_scope"),
        _link(root / "proc/self/ns/net") != _link(root / "proc/1/ns/net"),
    )


def missing(now: Here) -> Iterator[Need]:
    """The rows that cost something here."""
    return (need for need in TABLE if need.lacks(now))


def in_words() -> str:
    """The whole table, a line each, at most 80 columns."""
    return "".join(f"{need.name:<{_NAME_COLUMNS}}{need.costs}\n" for need in TABLE)


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
