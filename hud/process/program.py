"""Which mapped file is the program of a process that was started through its dynamic loader.

``ld-linux-x86-64.so.2 ./app`` (packagers, Nix, Guix, bundlers; musl likewise) has the loader for
its executable: /proc/PID/exe and the auxiliary vector describe the loader, and the program is a
mapped file among others. It is known by this: only a program, no shared object, has a DT_DEBUG
entry, the loader has filled it with the address of its list of loaded objects (r_debug of link.h),
and the list begins with the program itself: with its dynamic section. Before the loader has come
so far, the command line names it.

In such a process the kernel has mapped no interpreter (AT_BASE is 0), which is otherwise so of
static programs only. 64-bit, little-endian.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from hud.errors import HudError
from hud.process.mappings import read_mappings
from hud.process.procfs import PROC, open_memory, proc_directory, read_bytes, reader_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hud.model import Mapping

    Read = Callable[[int, int], bytes]

AT_BASE = 7
"""linux/auxvec.h."""
PT_LOAD, PT_DYNAMIC = 1, 2
DT_NULL, DT_DEBUG = 0, 21
"""elf.h."""

EHDR = struct.Struct("<16s HHI QQQ I HHH 6x")
PHDR = struct.Struct("<II QQQQ QQ")
PAIR = struct.Struct("<QQ")
"""Elf64_auxv_t, Elf64_Dyn."""
R_MAP = 8
"""Offset in struct r_debug (link.h); the same in musl."""
L_LD = 16
"""Offset in struct link_map (link.h); the same in musl."""

MOST_SEGMENTS = 64
MOST_DYNAMIC = 512
MOST_FILES = 2_000

WITH_VALUE = frozenset(
    {
        "--argv0",
        "--audit",
        "--glibc-hwcaps-mask",
        "--glibc-hwcaps-prepend",
        "--inhibit-rpath",
        "--library-path",
        "--preload",
    }
)
"""Options of the loaders that take the next word (glibc's elf/rtld.c, musl's ldso/dynlink.c)."""


def loaded_program(pid: int, proc: Path = PROC) -> Mapping | None:
    """The program's first mapping, where its loader was started; None where /proc/PID/exe is it."""
    directory = proc_directory(pid, proc)
    if not _may_have_loader(directory):
        return None
    try:
        path = str((directory / "exe").readlink()).removesuffix(" (deleted)")
        files = [one for one in _files(read_mappings(pid, proc)) if one.path != path]
        if not files:
            return None  # a static program
        memory = open_memory(pid, proc)
    except (OSError, HudError):
        return None
    try:
        found = _proven(files, reader_of(memory))
    finally:
        os.close(memory)
    return found or _named(files, started_with(command_words(pid, proc)))


def started_with(command: Sequence[str]) -> str:
    """The program in the command line of a loader, the loader's own name first; empty = none."""
    words = iter(command[1:])
    for word in words:
        if word == "--":
            return next(words, "")
        if not word.startswith("--"):
            return word
        if word in WITH_VALUE:
            next(words, None)
    return ""


def command_words(pid: int, proc: Path = PROC) -> list[str]:
    """The command line, word by word; none where it cannot be read."""
    try:
        words = read_bytes(proc_directory(pid, proc) / "cmdline", 16 << 10).split(b"\0")
    except OSError:
        return []
    return [word.decode("utf-8", "surrogateescape") for word in words]


def _may_have_loader(directory: Path) -> bool:
    try:
        data = read_bytes(directory / "auxv", 4096)
    except OSError:
        return False
    entries = dict(PAIR.iter_unpack(data[: len(data) // PAIR.size * PAIR.size]))
    return bool(entries) and not entries.get(AT_BASE, 0)


def _files(mappings: Sequence[Mapping]) -> list[Mapping]:
    """Those files that are mapped from their begin and have code, by their first mapping."""
    code = {(one.device, one.inode) for one in mappings if one.executable and one.inode}
    found = {
        (one.device, one.inode): one
        for one in reversed(mappings)
        if not one.offset and (one.device, one.inode) in code and one.path.startswith("/")
    }
    return list(reversed(found.values()))[:MOST_FILES]


def _proven(files: Sequence[Mapping], read: Read) -> Mapping | None:
    for mapping in files:
        dynamic, size = _dynamic(mapping, read)
        debug = next((value for tag, value in _entries(read, dynamic, size) if tag == DT_DEBUG), 0)
        first = _word(read, debug + R_MAP) if debug else 0
        if first and _word(read, first + L_LD) == dynamic:
            return mapping
    return None


def _named(files: Sequence[Mapping], name: str) -> Mapping | None:
    last = name.rpartition("/")[2]
    found = [one for one in files if last and one.path.rpartition("/")[2] == last]
    return found[0] if len(found) == 1 else None


def _dynamic(mapping: Mapping, read: Read) -> tuple[int, int]:
    """Address and size of a file's dynamic section in memory; 0, 0 where it has none."""
    head = read(mapping.start, EHDR.size)
    if len(head) < EHDR.size or not head.startswith(b"\x7fELF\x02\x01"):
        return 0, 0
    _, _, _, _, _, table, _, _, _, entry_size, count = EHDR.unpack(head)
    if entry_size != PHDR.size or not 0 < count <= MOST_SEGMENTS:
        return 0, 0
    data = read(mapping.start + table, count * PHDR.size)
    if len(data) < count * PHDR.size:
        return 0, 0
    segments = list(PHDR.iter_unpack(data))
    first = next((one for one in segments if one[0] == PT_LOAD), None)
    dynamic = next((one for one in segments if one[0] == PT_DYNAMIC), None)
    if first is None or dynamic is None:
        return 0, 0
    bias = mapping.start - (first[3] - first[2])
    return (bias + dynamic[3]) % (1 << 64), min(dynamic[6], MOST_DYNAMIC * PAIR.size)


def _entries(read: Read, address: int, size: int) -> Iterator[tuple[int, int]]:
    data = read(address, size) if size else b""
    for tag, value in PAIR.iter_unpack(data[: len(data) // PAIR.size * PAIR.size]):
        if tag == DT_NULL:
            return
        yield tag, value


def _word(read: Read, address: int) -> int:
    return int.from_bytes(read(address, 8), "little")
