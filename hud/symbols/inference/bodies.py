"""Locates an address in one function's code: a line near it, or the function's definition.

Near are the references that control flow comes to behind or before a call with no other call
between: an ``unwrap`` of its result, the index of its argument. See
`hud.symbols.inference.references` and `hud.symbols.inference.definitions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.model import Precision
from hud.symbols.machine.flow import Flow, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.symbols.inference.definitions import Definition
    from hud.symbols.inference.locations import Location
    from hud.symbols.inference.references import FunctionCode, Reference


class Body:
    """One function, of whose references ``own`` are those that count; never empty."""

    def __init__(
        self,
        start: int,
        code: FunctionCode,
        own: Sequence[Reference],
        definition: Definition | None,
    ) -> None:
        self.code = code
        self.own = tuple(own)
        self.definition = definition
        self._stops = set(code.stops)
        self.flow = Flow(code.jumps, code.stops)
        self._between_calls = self.flow.stopped_at(call + 1 for call in code.calls)
        self._before: list[tuple[int, int]] = []
        if definition is not None and definition.state_loads:
            loads = definition.state_loads
            ends = (*loads, *(vaddr + 1 for vaddr in loads))
            self._before = self.flow.stopped_at(ends).reached(start)

    def locate(self, vaddr: int) -> tuple[Location, Precision] | None:
        """The best that is sure of an address: nothing where it is before the definition."""
        if within(self._before, vaddr):
            return None
        near = self._near(vaddr)
        if near is not None:
            return near, Precision.NEAR
        if self.definition is not None:
            return self.definition.location, Precision.DEFINITION
        return None

    def _near(self, vaddr: int) -> Location | None:
        """What the call at ``vaddr`` is given, else the reference after, else before it."""
        sites = {
            site: one.location
            for one in reversed(self.own)
            if not one.definition
            for site in one.sites
        }
        begin, end = self.code.instruction(vaddr)
        passed = [one.location for one in self.own if one.call == begin]
        if passed:
            return passed[-1]
        returns = not self._stops & {begin + 1, end}
        for at, ahead in ((end, True), (begin, False)) if returns else ((begin, False),):
            found = self._between_calls.nearest(at, sorted(sites), ahead=ahead)
            if found is not None:
                return sites[found[1]]
        return None
