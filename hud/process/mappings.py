"""What is mapped where in the target: /proc/PID/maps as values, and a lookup by address."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hud.errors import FormatError, TargetError
from hud.model import Mapping
from hud.process.procfs import proc_directory

if TYPE_CHECKING:
    from collections.abc import Iterable

MAPS_LIMIT = 64 << 20
"""Bytes of a maps file that are read; about 600,000 mappings (the default limit is 65,530)."""

_DELETED = " (deleted)"
_ADDRESS_MAX = 1 << 64


class Mappings:
    """All mappings of a process, sorted, with a lookup of the executable ones by address."""

    __slots__ = ("_code", "_starts", "all")

    def __init__(self, mappings: Iterable[Mapping]) -> None:
        self.all: tuple[Mapping, ...] = tuple(sorted(mappings, key=lambda item: item.start))
        self._code = tuple(item for item in self.all if item.executable)
        self._starts = [item.start for item in self._code]

    @property
    def executable(self) -> tuple[Mapping, ...]:
        return self._code

    def find(self, address: int) -> Mapping | None:
        """The executable mapping that holds ``address``."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        found = self._code[index]
        return found if address < found.end else None


def parse_maps(text: str) -> list[Mapping]:
    """The mappings in the text of a maps file (fs/proc/task_mmu.c, show_map_vma), in its order.

    A line end in a path, which the kernel writes as ``\\012``, is put back. Raises FormatError for
    a line in another form; an unfinished last line is left out.
    """
    complete, _, _ = text.rpartition("\n")
    # Not splitlines(): a path may hold form feeds and the like.
    return [_mapping(line) for line in complete.split("\n") if line]


def read_mappings(pid: int, proc: Path = Path("/proc")) -> list[Mapping]:
    """The mappings of a process; raises TargetError if it is gone or may not be read."""
    try:
        with (proc_directory(pid, proc) / "maps").open("rb") as file:
            data = file.read(MAPS_LIMIT)
    except PermissionError as error:
        raise TargetError(
            f"mappings of process {pid}: permission denied", hint="run as root: sudo hud"
        ) from error
    except OSError as error:
        raise TargetError(f"mappings of process {pid}: the process is gone") from error
    return list(_parsed(data))


@lru_cache(maxsize=1)
def _parsed(data: bytes) -> tuple[Mapping, ...]:
    """Looked at every second, and mostly as before."""
    return tuple(parse_maps(data.decode("utf-8", "surrogateescape")))


def _mapping(line: str) -> Mapping:
    fields = line.split(None, 5)
    if len(fields) < 5:
        raise FormatError(f"maps: a line of {len(fields)} fields")
    try:
        start_text, end_text = fields[0].split("-")
        start, end = int(start_text, 16), int(end_text, 16)
        offset, inode = int(fields[2], 16), int(fields[4])
    except ValueError as error:
        raise FormatError("maps: a field is not a number") from error
    permissions = fields[1]
    numbers_fit = 0 <= offset < _ADDRESS_MAX and 0 <= inode < _ADDRESS_MAX
    if not 0 <= start < end <= _ADDRESS_MAX or not numbers_fit or len(permissions) < 3:
        raise FormatError("maps: a field is out of range")
    path = fields[5].replace("\\012", "\n") if len(fields) > 5 else ""
    deleted = path.endswith(_DELETED)
    return Mapping(
        start=start,
        end=end,
        offset=offset,
        executable=permissions[2] == "x",
        path=path[: -len(_DELETED)] if deleted else path,
        device=fields[3],
        inode=inode,
        deleted=deleted,
        writable=permissions[1] == "w",
    )
