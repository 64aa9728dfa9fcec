"""Guesses the function and the line of an address that no symbol covers, from panic locations.

A function belongs to whose code it most probably is, its owner: the user if any of its locations is
in the user's code, else a dependency, the runtime, std (generic and inlined code of the latter is
everywhere). Only references to the owner's files count. One location names the function, the same
for all its addresses.

That is the definition that the function runs, see `hud.symbols.inference.definitions`; where none
is sure, those that it has are of futures that it polls, and it is the lowest line in the file that
is named most. An address gets the line of a reference near it or the definition, see
`hud.symbols.inference.bodies`; else of the owner's reference whose site is nearest along the
control flow. Where that belongs to a source function with another name the optimiser has inlined
it: that is a frame of its own. A definition says whose task blocks, not which of several async fns
inlined into one poll.

Measured against debug info (rustc 1.95; calls that may block in the user's code; `bench where
--strip`):
=========================  =====  ===============================  =====================
build                      named  right (a definition: all right)  of these by definition
=========================  =====  ===============================  =====================
HTTP server, fat LTO       81 %   92 %                             60 %
HTTP server, release       81 %   96 %                             74 %
blockers, fat LTO          93 %   97 %                             60 %
file server (dufs)         58 %   91 %                             70 %
=========================  =====  ===============================  =====================

How far a function reaches in its file is not known: a gap that is too short shows one long function
as several, each by a line of it; one that is too long puts the time of several under the name of
one, which misleads more. Locations of other functions between two lines part them (sccache as
shipped, 24,667 calls: part of a function's calls under one name / part of a name's calls in one
function): 0.89 / 0.999 with gaps up to 15 lines, 0.93 / 0.983 up to 120, 0.93 / 0.995 as here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hud.model import Frame, Origin, Precision
from hud.symbols.inference.bodies import Body
from hud.symbols.inference.coroutines import Coroutines
from hud.symbols.inference.definitions import Definitions
from hud.symbols.inference.locations import Location, Locations
from hud.symbols.inference.references import References
from hud.symbols.names import Owner, is_users, owner_in
from hud.symbols.owncrates import NOT_KNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.symbols.elf.file import ElfFile
    from hud.symbols.inference.references import Reference
    from hud.symbols.machine.flow import Flow
    from hud.symbols.owncrates import OwnCrates

CACHED_REFERENCES = 1 << 17
"""Own references of known functions that are kept; beyond it they are found anew."""

GAP = 15
"""Lines between two locations of one function of the user's, at most."""
FAR = 120
"""The same where no location of another function lies between them."""

_PREFERENCE = (Origin.USER, Origin.DEPENDENCY, Origin.RUNTIME, Origin.STD)


class _Function(NamedTuple):
    body: Body
    owner: Owner
    location: Location
    """It names the function, the same for all its addresses."""


class Inferred:
    """Guesses for one module; nothing is read before the first question."""

    def __init__(self, elf: ElfFile, own_crates: OwnCrates = NOT_KNOWN) -> None:
        self._elf = elf
        self._own_crates = own_crates
        self.locations = Locations(elf)
        self.references = References(elf, self.locations)
        self._definitions = Definitions(Coroutines(elf, self.locations), self._is_users)
        self._functions: dict[int, _Function | None] = {}
        self._cached = 0
        self._all: dict[str, list[int]] | None = None

    def frames(self, vaddr: int) -> tuple[Frame, ...]:
        """The calls at a vaddr, innermost first, marked as inferred; never raises.

        Without a location: one nameless frame whose ``offset`` is its function's start, so that
        all addresses of the function are one; empty where the function is not known either.
        """
        bounds = self.function_bounds(vaddr)
        if bounds is None:
            return ()
        start = bounds[0]
        if start not in self._functions:
            if self._cached > CACHED_REFERENCES or len(self._functions) > CACHED_REFERENCES:
                self._functions.clear()
                self._cached = 0
            found = self._function(*bounds)
            self._functions[start] = found
            self._cached += len(found.body.own) if found else 0
        function = self._functions[start]
        if function is None:
            return (Frame(0, module=self._elf.name, offset=start),)
        return self._named(function, vaddr)

    def function_bounds(self, vaddr: int) -> tuple[int, int] | None:
        """(start, size) of the function at a vaddr by ``.eh_frame_hdr``; None = not known."""
        return self.references.bounds(vaddr)

    def _lines(self, path: str) -> Sequence[int]:
        """Those of all locations in a file, ascending; empty = not known."""
        if self._all is None:
            self._all = self.locations.lines()
        return self._all.get(path, ())

    def _is_users(self, location: Location) -> bool:
        return is_users(location.path, self._own_crates)

    def _function(self, start: int, size: int) -> _Function | None:
        if not self.references.glance(start, size):
            return None
        code = self.references.code(start, size)
        owners = [(owner_in(one.location.path, self._own_crates), one) for one in code.references]
        known = [(whose, one) for whose, one in owners if whose and whose.origin in _PREFERENCE]
        if not known:
            return None
        best = min((whose.origin for whose, _ in known), key=_PREFERENCE.index)
        owner = Counter(whose for whose, _ in known if whose.origin is best).most_common(1)[0][0]
        own = [one for whose, one in known if whose == owner]
        if owner.origin is not Origin.USER:
            location = _first(own)
            own = [one for one in own if one.location.path == location.path]
            return _Function(Body(start, code, own, None), owner, location)
        definition = self._definitions.of(start, size, code)
        if definition is None:
            # those that are left are of futures that it polls
            own = [one for one in own if not one.definition]
        if not own:
            return None
        location = definition.location if definition is not None else _lowest(own)
        return _Function(Body(start, code, own, definition), owner, location)

    def _named(self, function: _Function, vaddr: int) -> tuple[Frame, ...]:
        body, location = function.body, function.location
        sure = body.locate(vaddr)
        at, precision = sure or (nearest(body.own, body.flow, vaddr), Precision.NEAR)
        namer = _namer(function, at, vaddr, self._lines(at.path))
        inner = self._frame(function.owner, namer, at.line, vaddr, precision)
        if namer == location:
            return (inner,)
        how = Precision.DEFINITION if body.definition else Precision.NEAR
        outer = self._frame(function.owner, location, location.line, vaddr, how)
        return replace(inner, inlined=True), outer

    def _frame(
        self, owner: Owner, namer: Location, line: int, vaddr: int, precision: Precision
    ) -> Frame:
        crate = f"{owner.crate} {owner.version}" if owner.version else owner.crate
        return Frame(
            address=0,
            function=f"{short_path(namer.path, owner)}:{namer.line}",
            file=namer.path,
            line=line,
            module=self._elf.name,
            offset=vaddr,
            origin=owner.origin,
            crate=crate,
            inferred=True,
            precision=precision,
        )


def short_path(path: str, owner: Owner) -> str:
    """``src/server.rs`` of own code, ``bcrypt/src/lib.rs`` of a crate's."""
    if owner.origin is Origin.USER and not path.startswith("/"):
        return path
    parts = path.split("/")
    start = len(parts) - 1
    if "src" in parts[:-1]:
        start = len(parts) - 2 - parts[-2::-1].index("src")
    return "/".join(filter(None, [owner.crate, *parts[start:]]))


def nearest(own: Sequence[Reference], flow: Flow, vaddr: int) -> Location:
    """The location whose site is nearest; a definition only if ``vaddr`` is reached from there."""
    behind = _by_site(own, definitions=True)
    ahead = _by_site(own, definitions=False)
    found = []
    for sites, forward in ((behind, False), (ahead, True)):
        reached = flow.nearest(vaddr, sorted(sites), ahead=forward)
        if reached is not None:
            found.append((reached[0], sites[reached[1]]))
    if found:
        return min(found)[1]
    return min((abs(one.sites[0] - vaddr), one.location) for one in own)[1]


def _by_site(own: Sequence[Reference], *, definitions: bool) -> dict[int, Location]:
    return {
        site: one.location
        for one in reversed(own)
        for site in one.sites
        if definitions or not one.definition
    }


def _first(own: Sequence[Reference]) -> Location:
    """The definition that is tested first, else the lowest line."""
    definitions = [one for one in own if one.definition]
    if definitions:
        return min(definitions, key=lambda one: (one.sites[0], one.at)).location
    return _lowest(own)


def _lowest(own: Sequence[Reference]) -> Location:
    """The lowest line in the file that is named most."""
    path = Counter(one.location.path for one in own).most_common(1)[0][0]
    return min(one.location for one in own if one.location.path == path)


def _namer(function: _Function, at: Location, vaddr: int, lines: Sequence[int]) -> Location:
    """The location that names the source function of ``at``: it, or one above it in its file.

    That is the definition that was passed last on the way to ``vaddr``, if ``at`` can be in it;
    else as ``first_line`` has it. ``lines``: those of all locations in its file, ascending.
    """
    if function.owner.origin is not Origin.USER or at == function.location:
        return function.location
    definitions = {
        site: one.location for one in function.body.own if one.definition for site in one.sites
    }
    passed = function.body.flow.nearest(vaddr, sorted(definitions), ahead=False)
    if passed is not None:
        last = definitions[passed[1]]
        if last.path == at.path and last.line <= at.line:
            return last
    same = {one.location for one in function.body.own if one.location.path == at.path}
    line = first_line(at.line, {one.line for one in same}, lines)
    return min((one for one in same if one.line == line), default=at) if line < at.line else at


def first_line(line: int, own: set[int], lines: Sequence[int]) -> int:
    """The first of a function's ``own`` lines that nothing parts from ``line``: no gap of more than
    FAR, nor one of more than GAP in which other functions have some of the file's ``lines``."""
    for above in sorted((one for one in own if one < line), reverse=True):
        others = bisect_left(lines, line) - bisect_right(lines, above)
        if line - above > (FAR if lines and not others else GAP):
            break
        line = above
    return line
