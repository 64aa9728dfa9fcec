"""Finds where an address of a function with a symbol is in the source, without debug info.

The answer is, best first: the line of a reference after or before the address (`Precision.NEAR`);
where the async fn or block is declared that it is in (`Precision.DEFINITION`); the file
(`Precision.FILE`). A reference counts only if its file fits the symbol's module path
(`hud.symbols.inference.sources`), and if it is not above the definition.

A function of somebody else's may have the user's code inlined: generic code is compiled where it is
used, a task's body into the poll of it. Then it gets a frame of the user's own inside of it.

Measured against debug info: see tools/benchmarks/where.py.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from hud.model import Frame, Origin, Precision
from hud.symbols.demangle import demangle
from hud.symbols.inference.bodies import Body
from hud.symbols.inference.definitions import Definitions
from hud.symbols.inference.inferred import short_path
from hud.symbols.inference.sources import ModulePath, Sources, module_path
from hud.symbols.names import is_closure, is_users, owner_in
from hud.symbols.owncrates import NOT_KNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.symbols.inference.coroutines import Coroutines
    from hud.symbols.inference.definitions import Definition
    from hud.symbols.inference.locations import Location, Locations
    from hud.symbols.inference.references import Reference, References
    from hud.symbols.owncrates import OwnCrates

CACHE_LIMIT = 1 << 12
"""Functions whose code stays decoded."""
CACHED_INSTRUCTIONS = 1 << 21


class Places:
    """The places of one module's functions."""

    def __init__(
        self,
        locations: Locations,
        references: References,
        coroutines: Coroutines,
        symbol_at: Callable[[int], tuple[str, int, int] | None],
        own_crates: OwnCrates = NOT_KNOWN,
    ) -> None:
        """``symbol_at``: (raw name, start, size) of the function at a vaddr."""
        self._own_crates = own_crates
        self._locations = locations
        self._symbol_at = symbol_at
        self._references = references
        self._definitions = Definitions(coroutines, self._is_users)
        self._sources: Sources | None = None
        self._functions: dict[int, Body | None] = {}
        self._cached = 0

    def placed(self, frame: Frame, vaddr: int, symbol: tuple[str, int, int]) -> tuple[Frame, ...]:
        """A frame that was named by its symbol (raw name, start, size) alone, with its place, and
        inside of it the user's, if there is one.
        """
        name, start, size = symbol
        if frame.origin is Origin.USER:
            where = module_path(name)
            found = self._function(start, size, where, may_define=is_closure(name))
            return (self._own(frame, vaddr, found, where),)
        if frame.origin not in (Origin.DEPENDENCY, Origin.RUNTIME, Origin.STD):
            return (frame,)
        found = self._function(start, size, None, may_define=True)
        if found is None or self._calls_its_own(found, vaddr, name):
            return (frame,)
        inner = self._inlined(frame, vaddr, found)
        return (frame,) if inner is None else (inner, frame)

    def _own(self, frame: Frame, vaddr: int, found: Body | None, where: ModulePath | None) -> Frame:
        located = found.locate(vaddr) if found is not None else None
        if located is not None:
            location, precision = located
            return replace(frame, file=location.path, line=location.line, precision=precision)
        path = self._known().file_of(where) if where is not None else ""
        named = {one.location.path for one in found.own} if found is not None else set()
        if not path and len(named) == 1:
            path = named.pop()
        return replace(frame, file=path, precision=Precision.FILE) if path else frame

    def _calls_its_own(self, found: Body, vaddr: int, name: str) -> bool:
        """Is it a call of the function's own module, as a runtime's loop parks between polls?"""
        callee = found.code.calls.get(found.code.instruction(vaddr)[0], 0)
        if callee < 0:
            callee = self._locations.pointer_or_none(-callee)
        symbol = self._symbol_at(callee) if callee > 0 else None
        return symbol is not None and _module(symbol[0]) == _module(name) != ""

    def _inlined(self, frame: Frame, vaddr: int, found: Body) -> Frame | None:
        located = found.locate(vaddr)
        if located is None:
            return None
        location, precision = located
        namer = found.definition.location if found.definition else location
        owner = owner_in(namer.path, self._own_crates)
        assert owner is not None
        return Frame(
            address=0,
            function=f"{short_path(namer.path, owner)}:{namer.line}",
            file=location.path,
            line=location.line,
            module=frame.module,
            offset=vaddr,
            origin=Origin.USER,
            inlined=True,
            inferred=True,
            precision=precision,
        )

    def _known(self) -> Sources:
        if self._sources is None:
            self._sources = Sources(self._references.paths(), self._own_crates)
        return self._sources

    def _function(
        self, start: int, size: int, where: ModulePath | None, *, may_define: bool
    ) -> Body | None:
        if start not in self._functions:
            if self._cached > CACHED_INSTRUCTIONS or len(self._functions) > CACHE_LIMIT:
                self._functions.clear()
                self._cached = 0
            found = self._read(start, size, where, may_define=may_define)
            self._functions[start] = found
            self._cached += len(found.code.starts) if found else 0
        return self._functions[start]

    def _read(
        self, start: int, size: int, where: ModulePath | None, *, may_define: bool
    ) -> Body | None:
        if not any(map(self._is_users, self._references.glance(start, size))):
            return None
        code = self._references.code(start, size)
        definition = self._definitions.of(start, size, code) if may_define else None
        own = tuple(one for one in code.references if self._is_own(one, where, definition))
        if not own:
            return None
        return Body(start, code, own, definition)

    def _is_own(
        self, one: Reference, where: ModulePath | None, definition: Definition | None
    ) -> bool:
        if not self._is_users(one.location):
            return False
        if definition is not None:
            begin = definition.location
            return one.location.path == begin.path and one.location.line >= begin.line
        return self._known().fits(one.location.path, where)

    def _is_users(self, location: Location) -> bool:
        return is_users(location.path, self._own_crates)


_MODULE = re.compile(r"<?(?:&|mut |dyn )*(\w+::\w+)")


def _module(raw: str) -> str:
    """``tokio::runtime`` of all that is in it."""
    found = _MODULE.match(demangle(raw, generics=False) or "")
    return found[1] if found else ""
