"""Why the kernel said EPERM, and what to do about it.

The causes are tried in the order of their likelihood and each has its own remedy.
"""

from __future__ import annotations

import errno
import os
import re
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hud.errors import KernelError
from hud.kernel import uapi

CAPABILITIES = (
    ("CAP_BPF", uapi.CAP_BPF),
    ("CAP_PERFMON", uapi.CAP_PERFMON),
    ("CAP_SYS_PTRACE", uapi.CAP_SYS_PTRACE),
)
AS_ROOT = (
    "run as root, or grant CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH "
    "(hud help security)"
)
CONFIDENTIALITY = "confidentiality"
"""The mode of lockdown that keeps BPF from reading (security.h, LOCKDOWN_BPF_READ_KERNEL)."""
MEMCG_ACCOUNTING = (5, 11)
"""From this release BPF memory counts against the memory cgroup, not RLIMIT_MEMLOCK."""


@dataclass(frozen=True, slots=True)
class Privileges:
    """What this process may do and how its limits are set, as far as BPF depends on it."""

    root: bool
    capabilities: int
    """CapEff of /proc/self/status."""
    lockdown: str
    """The mode in force: ``none``, ``integrity``, ``confidentiality``; empty = no such module."""
    seccomp: bool
    own_user_namespace: bool
    release: tuple[int, int]
    memlock: int
    """Soft RLIMIT_MEMLOCK in bytes; -1 = unlimited."""

    def missing(self) -> list[str]:
        """Capabilities needed and not held (CAP_SYS_ADMIN stands for all but CAP_SYS_PTRACE)."""
        admin = self.capabilities >> uapi.CAP_SYS_ADMIN & 1
        return [
            name
            for name, bit in CAPABILITIES
            if not self.capabilities >> bit & 1 and not (admin and bit != uapi.CAP_SYS_PTRACE)
        ]


def running_release() -> tuple[int, int]:
    """(6, 1) of "6.1.0-50-amd64"; a name that says nothing counts as new."""
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else MEMCG_ACCOUNTING


def privileges(root: Path = Path("/")) -> Privileges:
    """The privileges of this process; what cannot be read counts as harmless."""
    status = _text(root / "proc/self/status")
    fields = dict(re.findall(r"^(\w+):[ \t]*(\S+)", status, re.MULTILINE))
    mode = re.search(r"\[(\w+)\]", _text(root / "sys/kernel/security/lockdown"))
    return Privileges(
        root=os.geteuid() == 0,
        capabilities=int(fields.get("CapEff", "0"), 16),
        lockdown=mode[1] if mode else "",
        seccomp=fields.get("Seccomp", "0") != "0",
        own_user_namespace=_text(root / "proc/self/uid_map").split()
        not in ([], ["0", "0", "4294967295"]),
        release=running_release(),
        memlock=resource.getrlimit(resource.RLIMIT_MEMLOCK)[0],
    )


def allow_locked_memory(release: tuple[int, int]) -> None:
    """No limit for BPF's memory on a kernel that counts it against RLIMIT_MEMLOCK; where that is
    not permitted, the maps are refused."""
    if release < MEMCG_ACCOUNTING:
        with suppress(OSError, ValueError):
            unlimited = resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (unlimited, unlimited))


def diagnose(now: Privileges) -> tuple[str, str]:
    """(cause, remedy) of an EPERM or EACCES."""
    missing = now.missing()
    if not now.root and missing:
        return "not root", AS_ROOT
    if missing:
        names = ", ".join(missing)
        return (
            f"{names} missing",
            f"grant {names} (in a container: --cap-add, or --privileged)",
        )
    if now.lockdown == CONFIDENTIALITY:
        return (
            f"kernel lockdown ({now.lockdown})",
            "boot without lockdown=confidentiality",
        )
    if now.seccomp:
        return (
            "a seccomp filter",
            "in a container: --security-opt seccomp=unconfined, or a profile that allows bpf(2) "
            "and perf_event_open(2)",
        )
    if now.release < MEMCG_ACCOUNTING and now.memlock >= 0:
        return "the locked-memory limit", "raise it: ulimit -l unlimited"
    if now.own_user_namespace:
        return "a user namespace", "run as root of the host, outside the user namespace"
    return "permission denied", "look at the audit log (SELinux, AppArmor) for the refusal"


def refused(action: str, error: OSError, now: Privileges | None = None) -> KernelError:
    """The KernelError for ``error`` of ``action`` (``create map events``)."""
    if error.errno in (errno.EPERM, errno.EACCES):
        cause, hint = diagnose(now or privileges())
        return KernelError(f"{action}: not permitted: {cause}", hint=hint, detail=str(error))
    if error.errno == errno.ENOSYS:
        return KernelError(
            f"{action}: not supported",
            hint="this kernel is built without CONFIG_BPF_SYSCALL or CONFIG_PERF_EVENTS",
        )
    if error.errno == errno.ENOMEM:
        return KernelError(f"{action}: out of memory", hint="free some memory", detail=str(error))
    text = (error.strerror or f"error {error.errno}").lower()
    return KernelError(f"{action}: {text}", detail=str(error))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
