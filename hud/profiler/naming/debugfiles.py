"""Opens the files beside a program that may have its debug information; the resolver judges them.

Names that come from files reach hud through the resolver, which is no more trusted than those
files, and a container may have written them. So they are looked up in the target's own root, with
the target's own file rights; in the host's it is debug directories by build id alone. Only ``.dwo``
files are opened by a name of the program's own choice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from hud.errors import TargetError, UsageError
from hud.process.executable import open_named
from hud.process.files import open_inside
from hud.process.procfs import PROC, proc_directory
from hud.process.rights import owners_rights, with_file_rights

DEBUG_DIRECTORY = "/usr/lib/debug"
BY_BUILD_ID = f"{DEBUG_DIRECTORY}/.build-id/"
MOST_OBJECTS = 2_000
"""Of one module."""
MOST_NAME = 4_096

_BUILD_ID = re.compile(r"[0-9a-f]{6,128}")
_PLAIN_NAME = re.compile(r"[^/\0]{1,255}")

FileState = tuple[int, int, int, int]
"""Device, inode, size and time of change (ns)."""


class DebugFile(NamedTuple):
    """An open file, the receiver's, and what to call it: mostly the path it was found at."""

    descriptor: int
    path: str

    @property
    def state(self) -> FileState:
        status = os.fstat(self.descriptor)
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class DebugFileSearch:
    """Finds candidates for the modules of one process. ``named``: paths that the user gave."""

    def __init__(
        self, pid: int, named: Iterable[str] = (), proc: Path = PROC, host: Path = Path("/")
    ) -> None:
        self._named = tuple(named)
        self._pid, self._proc, self._host = pid, proc, host

    def named(self) -> list[DebugFile]:
        """The files that the user gave; UsageError where one cannot be opened."""
        found: list[DebugFile] = []
        try:
            for path in self._named:
                found.append(DebugFile(open_named(path), path))  # noqa: PERF401 (closed below)
        except TargetError as error:
            for candidate in found:
                os.close(candidate.descriptor)
            raise UsageError(f"--debug-file {error}") from error
        return found

    def separate(self, path: str, build_id: str, debuglink: str) -> list[DebugFile]:
        """Separate debug files for the module at a path of the target, the likeliest first."""
        return self._open(separate_paths(path, build_id, debuglink))

    def packages(self, path: str, build_id: str, debuglink: str) -> list[DebugFile]:
        """.dwp files."""
        return self._open(package_paths(path, build_id, debuglink))

    def split_object(self, path: str, name: str) -> DebugFile | None:
        """The .dwo file of a name that the module has; None where there is none."""
        found = self._open(object_paths(path, name), most=1)
        return found[0] if found else None

    def _open(self, paths: Iterable[str], most: int = 16) -> list[DebugFile]:
        try:
            rights = owners_rights(self._pid, self._proc)
            return with_file_rights(rights, lambda: self._find(paths, most))
        except OSError:
            return []

    def _find(self, paths: Iterable[str], most: int) -> list[DebugFile]:
        found: list[DebugFile] = []
        seen = set()
        for path, root, inside in chain.from_iterable(map(self._places, paths)):
            if len(found) == most:
                break
            with suppress(OSError, ValueError):
                candidate = DebugFile(open_inside(root, inside), path)
                if candidate.state in seen:
                    os.close(candidate.descriptor)
                    continue
                seen.add(candidate.state)
                found.append(candidate)
        return found

    def _places(self, path: str) -> Iterator[tuple[str, Path, str]]:
        """(path, root, path inside it) wherever a path is looked up."""
        yield path, proc_directory(self._pid, self._proc) / "root", path
        if path.startswith(BY_BUILD_ID):
            # its links lead to other places below the debug directory, and no further
            inside = path.removeprefix(DEBUG_DIRECTORY)
            yield path, self._host / DEBUG_DIRECTORY.lstrip("/"), inside


def separate_paths(path: str, build_id: str, debuglink: str) -> Iterator[str]:
    """Where distributions and ``objcopy --add-gnu-debuglink`` put debug files (gdb's manual,
    "Debugging Information in Separate Files")."""
    if _BUILD_ID.fullmatch(build_id):
        yield f"{BY_BUILD_ID}{build_id[:2]}/{build_id[2:]}.debug"
    directory = path.rpartition("/")[0]
    if path.startswith("/") and _PLAIN_NAME.fullmatch(debuglink) and debuglink not in (".", ".."):
        yield f"{directory}/{debuglink}"
        yield f"{directory}/.debug/{debuglink}"
        yield f"{DEBUG_DIRECTORY}{directory}/{debuglink}"


def package_paths(path: str, build_id: str, debuglink: str) -> Iterator[str]:
    """Where a .dwp may be: beside the program or its debug file, under the same name."""
    if path.startswith("/"):
        yield f"{path}.dwp"
    for debug in separate_paths(path, build_id, debuglink):
        yield f"{debug}.dwp"
        if debug.endswith(".debug"):
            yield f"{debug.removesuffix('.debug')}.dwp"


def object_paths(path: str, name: str) -> Iterator[str]:
    """Where a .dwo may be: under its own name, or beside the program."""
    if not name.endswith(".dwo") or len(name) > MOST_NAME or not path.startswith("/"):
        return
    directory = path.rpartition("/")[0]
    yield name if name.startswith("/") else f"{directory}/{name}"
    yield f"{directory}/{name.rpartition('/')[2]}"
