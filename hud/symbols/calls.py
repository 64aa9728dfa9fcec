"""Names the function that an instruction calls, as far as the file itself shows it.

Indirect calls and the stubs of the PLT go through a slot of the GOT, see
`hud.symbols.elf.relocations`.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.elf.relocations import Slots
from hud.symbols.names import readable_symbol
from hud.text import shortened

if TYPE_CHECKING:
    from hud.symbols.inference.inferred import Inferred
    from hud.symbols.machine.disassembly import Disassembler, Row
    from hud.symbols.module import Module

STUB = 4
"""Instructions of a PLT stub up to its jump, at most."""
NAME_LIMIT = 300

_NUMBER = r"(0x[0-9a-f]+|\d+)"
_DIRECT = re.compile(rf"(?:\w+ )?(call|bl|b|j\w+) #?{_NUMBER}")
_THROUGH = re.compile(rf"(?:\w+ )?(?:call|jmp) (?:qword ptr )?\[rip(?: ([+-]) {_NUMBER})?\]")
_PAGE = re.compile(rf"adrp (x\d+), #{_NUMBER}")
_LANDING = ("endbr64", "bti c")
_LOAD = re.compile(rf"ldr x\d+, \[(x\d+)(?:, #{_NUMBER})?\]")


class Callees:
    """Names the targets of one file's calls."""

    def __init__(self, module: Module, inferred: Inferred, code: Disassembler) -> None:
        self._module = module
        self._inferred = inferred
        self._code = code
        self._slots = Slots(module.elf)

    def name(self, row: Row, function: tuple[int, int] | None) -> str:
        """The function that a row calls or jumps to, readable; empty = none, or not known.

        ``~`` stands before an inferred name. Jumps inside ``function`` (start, size) have none.
        """
        found = _DIRECT.fullmatch(row[2])
        if found is not None:
            kind, target = found[1], int(found[2], 0)
            inside = function is not None and 0 <= target - function[0] < function[1]
            if kind not in ("call", "bl") and (inside or function is None):
                return ""
            return shortened(self._function(target, may_be_stub=True), NAME_LIMIT)
        slot = _slot(row)
        return shortened(self._behind(slot), NAME_LIMIT) if slot else ""

    def _function(self, target: int, *, may_be_stub: bool) -> str:
        symbol = self._module.symbol(target)
        if symbol is not None:
            name, start, _ = symbol
            into = f"+0x{target - start:x}" if target != start else ""
            return readable_symbol(name, self._module.kind(symbol)) + into
        if may_be_stub:
            slot = self._stub(target)
            if slot:
                return self._behind(slot)
        frames = self._inferred.frames(target)
        if frames and frames[-1].function:
            return f"~{frames[-1].function}"
        return ""

    def _behind(self, slot: int) -> str:
        """The function whose address a slot gets."""
        name = self._slots.symbol(slot)
        if name:
            return readable_symbol(name)
        target = self._slots.ifunc_resolver(slot)
        if not target:
            try:
                target = self._inferred.locations.pointer(slot)
            except FormatError:
                return ""
        return self._function(target, may_be_stub=False) if target else ""

    def _stub(self, target: int) -> int:
        """The slot that the PLT stub at ``target`` jumps through; 0 = it is none."""
        try:
            rows = list(islice(self._code.rows(target, target + 16), STUB))
        except FormatError:
            return 0
        rows = [row for row in rows if row[2] not in _LANDING]
        if rows and "jmp" in rows[0][2]:
            return _slot(rows[0])
        page = _PAGE.fullmatch(rows[0][2]) if len(rows) > 1 else None
        load = _LOAD.fullmatch(rows[1][2]) if page is not None else None
        if page is None or load is None or load[1] != page[1]:
            return 0
        return int(page[2], 0) + int(load[2] or "0", 0)


def _slot(row: Row) -> int:
    """The slot of an x86_64 call or jump through one; 0 = it is none."""
    found = _THROUGH.fullmatch(row[2])
    if found is None:
        return 0
    distance = int(found[2] or "0", 0)
    return row[1] + (-distance if found[1] == "-" else distance)
