"""Finds the functions that a function calls, directly or over some calls, by its machine code.

Direct calls and jumps count, and those over the GOT. Bytes are taken for a call only if they lead
to where a function begins. Sources: Intel SDM volume 2 (CALL, JMP); Arm ARM C6 (BL, B).
"""

from __future__ import annotations

import re
import struct
from array import array
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.elf.file import EM_AARCH64, EM_X86_64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hud.symbols.elf.file import ElfFile

Extent = tuple[int, int]
"""Start and size of a function."""

CODE_LIMIT = 1 << 16
"""Bytes of one function that are looked at."""
FUNCTION_LIMIT = 400
"""Functions that are followed from one."""
CACHE_LIMIT = 1 << 16

_BRANCH = re.compile(rb"[\xe8\xe9]|\xff[\x15\x25]")
_I32 = struct.Struct("<i")


class Reach:
    """The calls of one module's functions.

    ``bounds_of`` says which function is at an address, ``pointer`` what a slot of the GOT holds.
    """

    def __init__(
        self,
        elf: ElfFile,
        pointer: Callable[[int], int],
        bounds_of: Callable[[int], Extent | None],
    ) -> None:
        self._elf = elf
        self._pointer = pointer
        self._bounds_of = bounds_of
        self._known: dict[int, tuple[int, ...]] = {}

    def of(self, start: int, depth: int) -> dict[int, int]:
        """Function -> depth of all that the function at ``start`` reaches, itself at 0."""
        found = {start: 0}
        frontier = [start]
        for level in range(1, depth + 1):
            following = []
            for function in frontier:
                for callee in self._calls(function):
                    if callee not in found and len(found) < FUNCTION_LIMIT:
                        found[callee] = level
                        following.append(callee)
            frontier = following
        return found

    def _calls(self, start: int) -> tuple[int, ...]:
        if start not in self._known:
            if len(self._known) >= CACHE_LIMIT:
                self._known.clear()
            self._known[start] = tuple(dict.fromkeys(self._read(start)))
        return self._known[start]

    def _read(self, start: int) -> Iterator[int]:
        bounds = self._bounds_of(start)
        scan = _SCANS.get(self._elf.machine_id)
        if bounds is None or scan is None:
            return
        try:
            code = bytes(self._elf.read(start, min(bounds[1], CODE_LIMIT)))
        except FormatError:
            return
        for target in scan(code, start):
            if target < 0:
                target = self._pointer(-target)
            if start <= target < start + len(code):
                continue
            found = self._bounds_of(target)
            if found is not None and found[0] == target:
                yield target


def _x86(code: bytes, start: int) -> Iterator[int]:
    """Targets; of a GOT slot its address, negative."""
    for match in _BRANCH.finditer(code):
        at = match.end()
        if at + 4 <= len(code):
            target = start + at + 4 + _I32.unpack_from(code, at)[0]
            yield target if len(match[0]) == 1 else -target


def _aarch64(code: bytes, start: int) -> Iterator[int]:
    for index, word in enumerate(array("I", code[: len(code) // 4 * 4])):
        if word & 0x7C000000 == 0x14000000:
            offset = word & 0x3FFFFFF
            yield start + 4 * (index + offset - (offset >> 25 << 26))


_SCANS = {EM_X86_64: _x86, EM_AARCH64: _aarch64}
