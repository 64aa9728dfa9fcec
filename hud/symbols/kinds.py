"""Names the types of a program's tasks by the functions in their vtables.

Each future that is spawned, with each scheduler, has a vtable of ``tokio::runtime::task::raw``.
What is known of the future, best first: the generics of ``raw::poll<T, S>`` in DWARF; those of its
v0 symbol; the symbols of ``drop_in_place`` for the task's cell and stage, which its functions
reach; the future's own function, which poll reaches; without symbols the place where the async fn
or block is declared (`hud.symbols.inference.locations`).

The linker and LLVM merge functions of the same bytes, and then an address has the names of several
types, or one name stands for several. Each drop function that a vtable reaches narrows the choice;
so does the future's own function, and what another vtable of the scheduler surely is. What is left
is shown whole: ``a | b``.

Sources: tokio/src/runtime/task/raw.rs, core.rs (the same in 1.38 to 1.54).
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.model import Origin
from hud.symbols.demangle import demangle
from hud.symbols.generics import first_argument, first_generic, shown, without_generics
from hud.symbols.inference.definitions import Definitions
from hud.symbols.inference.inferred import short_path
from hud.symbols.inference.references import References
from hud.symbols.machine.reach import Reach
from hud.symbols.names import Owner, owner_of
from hud.symbols.unwind.bounds import Bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.symbols.elf.file import ElfFile
    from hud.symbols.inference.locations import Location
    from hud.symbols.module import Module

DEPTH = 3
POINTERS = 7
"""Functions in a vtable; then trailer_offset, scheduler_offset and id_offset."""
OFFSETS = bytes((32, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0))
"""scheduler_offset and id_offset: behind a header of 32 bytes."""
SEARCHED = 128 << 20
"""Bytes of data that are searched for vtables."""
MOST_VTABLES = 4096
MOST_SYMBOLS = 20_000
MOST_REACHED = 200_000
"""Functions that all vtables together reach and are compared by; a second of CPU time. Beyond it
what is not sure by itself stays so."""
NOT_SURE = "~"
MOST_SHOWN = 4
"""Types that are shown where it may be any of them."""


_DROP_SYMBOLS = rb"drop_in_place.{0,120}task(?:\.\.|4)core"
_DROP = re.compile(
    r"^core::ptr::drop_in_place(?:::)?<(?:alloc::boxed::Box<)?"
    r"tokio::runtime::task::core::(?=(?:Cell|CoreStage|Stage)<)"
)
_OWN_POLL = re.compile(r"::\{\{?closure(?:#\d+)?\}\}?$")
_COROUTINE = re.compile(r"\{async_\w+#\d+\}(?=(?:<.*>)?$)")


class VtableFunctions(NamedTuple):
    """Of one vtable, as vaddrs."""

    poll: int
    schedule: int
    """The same for all futures of one kind of scheduler."""
    dealloc: int
    drop_join_handle: int
    shutdown: int


class KnownKind(NamedTuple):
    """What is known of one type of task; see ``hud.model.TaskKind``."""

    name: str
    where: str
    """May begin with NOT_SURE."""
    inferred: bool


class _Evidence(NamedTuple):
    futures: frozenset[str]
    """What all drop functions have in common."""
    any: frozenset[str]
    """What some of them say."""
    polled: dict[str, int]
    """Futures whose own function poll reaches -> depth."""
    definitions: list[tuple[int, Location | None]]
    """(depth, place), nearest first; None = that function runs several, and none is sure."""


class TaskKinds:
    """The task types of one module."""

    def __init__(self, elf: ElfFile, module: Module) -> None:
        self._elf = elf
        self._module = module
        self._locations = module.locations
        self._references = References(elf, self._locations)
        self._reach = Reach(elf, self._locations.pointer_or_none, self._starting_at)
        self._table: Bounds | None = None
        with suppress(FormatError):
            self._table = Bounds(elf)
        self._starts: frozenset[int] | None = None
        self._bounds: dict[int, tuple[int, int] | None] = {}
        self._futures: dict[int, str] = {}
        self._reached = 0
        self._evidence: dict[VtableFunctions, _Evidence] = {}
        self._listed: tuple[VtableFunctions, ...] | None = None
        self._drops: dict[int, frozenset[str]] | None = None
        self._sure: dict[VtableFunctions, str] = {}
        self._shared: set[tuple[int, str]] = set()
        """Schedulers and futures that stand for several types: their functions were merged."""
        self._definitions = Definitions(module.coroutines, _is_own)
        self._defined: dict[int, tuple[Location | None, ...]] = {}
        self._places: Counter[Location] = Counter()

    def of(self, functions: VtableFunctions) -> KnownKind:
        """The type whose vtable has these functions; empty where nothing is known."""
        generic = first_generic(self._module.own_name(functions.poll)) or self._from_v0(functions)
        self._compare(functions)
        if generic and not any(
            one.poll == functions.poll and one != functions for one in self._vtables()
        ):
            own = _COROUTINE.search(generic)
            if own and "{impl#" in generic and functions in self._sure:
                # the symbols call an impl by its type, DWARF by a number
                return self._kind(self._sure[functions], functions, own[0])
            return self._kind(generic, functions)
        if functions in self._sure:
            return self._kind(self._sure[functions], functions)
        left = sorted(self._left(functions))
        futures = left or _nearest(self._evidence_of(functions).polled)
        place = self._declared(functions, "").removeprefix(NOT_SURE)
        if place and len(futures) == 1 and (functions.schedule, futures[0]) in self._shared:
            return KnownKind(place, place, True)
        if futures:
            names = any_of(futures)
            where = self._declared(functions, "") if all(map(_is_coroutine, futures)) else ""
            # one is left by elimination, or a merged function spoke for it
            return KnownKind(names, where, len(left) < 2)
        return KnownKind(place, place, bool(place))

    def _kind(self, future: str, functions: VtableFunctions, own_name: str = "") -> KnownKind:
        """With where its async fn or block is declared; ``own_name`` as DWARF has it."""
        where = self._declared(functions, future) if _is_coroutine(future) else ""
        return KnownKind(shown(future, own_name), where, False)

    # ------------------------------------------------------------------ the program's vtables

    def _vtables(self) -> tuple[VtableFunctions, ...]:
        """Those in the file's data, found by their offsets and pointers."""
        if self._listed is None:
            found: list[VtableFunctions] = []
            for vaddr, piece in self._elf.data_pieces(SEARCHED, writable=True):
                data = bytes(piece)
                at = data.find(OFFSETS)
                while at >= 0 and len(found) < MOST_VTABLES:
                    start = vaddr + at - 8 * (POINTERS + 1)
                    functions = self._functions_at(start) if start % 8 == 0 else None
                    if functions is not None:
                        found.append(functions)
                    at = data.find(OFFSETS, at + 8)
            self._elf.release()
            self._listed = tuple(found)
        return self._listed

    def _functions_at(self, vaddr: int) -> VtableFunctions | None:
        pointers = [self._locations.pointer_or_none(vaddr + 8 * i) for i in range(POINTERS)]
        if not all(map(self._is_code, pointers)):
            return None
        poll, schedule, dealloc, _, drop_join_handle, _, shutdown = pointers
        return VtableFunctions(poll, schedule, dealloc, drop_join_handle, shutdown)

    def _is_code(self, vaddr: int) -> bool:
        return any(start <= vaddr < end for start, end in self._elf.code_ranges())

    def _compare(self, functions: VtableFunctions) -> None:
        """Learn from all vtables which are sure, and how many reach a place."""
        if self._evidence:
            return
        for one in dict.fromkeys([*self._vtables(), functions]):
            if self._reached > MOST_REACHED:
                return
            evidence = self._evidence_of(one)
            self._places.update({place for _, place in evidence.definitions if place})
            own = _own(evidence)
            if len(own) == 1:
                self._sure[one] = own[0]
        claims: dict[tuple[int, str], list[VtableFunctions]] = {}
        for one, evidence in self._evidence.items():
            if one not in self._sure and len(evidence.futures) == 1:
                claims.setdefault((one.schedule, min(evidence.futures)), []).append(one)
        taken = {(one.schedule, future) for one, future in self._sure.items()}
        for (schedule, future), claimants in claims.items():
            if len(claimants) == 1 and (schedule, future) not in taken:
                self._sure[claimants[0]] = future
            else:
                self._shared.add((schedule, future))

    def _has_drops(self) -> bool:
        """Are any drop functions known by name?"""
        self._drops_at(0)
        return bool(self._drops)

    def _drops_at(self, vaddr: int) -> frozenset[str] | None:
        """The futures whose task's cell or stage the function at a vaddr drops."""
        if self._drops is None:
            named: dict[int, set[str]] = {}
            for raw, start, _ in self._module.defined(_DROP_SYMBOLS)[:MOST_SYMBOLS]:
                name = demangle(raw) or ""
                found = _DROP.match(name)
                future = first_argument(name[found.end() :]) if found else ""
                if future:
                    named.setdefault(start, set()).add(future)
            self._drops = {start: frozenset(futures) for start, futures in named.items()}
        return self._drops.get(vaddr)

    # ------------------------------------------------------------------ one vtable

    def _starting_at(self, vaddr: int) -> tuple[int, int] | None:
        """(start, size) of the function that begins at a vaddr; None where none does."""
        if self._starts is None:
            table = self._table.starts() if self._table is not None else ()
            self._starts = frozenset((*table, *self._module.function_starts()))
        if vaddr not in self._starts:
            return None
        if vaddr not in self._bounds:
            self._bounds[vaddr] = self._bounds_of(vaddr)
        return self._bounds[vaddr]

    def _bounds_of(self, vaddr: int) -> tuple[int, int] | None:
        symbol = self._module.symbol(vaddr)
        if symbol is not None:
            return symbol[1], symbol[2]
        try:
            return self._table.of(vaddr) if self._table is not None else None
        except FormatError:
            return None

    def _from_v0(self, functions: VtableFunctions) -> str:
        symbol = self._module.symbol(functions.poll)
        return first_generic(demangle(symbol[0]) or "") if symbol is not None else ""

    def _evidence_of(self, functions: VtableFunctions) -> _Evidence:
        if functions not in self._evidence:
            self._evidence[functions] = self._gather(functions)
        return self._evidence[functions]

    def _gather(self, functions: VtableFunctions) -> _Evidence:
        futures: frozenset[str] = frozenset()
        some: frozenset[str] = frozenset()
        polled: dict[str, int] = {}
        definitions: list[tuple[int, Location | None]] = []
        # the others know a type by the names of drop functions alone
        roots = functions if self._has_drops() else functions[:1]
        for root in dict.fromkeys(roots):
            reached = self._reach.of(root, DEPTH)
            self._reached += len(reached)
            for function, depth in reached.items():
                dropped = self._drops_at(function)
                if dropped is not None:
                    futures = futures & dropped if some else dropped
                    some |= dropped
                if root != functions.poll:
                    continue
                future = self._future_at(function)
                if future:
                    polled.setdefault(future, depth)
                definitions += [(depth, place) for place in self._define(function)]
        return _Evidence(futures, some, polled, sorted(definitions, key=itemgetter(0)))

    def _future_at(self, function: int) -> str:
        """The future of no library whose own poll a function is; empty = none's."""
        if function not in self._futures:
            symbol = self._module.symbol(function)
            name = (demangle(symbol[0]) or "") if symbol is not None else ""
            own = _OWN_POLL.search(name) and not _is_library(name)
            self._futures[function] = name if own else ""
        return self._futures[function]

    def _define(self, function: int) -> tuple[Location | None, ...]:
        """Where the async fn or block is declared that a function runs; empty = it runs none."""
        if function not in self._defined:
            bounds = self._starting_at(function)
            self._defined[function] = self._read_definition(*bounds) if bounds is not None else ()
        return self._defined[function]

    def _read_definition(self, start: int, size: int) -> tuple[Location | None, ...]:
        walked = self._module.coroutines.declared(start, size)
        if walked is not None and _is_own(walked):
            return (walked,)
        if not any(map(_is_own, self._references.glance(start, size))):
            return ()
        code = self._references.code(start, size)
        if not any(one.definition and _is_own(one.location) for one in code.references):
            return ()
        found = self._definitions.of(start, size, code)
        return (found.location if found is not None else None,)

    def _left(self, functions: VtableFunctions) -> frozenset[str]:
        """The types that one that is not sure may be, by its drop functions."""
        evidence = self._evidence_of(functions)
        others = {
            future
            for one, future in self._sure.items()
            if one.schedule == functions.schedule and one != functions
        }
        # a single one is another's too: a merged function spoke for both
        left = evidence.futures if len(evidence.futures) > 1 else evidence.any
        return left - others

    def _own_functions(self, functions: VtableFunctions, future: str) -> set[int]:
        """The function that a named future's poll is, or all that have its path; may be empty."""
        plain = without_generics(future)
        for function in self._reach.of(functions.poll, DEPTH):
            symbol = self._module.symbol(function)
            if symbol is not None and without_generics(demangle(symbol[0]) or "") == plain:
                return {function}
        # without optimisation Tokio reaches it by pointers
        parts = plain.removesuffix("::{closure}").split("::")
        if not all(part.isidentifier() for part in parts):
            return set()
        path = "".join(f"{len(part)}{part}" for part in parts)
        return {
            start
            for raw, start, _ in self._module.defined(re.escape(path.encode()))
            if without_generics(demangle(raw) or "") == plain
        }

    def _declared(self, functions: VtableFunctions, name: str) -> str:
        """``src/main.rs:40``: the definition nearest to poll; of several at one depth the one
        that fewest vtables reach. NOT_SURE before it where it is not in the future's own function,
        so that it may be a callee's. Empty where none is known, or nearer ones are not sure."""
        if name:
            owned = map(self._define, self._own_functions(functions, name))
            first = {place for found in owned for place in found if place is not None}
            if len(first) == 1:
                return _short(first.pop())
        definitions = self._evidence_of(functions).definitions
        if name:
            crate = name.lstrip("<&").partition("::")[0]
            definitions = [(depth, one) for depth, one in definitions if _may_be(one, crate)]
        nearest = [one for depth, one in definitions if depth == definitions[0][0]]
        sure = [one for one in nearest if one is not None]
        if not sure:
            return ""
        return NOT_SURE + _short(min(sure, key=lambda one: (self._places[one], one)))


def any_of(futures: Sequence[str]) -> str:
    """``a | b`` where it may be either of them; each once as people read it."""
    return " | ".join(dict.fromkeys(map(shown, futures[:MOST_SHOWN])))


def _own(evidence: _Evidence) -> list[str]:
    """Of the futures that it may be, those whose own function poll reaches."""
    plain = {without_generics(name) for name in evidence.polled}
    return [future for future in evidence.any if without_generics(future) in plain]


def _short(location: Location) -> str:
    owner = owner_of(location.path)
    path = short_path(location.path, owner) if owner is not None else location.path
    return f"{path}:{location.line}"


def _is_coroutine(future: str) -> bool:
    """An async fn or block, not a type with a poll of its own."""
    return future.endswith("}") or "}<" in future


def _is_own(location: Location) -> bool:
    owner = owner_of(location.path)
    return owner is not None and owner.origin in (Origin.USER, Origin.DEPENDENCY)


def _may_be(location: Location | None, crate: str) -> bool:
    """A dependency's path names its crate; the user's says nothing."""
    owner = owner_of(location.path) if location is not None else Owner(Origin.USER)
    return owner is not None and owner.crate in ("", crate)


def _is_library(name: str) -> bool:
    return name.lstrip("<").startswith(("tokio::", "core::", "std::", "alloc::"))


def _nearest(depths: dict[str, int]) -> list[str]:
    least = min(depths.values(), default=0)
    return [name for name, depth in depths.items() if depth == least]
