"""The machine code around one pc as people read it: instructions, and whom the calls call."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.symbols.calls import Callees
from hud.symbols.machine.disassembly import Disassembler

if TYPE_CHECKING:
    from hud.symbols.inference.inferred import Inferred
    from hud.symbols.module import Module


class Listing(NamedTuple):
    """(vaddr, instruction, whom it calls or empty), by address."""

    rows: list[tuple[int, str, str]]
    at: int
    """The vaddr of the pc's own instruction, of a caller that of its call; 0 = not known."""
    note: str
    """Why something is missing; may be empty."""


class Listings:
    """The code of one module."""

    def __init__(self, module: Module, inferred: Inferred) -> None:
        """Raises FormatError where its machine code cannot be read."""
        self._module = module
        self._inferred = inferred
        self._code = Disassembler(module.elf)
        self._callees = Callees(module, inferred, self._code)

    def around(self, pc: int, *, caller: bool) -> Listing:
        """The instructions around a pc; raises FormatError where there is no code."""
        inside = pc - caller
        symbol = self._module.symbol(inside)
        function = symbol[1:] if symbol is not None else self._inferred.function_bounds(inside)
        window = self._code.around(pc, function, caller=caller)
        rows = [(row[0], row[2], self._callees.name(row, function)) for row in window.rows]
        return Listing(rows, window.at, window.note)
