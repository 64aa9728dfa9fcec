"""Finds where the calls and jumps of one file lead, and which jumps leave its functions.

A slot, 8 bytes of data that a call or jump leads through, says nothing if it can change while the
program runs, whatever is in it at the start: it is a variable. A function is open where it can be
left by a jump, and nothing in the file says where to.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.elf.exports import Exports, VersionedName
from hud.symbols.elf.relocations import Slots
from hud.symbols.machine.branches import LONGEST_CALL, LONGEST_STUB, MACHINES, Way
from hud.symbols.machine.scan import SCANS
from hud.symbols.unwind.bounds import Bounds

if TYPE_CHECKING:
    from hud.symbols.elf.file import ElfFile
    from hud.symbols.module import Module

CODE_LIMIT = 1 << 16
"""Bytes of one function that are looked at; a longer one counts as open."""
CACHE_LIMIT = 1 << 14
UNKNOWN = VersionedName("", "")
"""A name that nobody exports: the way leads somewhere, and nothing shows where."""


class Exit(NamedTuple):
    """A jump that leaves a function."""

    at: int
    to: int | VersionedName
    """Where a function of this file begins, or the name of another file's."""


class Left(NamedTuple):
    """How a function can be left by a jump."""

    exits: tuple[Exit, ...]
    is_open: bool
    """Also in ways that are not among the exits."""


class Landings:
    """The ways of one file; what is damaged leads nowhere."""

    def __init__(self, module: Module) -> None:
        self._elf = module.elf
        self._module = module
        self._machine = MACHINES.get(module.elf.machine_id)
        self._code = module.elf.code_ranges()
        self._stubs = _sections(module.elf, (".plt", ".iplt"))
        self._got = _sections(module.elf, (".got",))
        self._slots = Slots(module.elf)
        self.exports = Exports(module.elf)
        self._table: Bounds | None = None
        with suppress(FormatError):
            self._table = Bounds(module.elf)
        self._functions: dict[int, tuple[int, int] | None] = {}
        self._left: dict[int, Left] = {}

    # ------------------------------------------------------------------ functions

    def function_at(self, vaddr: int) -> tuple[int, int] | None:
        """(start, size) of the function that covers a vaddr; None = not known."""
        if vaddr not in self._functions:
            if len(self._functions) >= CACHE_LIMIT:
                self._functions.clear()
            self._functions[vaddr] = self._find(vaddr)
        return self._functions[vaddr]

    def _find(self, vaddr: int) -> tuple[int, int] | None:
        if not any(start <= vaddr < end for start, end in self._code):
            return None
        with suppress(FormatError):
            found = self._table.of(vaddr) if self._table is not None else None
            if found is not None:
                return found
        symbol = self._module.symbol(vaddr)
        return symbol[1:] if symbol is not None else None

    def begins(self, vaddr: int) -> bool:
        """Does a function begin there?"""
        found = self.function_at(vaddr)
        return found is not None and found[0] == vaddr

    def is_part(self, start: int) -> bool:
        """Is what begins there no function, but code that a compiler has moved out of one?"""
        with suppress(FormatError):
            return self._table is not None and self._table.is_part(start)
        return False

    def name(self, vaddr: int) -> tuple[str, int]:
        """The raw name and start of the function at a vaddr by its symbol; ("", 0) = none."""
        symbol = self._module.symbol(vaddr)
        return symbol[:2] if symbol is not None else ("", 0)

    def returns_from_signal(self, start: int) -> bool:
        """Is the function at ``start`` what a signal handler returns to?"""
        if self._machine is None:
            return False
        wanted = self._machine.trampoline
        return self._bytes(start, len(wanted) + 1).find(wanted) >= 0

    # ------------------------------------------------------------------ ways

    def called(self, pc: int) -> int | VersionedName | None:
        """What the call before a return address names: a function here, by its start, or a name.

        None = there is no call, or not one that names anything.
        """
        if self._machine is None:
            return None
        for size in range(LONGEST_CALL, 3, -1):
            code = self._bytes(pc - size, size)
            if code:
                landings = map(self._lands, self._machine.calls_before(code, pc))
                return next((one for one in landings if one is not None), None)
        return None

    def left(self, start: int, size: int) -> Left:
        """How the function [start, start + size) can be left by a jump."""
        if start not in self._left:
            if len(self._left) >= CACHE_LIMIT:
                self._left.clear()
            self._left[start] = self._scan(start, size)
        return self._left[start]

    def _scan(self, start: int, size: int) -> Left:
        code = self._bytes(start, min(size, CODE_LIMIT))
        if self._machine is None or not code:
            return Left((), is_open=True)
        leaves = SCANS[self._elf.machine_id](code, start, False).leaves
        landings = [(at, self._lands(Way(at, abs(to), through=to < 0))) for at, to in leaves if to]
        exits = tuple(Exit(at, to) for at, to in landings if to is not None and to != UNKNOWN)
        unknown = any(to == UNKNOWN for _, to in landings)
        is_open = unknown or size > CODE_LIMIT or any(not to for _, to in leaves)
        return Left(exits, is_open)

    def _bytes(self, vaddr: int, size: int) -> bytes:
        try:
            return bytes(self._elf.read(vaddr, size))
        except FormatError:
            return b""

    def _lands(self, way: Way) -> int | VersionedName | None:
        """None = the bytes are no way."""
        slot = way.target if way.through else self._stub(way.target)
        if slot:
            return self._behind(slot)
        if not self.begins(way.target) or self.is_part(way.target):
            return None
        return way.target

    def _stub(self, vaddr: int) -> int:
        """The slot of the stub at a vaddr; 0 = none is there."""
        if self._machine is None or not any(start <= vaddr < end for start, end in self._code):
            return 0
        if not _is_in(vaddr, self._stubs) and self.begins(vaddr) and self._elf.sections:
            return 0  # a function may be no more than such a jump
        for size in (LONGEST_STUB, 16):
            code = self._bytes(vaddr, size)
            if code:
                return self._machine.stub(code, vaddr)
        return 0

    def _behind(self, slot: int) -> int | VersionedName | None:
        if self._slots.ifunc_resolver(slot):
            return UNKNOWN
        index = self._slots.index(slot)
        if index:
            return self.exports.versioned_name(index) or UNKNOWN
        if not (self._elf.is_constant(slot) or _is_in(slot, self._got)):
            return UNKNOWN if self._is_data(slot) else None
        target = self._module.locations.pointer_or_none(slot)
        return target if self.begins(target) else UNKNOWN

    def _is_data(self, vaddr: int) -> bool:
        return any(load.vaddr <= vaddr < load.vaddr + load.memsz for load in self._elf.loads)


def _is_in(vaddr: int, ranges: list[tuple[int, int]]) -> bool:
    return any(start <= vaddr < end for start, end in ranges)


def _sections(elf: ElfFile, prefixes: tuple[str, ...]) -> list[tuple[int, int]]:
    found = (section for section in elf.sections if section.name.startswith(prefixes))
    return [(section.addr, section.addr + section.size) for section in found]
