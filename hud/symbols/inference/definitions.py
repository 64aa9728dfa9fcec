"""Finds the async fn or block that a function is the body of, or has inlined at its start.

A body has its own resumed panic, to which nothing but its state leads
(`hud.symbols.inference.coroutines`). A function that does other things first (the poll of a task,
with the body inlined) has the panics of all futures that it polls. Each panic is chosen by a state,
and the instructions that load the outermost one's are passed before nearly all that the function
does, an inner one's before little of it. The measure is the share of the function's calls that are
reached without passing those loads. An ``async`` block that never returns has no such panic, and
then an inner one's must not be taken for it: no answer rather than a wrong one.

Measured against debug info (rustc 1.95; release, fat LTO, opt-level s; 204 functions in a program
of blockers, an HTTP server and four services): 175 right, none wrong, 29 not known; the definition
tested first would be wrong for 27. The shares of the true ones were 0.00 to 0.30, of a dozen more
0.6 to 1; of inner ones 0.52 and up, but beside the outer one.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from hud.symbols.machine.flow import Flow, within
from hud.symbols.names import is_users

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.symbols.inference.coroutines import Coroutines
    from hud.symbols.inference.locations import Location
    from hud.symbols.inference.references import FunctionCode, Reference

BACK = 14
"""Instructions from a branch back to the load of the state, at most."""
MOST_SHARE = 0.5
MOST_DEFINITIONS = 64
"""Of one function; one with more is not looked at."""


class Definition(NamedTuple):
    """The async fn or block that a function runs."""

    location: Location
    state_loads: tuple[int, ...]
    """Vaddrs that load its state, passed before its body; empty = it is the function itself."""


class Definitions:
    """The definitions of one module's functions; ``counts`` says whose are looked for."""

    def __init__(
        self, coroutines: Coroutines, counts: Callable[[Location], bool] | None = None
    ) -> None:
        self._coroutines = coroutines
        self._counts = counts or _is_users

    def of(self, start: int, size: int, code: FunctionCode) -> Definition | None:
        """That of the function [start, start + size), whose ``code`` is known; None = not sure."""
        found = self._coroutines.declared(start, size)
        if found is not None and self._counts(found):
            return Definition(found, ())
        own = [one for one in code.references if one.definition and self._counts(one.location)]
        if not own or len(own) > MOST_DEFINITIONS:
            return None
        if found is not None:  # a dependency's body; it polls the user's first
            return Definition(min(own, key=lambda one: one.sites[0]).location, ())
        return _dominant(start, code, own)


def _dominant(start: int, code: FunctionCode, own: list[Reference]) -> Definition | None:
    flow = Flow(code.jumps, code.stops)
    all_calls = _calls_in(code, flow.reached(start))
    loads_of: dict[Location, set[int]] = {}
    for one in own:
        loads_of.setdefault(one.location, set()).update(_state_loads(code, one.sites))
    outer = {}
    for location, loads in loads_of.items():
        if loads and all_calls:
            left = _calls_in(code, _stopped(flow, loads).reached(start))
            if left <= MOST_SHARE * all_calls:
                outer[location] = loads
    first = [one for one in outer if _is_first(one, outer, flow, start)]
    if len(first) != 1:
        return None
    return Definition(first[0], tuple(sorted(outer[first[0]])))


def _is_first(one: Location, outer: dict[Location, set[int]], flow: Flow, start: int) -> bool:
    """Is a load of its state reached without passing those of the others?"""
    others = {vaddr for other, loads in outer.items() if other != one for vaddr in loads}
    reached = _stopped(flow, others - outer[one]).reached(start)
    return any(within(reached, vaddr) for vaddr in outer[one])


def _stopped(flow: Flow, loads: set[int]) -> Flow:
    return flow.stopped_at({*loads, *(vaddr + 1 for vaddr in loads)})


def _calls_in(code: FunctionCode, ranges: list[tuple[int, int]]) -> int:
    return sum(within(ranges, call) for call in code.calls)


def _state_loads(code: FunctionCode, sites: tuple[int, ...]) -> set[int]:
    """The loads of a byte that the ways to the sites have passed last."""
    loads, stops = set(code.loads), set(code.stops)
    sources: dict[int, list[int]] = {}
    for source, target in code.jumps:
        sources.setdefault(target, []).append(source)
    found: set[int] = set()
    seen = set(sites)
    left = list(sites)
    for _ in range(BACK):
        before: list[int] = []
        for vaddr in left:
            if vaddr in loads:
                found.add(vaddr)
                continue
            index = bisect_left(code.starts, vaddr)
            if index and vaddr not in stops:
                before.append(code.starts[index - 1])
            before += sources.get(vaddr, ())
        left = [vaddr for vaddr in dict.fromkeys(before) if vaddr not in seen]
        seen.update(left)
    return found


def _is_users(location: Location) -> bool:
    return is_users(location.path)
