"""Finds the process to look at, by name or by pid, or says why not.

A process matches exactly if its name (comm, at most 15 bytes) or the last part of its
executable's path is the last part of what was asked for; loosely if either contains what was
asked for. Exact matches win over loose ones. The executable is the program, also where its loader
was started (hud.process.program). hud itself and the processes that started it (sudo, a
shell) are never found by name; nor are kernel threads and zombies.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import HudError, KernelError, TargetError, UsageError
from hud.model import Target
from hud.process.namespace import in_initial_pid_namespace
from hud.process.procfs import (
    PROC,
    Stat,
    living_thread,
    numbers,
    proc_directory,
    read_stat,
    read_text,
)
from hud.process.program import command_words, loaded_program
from hud.text import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

LISTED = 12
"""Processes that a message lists at most."""

COMMAND_WIDTH = 70
"""Characters of a command line in a message."""

_ANCESTORS = 64
_NEAR_MISSES = 3
_DELETED = " (deleted)"


class Candidate(NamedTuple):
    """A process that could be meant."""

    pid: int
    name: str
    executable: str
    """Empty if its link may not be read."""
    start_ticks: int

    @property
    def file_name(self) -> str:
        return Path(self.executable).name


def find_target(
    name: str | None, pid: int | None, proc: Path = PROC, own_pid: int | None = None
) -> Target:
    """The process with this pid, or else the one that ``name`` (a name or a path) matches.

    Raises UsageError if neither is given; TargetError if there is none, there are several, or it
    is a thread, kernel thread, zombie or hud itself; KernelError if it may not be read.
    """
    own_pid = os.getpid() if own_pid is None else own_pid
    if pid is not None:
        return _by_pid(pid, proc, own_pid)
    if not name:
        raise UsageError("no target: neither a process name nor --pid", hint="hud PROCESS")
    candidates = list_candidates(proc, own_pid)
    found = matching(name, candidates)
    if not found:
        raise _none(name, candidates)
    if len(found) > 1:
        raise _several(name, found, proc)
    return _by_pid(found[0].pid, proc, own_pid)


def list_candidates(proc: Path = PROC, own_pid: int | None = None) -> list[Candidate]:
    """Every process that can be found by name, by pid."""
    own = _own_line(proc, os.getpid() if own_pid is None else own_pid)
    found: list[Candidate] = []
    for pid in numbers(proc):
        stat = _stat(pid, proc)
        if stat is None or stat.kernel_thread or pid in own or _has_ended(stat, proc):
            continue
        try:
            executable = _program(stat, proc).executable
        except OSError:
            executable = ""
        found.append(Candidate(pid, stat.comm, executable, stat.start_ticks))
    return found


def matching(name: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that match exactly, or if there is none, those that match loosely."""
    last = Path(name).name or name
    exact = [item for item in candidates if last in (item.name, item.file_name)]
    return exact or [item for item in candidates if name in item.name or name in item.file_name]


def process_identity(pid: int, proc: Path = PROC) -> int | None:
    """When a process started, in clock ticks; a reused pid has another. None if it is gone."""
    stat = _stat(pid, proc)
    return None if stat is None else stat.start_ticks


def same_process(target: Target, proc: Path = PROC) -> bool:
    """Whether the target's pid still is the target; a zombie still is."""
    return process_identity(target.pid, proc) == target.start_ticks


def command_line(pid: int, proc: Path = PROC) -> str:
    """The command line, escaped and shortened for a message; empty if it cannot be read."""
    try:
        raw = read_text(proc_directory(pid, proc) / "cmdline", 4096)
    except OSError:
        return ""
    return shortened(printable(raw.rstrip("\0").replace("\0", " ")), COMMAND_WIDTH)


def _by_pid(pid: int, proc: Path, own_pid: int) -> Target:
    stat = _stat(pid, proc)
    if stat is None:
        hint = "ps -e lists the processes"
        if not in_initial_pid_namespace(proc):
            hint += "; those of the host are out of sight here (docker run --pid=host)"
        raise TargetError(f"no process with pid {pid}", hint)
    named = f"process {pid} ({printable(stat.comm)})"
    leader = _thread_group(pid, proc)
    if leader not in (None, pid):
        leading = _stat(leader, proc) if leader else None
        whose = f" ({printable(leading.comm)})" if leading else ""
        raise TargetError(
            f"{pid} is a thread of process {leader}{whose}", hint=f"hud --pid {leader}"
        )
    if stat.kernel_thread:
        raise TargetError(f"{named} is a kernel thread", hint="name a process of user space")
    if _has_ended(stat, proc):
        raise TargetError(
            f"{named} is a zombie: it has ended", hint=f"its parent, {stat.ppid}, has to reap it"
        )
    if pid == own_pid:
        raise TargetError(f"{named} is hud itself", hint="name the process to look at")
    try:
        return _program(stat, proc)
    except PermissionError as error:
        raise KernelError(
            f"{named}: it belongs to {_owner(pid, proc)}, and reading it is not permitted",
            hint=f"run as root: sudo hud --pid {pid}"
            if os.geteuid()
            else "grant CAP_SYS_PTRACE; where hud has it, it is root of a user namespace, or a "
            "security module forbids it",
        ) from error
    except OSError as error:
        raise TargetError(f"{named} is ending") from error


def _none(name: str, candidates: Sequence[Candidate]) -> HudError:
    from difflib import get_close_matches

    by_name: dict[str, list[Candidate]] = {}
    for item in candidates:
        for known in {item.name, item.file_name} - {""}:
            by_name.setdefault(known.lower(), []).append(item)
    last = (Path(name).name or name).lower()
    near = [known for known in by_name if last in known] or get_close_matches(
        last, sorted(by_name), _NEAR_MISSES, 0.6
    )
    processes = list(dict.fromkeys(item for known in near for item in by_name[known]))
    shown = [
        f"{printable(item.file_name or item.name)} (pid {item.pid})"
        for item in processes[:_NEAR_MISSES]
    ]
    hint = f"did you mean {_either(shown)}?" if shown else "ps -e lists the processes"
    return TargetError(f'no process named "{shortened(printable(name), 60)}"', hint=hint)


def _several(name: str, found: Sequence[Candidate], proc: Path) -> HudError:
    width = len(str(found[-1].pid))
    lines = [
        f"  {item.pid:>{width}}  {command_line(item.pid, proc) or printable(item.name)}"
        for item in found[:LISTED]
    ]
    if len(found) > LISTED:
        lines.append(f"  and {len(found) - LISTED} more")
    return TargetError(
        f'{len(found)} processes match "{shortened(printable(name), 60)}"',
        hint="\n".join(["choose one with --pid:", *lines]),
    )


def _either(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def _own_line(proc: Path, own_pid: int) -> set[int]:
    """hud and its ancestors, without the init process."""
    line: set[int] = set()
    pid = own_pid
    while pid > 1 and pid not in line and len(line) < _ANCESTORS:
        line.add(pid)
        stat = _stat(pid, proc)
        pid = stat.ppid if stat else 0
    return line


def _stat(pid: int, proc: Path) -> Stat | None:
    try:
        return read_stat(pid, proc)
    except OSError:  # /proc mounted with hidepid=1
        return None


def _has_ended(stat: Stat, proc: Path) -> bool:
    """A zombie; not so one whose leader has ended while other threads of it live."""
    return stat.dead and living_thread(stat.pid, proc) is None


def _program(stat: Stat, proc: Path) -> Target:
    """The process as the target; OSError where its executable may not be read."""
    link = str((proc_directory(stat.pid, proc) / "exe").readlink()).removesuffix(_DELETED)
    loaded = loaded_program(stat.pid, proc)
    if loaded is None:
        return Target(stat.pid, stat.comm, link, stat.start_ticks)
    # the kernel names a process after what it started, and musl's loader is started by a link
    started = {Path(path).name for path in (link, *command_words(stat.pid, proc)[:1])}
    after = any(name.startswith(stat.comm) for name in started)
    name = Path(loaded.path).name if after else stat.comm
    return Target(stat.pid, name, loaded.path, stat.start_ticks)


def _status_field(pid: int, field: str, proc: Path) -> str:
    try:
        status = read_text(proc / str(pid) / "status")
    except OSError:
        return ""
    for line in status.split("\n"):
        key, _, value = line.partition(":")
        if key == field:
            return value.strip()
    return ""


def _thread_group(pid: int, proc: Path) -> int | None:
    value = _status_field(pid, "Tgid", proc)
    return int(value) if value.isascii() and value.isdigit() else None


def _owner(pid: int, proc: Path) -> str:
    uid = _status_field(pid, "Uid", proc).partition("\t")[0]
    if not (uid.isascii() and uid.isdigit()):
        return "another user"
    try:
        import pwd

        return f"user {pwd.getpwuid(int(uid)).pw_name}"
    except (ImportError, KeyError, OverflowError):
        return f"user {uid}"
