"""Where uprobes may go in the running process: the resolver's points, checked against its memory.

The resolver, which has no privileges, found the points in the file (symbols.machine.probes); a
uprobe site is a point in a mapping of the process. Here, with privileges, nothing is parsed: a few
bytes of the mapped file and of the process are compared with those the resolver has seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hud.errors import TargetError
from hud.model import Mapping
from hud.probe.exact import UprobeSite
from hud.process.procfs import PROC, map_files, proc_directory
from hud.symbols.facts import Point

BREAKPOINTS = {"x86_64": b"\xcc", "aarch64": b"\xa0\x00\x20\xd4"}
"""What the kernel puts there: int3, and BRK #5 (arch/arm64/include/asm/uprobes.h)."""


_SHADOW_STACK = re.compile(r"^VmFlags:.* ss\b", re.MULTILINE)


def check(
    pid: int,
    path: str,
    points: Sequence[Point],
    mappings: Sequence[Mapping],
    proc: Path = PROC,
) -> list[UprobeSite]:
    """The uprobe sites in the file mapped from ``path``. TargetError with the reason where
    even one of them is not what the resolver saw; then none may be used."""
    mine = [one for one in mappings if one.path == path and one.executable and not one.writable]
    if len({(one.device, one.inode) for one in mine}) > 1:
        raise TargetError("two files were mapped from one path, one after the other")
    sites: list[UprobeSite] = []
    with _opened(proc_directory(pid, proc) / "mem") as memory:
        for mapping in mine:
            inside = [point for point in points if _is_inside(mapping, point)]
            if inside:
                link = _link(pid, mapping, proc)
                with _opened(Path(link)) as file:
                    for point in inside:
                        _compare(memory, file, mapping, point)
                sites += [UprobeSite(point.role.value, link, point.offset) for point in inside]
    if len(sites) != len(points):
        raise TargetError("a function lies outside of the mapped code, or is mapped twice")
    return sites


def require_safe_returns(
    pid: int, release: str, machine: str = "x86_64", proc: Path = PROC
) -> None:
    """TargetError where probing the return of a function could end the process.

    From 6.11 on x86_64 the return goes through a system call, which seccomp filters know only since
    6.14 (cf6cb56ef244); and a shadow stack takes the replaced return address for an attack. Of one
    on aarch64 only the flags of its mapping tell.
    """
    try:
        status = (proc_directory(pid, proc) / "status").read_text(errors="replace")
        guarded = machine == "aarch64" and _SHADOW_STACK.search(
            (proc_directory(pid, proc) / "smaps").read_text(errors="replace")
        )
    except OSError as error:
        raise TargetError("the process is gone") from error
    fields = dict(re.findall(r"^(\w+):[ \t]*(.*)$", status, re.MULTILINE))
    version = re.match(r"(\d+)\.(\d+)", release)
    number = (int(version[1]), int(version[2])) if version else (0, 0)
    filtered = machine == "x86_64" and fields.get("Seccomp", "0") != "0"
    if filtered and (6, 11) <= number < (6, 14):
        raise TargetError("its seccomp filter and this kernel's uretprobes do not go together")
    if guarded or "shstk" in fields.get("x86_Thread_features", ""):
        raise TargetError("it runs with a shadow stack")


def _is_inside(mapping: Mapping, point: Point) -> bool:
    end = mapping.offset + mapping.end - mapping.start
    return mapping.offset <= point.offset and point.offset + len(point.content) <= end


def _link(pid: int, mapping: Mapping, proc: Path) -> str:
    """A path to the very inode that is mapped, whatever its own path leads to now."""
    link = map_files(pid, proc) / f"{mapping.start:x}-{mapping.end:x}"
    if os.access(link, os.R_OK):
        return str(link)
    # not permitted without CAP_SYS_ADMIN; the executable has a second one
    link = proc_directory(pid, proc) / "exe"
    try:
        inode = link.stat().st_ino
    except OSError as error:
        raise TargetError(f"the mapped file: {(error.strerror or 'unreadable').lower()}") from error
    if inode != mapping.inode:
        raise TargetError("the mapped file cannot be reached (run as root)")
    return str(link)


def _compare(memory: int, file: int, mapping: Mapping, point: Point) -> None:
    wanted = point.content
    if not wanted or _read(file, len(wanted), point.offset) != wanted:
        raise TargetError("the file that is mapped is another build, or was changed")
    found = _read(memory, len(wanted), mapping.start + point.offset - mapping.offset)
    breakpoint_ = BREAKPOINTS.get(os.uname().machine, b"")
    if breakpoint_ and found == breakpoint_ + wanted[len(breakpoint_) :]:
        raise TargetError("another probe or a debugger's breakpoint is in Tokio's functions")
    if found != wanted:
        raise TargetError("the code in memory differs from the file")


def _read(descriptor: int, size: int, offset: int) -> bytes:
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        raise TargetError(f"the target's code: {(error.strerror or '').lower()}") from error


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise TargetError(f"the target's code: {(error.strerror or '').lower()}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
