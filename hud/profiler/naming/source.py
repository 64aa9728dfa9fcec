"""Reads a few lines of the source files that debug information names, where that can do no harm.

The names come from the target's own files, and hud is root: a name must look like source, the file
be a regular one and no link, of text, and not too large. It is read with the file rights of who
called sudo, else with the target's own; of the host's files a target in a container can only name
those that anybody may read. A file system may never answer: a thread of its own waits for it, and
no one for that thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from hud.process.files import open_inside
from hud.process.namespace import shares_mounts
from hud.process.procfs import PROC, proc_directory
from hud.process.rights import (
    NOBODY,
    User,
    invoking_user,
    owners_rights,
    rights_of,
    take_file_rights,
)
from hud.text import printable, shortened

AROUND = 6
"""Lines before the line, and after it."""
SIZE_LIMIT = 4 << 20
"""Bytes of a file."""
LINE_LIMIT = 400
"""Characters of a line that are quoted."""
PATH_LIMIT = 4096
SUFFIXES = (".rs", ".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".s", ".S", ".asm")
STD = "/rustc/"
"""Where the standard library's files are said to be (rustc, ``--remap-path-prefix``)."""


class Wanted(NamedTuple):
    """Lines to quote."""

    key: int
    """The asker's."""
    pid: int
    path: str
    """As debug information has it, foreign."""
    line: int
    executable: str
    """Path of the program; a relative path may be one of its workspace."""
    built_ns: int
    """When the program's file was written; 0 = unknown."""


class Quote(NamedTuple):
    """Lines (number, text as it is) around the one wanted."""

    lines: tuple[tuple[int, str], ...]
    note: str
    """Why there are none, or what is doubtful about them; may be empty."""


class SourceReader:
    """The thread that reads; it begins with the first question."""

    def __init__(self, proc: Path = PROC, host: Path = Path("/")) -> None:
        self._proc, self._host = proc, host
        self._wanted: SimpleQueue[Wanted] = SimpleQueue()
        self._read: SimpleQueue[tuple[int, Quote]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self, wanted: Wanted) -> None:
        """Have the lines read; never blocks."""
        self._wanted.put(wanted)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, args=(invoking_user(),), name="hud-sources", daemon=True
            )
            self._thread.start()

    def answers(self) -> list[tuple[int, Quote]]:
        """(key, quote) of what was read since the last call; never blocks."""
        found = []
        while not self._read.empty():  # nobody else takes from it
            found.append(self._read.get())
        return found

    def _work(self, user: User | None) -> None:
        while True:
            wanted = self._wanted.get()
            try:
                found = quote(wanted, self._roots(wanted.pid, user))
            except OSError as error:
                found = Quote((), f"no source: {error.strerror}")
            self._read.put((wanted.key, found))

    def _roots(self, pid: int, user: User | None) -> Iterator[Path]:
        """Where to look, each after the thread has taken the rights to look there with."""
        rights = rights_of(user) if user else owners_rights(pid, self._proc)
        take_file_rights(rights)
        yield proc_directory(pid, self._proc) / "root"
        if user is None and not shares_mounts(pid, self._proc):
            take_file_rights(rights_of(NOBODY))
        yield self._host


def quote(wanted: Wanted, roots: Iterable[Path]) -> Quote:
    """The lines around the one wanted, from the first root that has the file; else why not."""
    shown = shortened(printable(wanted.path), 200)
    path = locate(wanted.path, wanted.executable)
    if not path:
        return Quote((), f"{shown}: {_why_nowhere(wanted.path)}")
    trouble = ""
    for root in roots:
        try:
            lines, changed_ns = _read(root, path)
        except (OSError, ValueError) as error:
            trouble = getattr(error, "strerror", None) or str(error)
            continue
        return _around(lines, wanted, f"{shown}: ", changed_ns)
    return Quote((), f"{shown}: {trouble[:1].lower()}{trouble[1:]}")


def locate(path: str, executable: str) -> str:
    """Where the file of a name should be; empty = nowhere.

    A relative path of the user's own code begins at the workspace, above Cargo's ``target``.
    """
    if not path.endswith(SUFFIXES) or len(path) > PATH_LIMIT or path.startswith(STD):
        return ""
    if path.startswith("/"):
        return path
    workspace, found, _ = executable.rpartition("/target/")
    return f"{workspace}/{path}" if found else ""


def _why_nowhere(path: str) -> str:
    if path.startswith(STD):
        return "the standard library's source is not installed here"
    if not path.endswith(SUFFIXES):
        return "not the name of a source file"
    return "not in a known directory"


def _read(root: Path, path: str) -> tuple[list[str], int]:
    """The lines of a file, and when it was changed; ValueError where it is not source."""
    with open(open_inside(root, path, follow=False), "rb") as file:
        changed_ns = os.fstat(file.fileno()).st_mtime_ns
        content = file.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        raise ValueError(f"larger than {SIZE_LIMIT >> 20} MiB")
    if b"\0" in content:
        raise ValueError("not text")
    lines = content.decode("utf-8", "replace").split("\n")
    return lines[: len(lines) - (not lines[-1])], changed_ns


def _around(lines: list[str], wanted: Wanted, shown: str, changed_ns: int) -> Quote:
    if not 0 < wanted.line <= len(lines):
        return Quote((), f"{shown}no line {wanted.line}: not the source of this build")
    first = max(1, wanted.line - AROUND)
    picked = lines[first - 1 : wanted.line + AROUND]
    note = ""
    if wanted.built_ns and changed_ns > wanted.built_ns:
        note = f"{shown}changed after the program was built, lines may have moved"
    text = (shortened(line.removesuffix("\r"), LINE_LIMIT) for line in picked)
    return Quote(tuple(enumerate(text, first)), note)
