"""Knows where Tokio keeps its thread-local ``CONTEXT`` and which layouts a program's may have.

That is the thread-local of ``tokio::runtime::context``. Its layouts were measured; which of them a
program has the live process must confirm. Offsets are bytes from the start of CONTEXT unless said
otherwise.

Before Tokio 1.22 there is no such object: its parts are thread-locals of their own, and no task has
an id there. Offsets then count from the start of the file's thread-locals.

Cargo features change the layout: every row is of a program with ``rt-multi-thread`` or of one with
``rt`` alone, and one size can be of both. No row depends on the machine: x86_64 and aarch64 agree
in size and alignment of everything in CONTEXT (aarch64: by the language's rules, not measured).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hud.runtime.versions import Version, minor_between, parse_version, version_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hud.runtime.blocks import Block

NONE = -1


@dataclass(frozen=True, slots=True)
class ContextLayout:
    """One hypothesis: where CONTEXT is in each thread, and what is where in it."""

    tokio: str
    """The versions of the row: ``1.40 to 1.44``; what is known of the program is in ``why``."""
    size: int
    tls_offset: int
    """Bytes to CONTEXT from the thread pointer (fsbase, TPIDR_EL0; negative on x86_64), or with a
    ``module`` from its block."""
    task_tag: int
    """The Option tag of ``current_task_id``; NONE = no tag, an id of 0 means none."""
    task_id: int
    """8 bytes; NONE = there are no ids, and the parts lie apart."""
    budget_tag: int
    """1 byte: 1 = in a poll with a budget."""
    runtime: int
    """1 byte: 0 = entered (current_thread), 1 = entered (multi_thread), 2 = not entered."""
    scheduler: int
    """Pointer to the scheduler's Context while the thread drives one; NONE = not known. Before
    Tokio 1.29 that of multi_thread, or of current_thread if there is no other, outside CONTEXT."""
    core: int
    """The pointer to Core inside the scheduler's Context; NONE = not known."""
    tick_multi: int
    """``tick`` (u32) in the multi_thread Core; NONE = not known or not reachable. Of a proposal it
    is a guess, as ``core`` is, until hud.runtime.cores has proven it in the live process."""
    tick_current: int
    """``tick`` (u32) in the current_thread Core; NONE until it is found in the live process."""
    why: str
    """How it came to be proposed, for people."""
    module: int = 0
    """TLS module id of a shared object; 0 = at a fixed distance from the thread pointer."""
    early: bool = False
    """Before Tokio 1.29 each kind of scheduler has a thread-local and a Context of its own."""
    current: int = NONE
    """Then the pointer to the current_thread scheduler's Context; NONE = none, or not known."""
    untagged: bool = False
    """The scheduler's Context has no tag: a Tokio without ``rt-multi-thread``."""
    park: int = NONE
    """``park`` (u64) in the multi_thread Core, 0 while the worker is parked; NONE = not known."""
    driver: int = NONE
    """``driver`` in the current_thread Core, taken out while its thread is parked; NONE = not
    known."""
    flags: bool = False
    """A worker's bools are behind its tick and the interval after that."""
    state: int = NONE
    """1 byte, the thread-local's own: 1 = in use, as in every thread that has entered; NONE =
    elsewhere."""

    @property
    def apart(self) -> bool:
        """Whether the parts are thread-locals of their own: before Tokio 1.22."""
        return self.task_id == NONE

    @property
    def knows_drivers(self) -> bool:
        """Whether a thread without a scheduler there drives none, of either kind."""
        return self.scheduler != NONE and (not self.early or self.current != NONE)

    @property
    def separates_polls(self) -> bool:
        """Whether two polls of a thread can be distinguished: by a task's id, else by the tick."""
        ticks = max(self.tick_multi, self.tick_current) != NONE
        return not self.apart or (self.core != NONE and ticks)


class LayoutRow(NamedTuple):
    """A measured layout; ``first`` and ``last`` are (major, minor), both included."""

    first: tuple[int, int]
    last: tuple[int, int]
    multi_thread: bool
    """Built with ``rt-multi-thread``; False: with ``rt`` alone (and time, net)."""
    size: int
    task_tag: int
    task_id: int
    budget_tag: int
    runtime: int
    scheduler: int
    core: int
    tick_multi: int
    built: str = ""
    """What else was special about it, for people."""

    @property
    def tokio(self) -> str:
        first, last = (".".join(map(str, end)) for end in (self.first, self.last))
        versions = first if first == last else f"{first} to {last}"
        return f"{versions} {self.built}" if self.built else versions

    @property
    def fields(self) -> tuple[int, ...]:
        """Offsets of what is read."""
        return self.task_tag, self.task_id, self.budget_tag, self.runtime, self.scheduler


# Before 1.29 the pointer to the scheduler's Context is a thread-local of its own.
# Core is at 24 of the scheduler's Context: its enum tag, the handle, then the RefCell's flag.
_MULTI = (
    LayoutRow((1, 22), (1, 22), True, 64, 0, 8, 48, 50, NONE, NONE, NONE),
    LayoutRow((1, 23), (1, 23), True, 96, 32, 40, 80, 82, NONE, NONE, NONE),
    LayoutRow((1, 24), (1, 28), True, 104, 32, 40, 88, 90, NONE, NONE, NONE),
    LayoutRow((1, 29), (1, 39), True, 88, 32, 40, 76, 78, 56, 24, 64),
    LayoutRow((1, 40), (1, 44), True, 80, NONE, 48, 68, 70, 40, 24, 64),
    LayoutRow((1, 45), (1, 54), True, 80, NONE, 48, 68, 70, 40, 24, 104),
)
# Measured at 1.28.0, 1.38.0, 1.44.0 and 1.54.1; the ranges are those of the rows above.
_SINGLE = (
    LayoutRow((1, 22), (1, 22), False, 56, 16, 24, 40, 42, NONE, NONE, NONE),
    LayoutRow((1, 23), (1, 23), False, 88, 48, 56, 72, 74, NONE, NONE, NONE),
    LayoutRow((1, 24), (1, 28), False, 96, 48, 56, 80, 82, NONE, NONE, NONE),
    LayoutRow((1, 29), (1, 39), False, 80, 0, 8, 68, 70, 48, 24, NONE),
    LayoutRow((1, 40), (1, 54), False, 72, NONE, 40, 60, 62, 32, 24, NONE),
)
LAYOUTS: tuple[LayoutRow, ...] = _MULTI + _SINGLE
# Before Rust 1.80 the state of a thread-local is a symbol of its own. Of a few builds the order is
# another; their ranges are guesses, as each row is one. Core and tick are found in the process.
_BEFORE_180 = "with Rust before 1.80"
_DUMP = "with taskdump"
VARIANTS: tuple[LayoutRow, ...] = (
    *(
        row._replace(size=row.size - 8, built=_BEFORE_180)
        for row in LAYOUTS
        if row.scheduler != NONE or not row.multi_thread
    ),
    LayoutRow((1, 29), (1, 39), True, 80, 48, 56, 77, 76, 40, NONE, NONE, "with Rust 1.63"),
    LayoutRow((1, 29), (1, 39), True, 120, 64, 72, 108, 110, 88, NONE, NONE, _DUMP),
    LayoutRow((1, 40), (1, 54), True, 112, NONE, 80, 100, 102, 72, NONE, NONE, _DUMP),
    LayoutRow((1, 50), (1, 54), True, 104, NONE, 48, 92, 94, 40, NONE, NONE, _DUMP),
)
"""Of other builds of Tokio, measured with Rust 1.63 and 1.79 and with taskdump."""

UNKNOWN = "tokio, version not known"

NEWEST = max(row.last for row in LAYOUTS)
OLDEST = min(row.first for row in LAYOUTS)

APART = ((1, 20), (1, 21))
"""First and last version whose parts lie apart and were measured, at 1.20.6 and 1.21.2."""
APART_LIMIT = 1 << 16
"""Bytes of thread-locals of which the parts may lie anywhere; programs have a few thousand."""
CORE_LIMIT = 1 << 12
"""No Core is larger."""
_CURRENT = "5tokio7runtime({})7CURRENT3FOO.*VAL"
_PARTS = {
    "budget": (re.compile("5tokio4coop7CURRENT.*VAL"), 2),
    "entered": (re.compile("5tokio7runtime5enter7ENTERED.*VAL"), 1),
    "multi_thread": (
        re.compile(_CURRENT.format("11thread_pool6worker|9scheduler12multi_thread6worker")),
        8,
    ),
    "current_thread": (
        re.compile(_CURRENT.format("15basic_scheduler|9scheduler14current_thread")),
        8,
    ),
}
"""Symbol and bytes of each; without ``rt-multi-thread`` there is no such scheduler."""


class TlsFacts(Protocol):
    """What is read from the file; ``hud.symbols.module.ModuleFacts`` has it."""

    @property
    def tls_symbols(self) -> Sequence[tuple[str, int, int]]:
        """Name, st_value, size of the symbols of type TLS, CONTEXT among them if it is there."""

    @property
    def has_symtab(self) -> bool: ...
    @property
    def context_members(self) -> Sequence[Mapping[str, int]]:
        """Member -> offset of ``Context``, as debug info has it; empty without types."""


class Proposal(NamedTuple):
    """Layouts to try on the live process, most probable first."""

    layouts: tuple[ContextLayout, ...]
    reason: str
    """Why there is none; empty if there are some."""
    places: tuple[tuple[int, int], ...] = ()
    """Offset and size of each CONTEXT by its symbol, also of those that no row has the size of."""


def propose(facts: TlsFacts, block: Block, tokio_versions: Sequence[str] = ()) -> Proposal:
    """Layouts for each copy of CONTEXT in one file of the target, those of a copy together.

    ``tokio_versions`` are those seen in the file, of which more than one may be linked in.
    """
    versions = [found for found in map(parse_version, tokio_versions) if found]
    named = ", ".join(map(version_text, versions))
    apart = any(_PARTS["budget"][0].search(symbol) for symbol, _, _ in facts.tls_symbols)
    if (versions or apart) and all(version[:2] < OLDEST for version in versions):
        return _propose_apart(facts, block, max(versions, default=None))
    contexts = [symbol for symbol in facts.tls_symbols if is_context(symbol[0])]
    if not contexts:
        return Proposal((), _absence(facts, block, named))
    places = tuple((value, size) for _, value, size in contexts if 0 <= value <= block.size - size)
    layouts: list[ContextLayout] = []
    for value, size in places:
        rows = _rows(size, versions, block.where)
        if len(contexts) > len(versions) > 0:  # one of another version, which is not known
            known = {row.fields for row, _ in rows}
            more = _rows(size, (), block.where)
            rows += [(row, why) for row, why in more if row.fields not in known]
        rows = _by_dwarf(rows, facts.context_members)
        layouts += [
            _with_own_pointers(layout_of(row, block, value, why), facts, value, len(contexts))
            for row, why in rows
        ]
    of = f"tokio {named}" if named else "any version of tokio"
    sizes = " or ".join(str(size) for size in sorted({size for _, _, size in contexts}))
    reason = f"no known layout of {of} has a CONTEXT of {sizes} bytes"
    if facts.context_members:
        reason = f"debug info of tokio {named} contradicts every known layout"
    return Proposal(tuple(dict.fromkeys(layouts)), "" if layouts else reason, places)


def _propose_apart(facts: TlsFacts, block: Block, version: tuple[int, ...] | None) -> Proposal:
    if version is None and not any("9scheduler" in symbol for symbol, _, _ in facts.tls_symbols):
        return Proposal((), "a tokio before 1.21, whose version is not known")
    version = version or APART[1]
    tokio = f"tokio {version_text(version)}"
    if not APART[0] <= version[:2] <= APART[1]:
        return Proposal((), f"{tokio} is older than hud knows ({APART[0][0]}.{APART[0][1]})")
    offsets: dict[str, int] = {}
    for part, (symbol, size) in _PARTS.items():
        found = [one for one in facts.tls_symbols if symbol.search(one[0])]
        if len(found) > 1:
            return Proposal((), f"{len(found)} copies of {tokio}'s thread-local {part}")
        for _, value, length in found:
            if length != size or not 0 <= value <= min(block.size, APART_LIMIT) - size:
                return Proposal((), f"{tokio}'s thread-local {part} is not as hud knows it")
            offsets[part] = value
    schedulers = [offsets[part] for part in ("multi_thread", "current_thread") if part in offsets]
    if not schedulers or not {"budget", "entered"} <= offsets.keys():
        return Proposal((), _absence(facts, block, version_text(version)))
    multi, current = (
        {one.get("tick", NONE) for one in facts.context_members if name in one}
        for name in ("lifo_slot", "unhandled_panic")
    )
    why = f"{tokio}{f' in {block.where}' if block.where else ''} without task ids"
    why += ", its ticks as debug info says" * bool(multi or current)
    layout = ContextLayout(
        tokio=".".join(map(str, version[:2])),
        size=max(value + _PARTS[part][1] for part, value in offsets.items()),
        tls_offset=block.start,
        task_tag=NONE,
        task_id=NONE,
        budget_tag=offsets["budget"],
        runtime=offsets["entered"],
        scheduler=schedulers[0],
        core=NONE,
        tick_multi=_only(multi),
        tick_current=_only(current),
        why=why,
        module=block.module,
        early=True,
        current=offsets.get("current_thread", NONE),
    )
    return Proposal((layout,), "")


def _with_own_pointers(
    layout: ContextLayout, facts: TlsFacts, context: int, copies: int
) -> ContextLayout:
    """With the pointers to schedulers of Tokio before 1.29, as their symbols say.

    ``context``: where CONTEXT is among the thread-locals. Of several copies it is not known which
    pointer is whose.
    """
    if layout.scheduler != NONE or copies > 1:
        return layout
    found = [
        [
            value - context
            for name, value, size in facts.tls_symbols
            if symbol.search(name) and size == 8
        ]
        for symbol, _ in (_PARTS["multi_thread"], _PARTS["current_thread"])
    ]
    if max(map(len, found)) > 1 or not any(found):
        return layout
    multi, current = (at[0] if at else NONE for at in found)
    scheduler = current if multi == NONE else multi
    return replace(layout, early=True, scheduler=scheduler, current=current)


def _only(ticks: set[int]) -> int:
    """The one offset in a Core that debug info gives, if there is one and it is possible."""
    return ticks.pop() if len(ticks) == 1 and max(ticks) < CORE_LIMIT else NONE


def is_context(symbol: str) -> bool:
    """Whether a symbol, demangled or not, is the value of Tokio's CONTEXT."""
    return bool(_CONTEXT.search(symbol))


_CONTEXT = re.compile(
    r"tokio(?:\[\w+\])?::runtime::context::CONTEXT\b.*VAL\b|5tokio7runtime7context7CONTEXT.*VAL"
)


def _absence(facts: TlsFacts, block: Block, versions: str) -> str:
    what = block.where or "the executable"
    if not facts.has_symtab:
        return f"no symbol of tokio's CONTEXT: {what} is stripped"
    if not versions:
        return f"no tokio in {what}"
    return f"no symbol of tokio's CONTEXT, though there is tokio {versions}"


def _rows(size: int, versions: Sequence[Version], where: str) -> list[tuple[LayoutRow, str]]:
    """The rows of this size: those of the versions seen, or else all of them, newest first."""
    sized = sorted(
        (row for row in (*LAYOUTS, *VARIANTS) if row.size == size),
        key=lambda row: (not row.built, row.multi_thread, row.last),
        reverse=True,
    )
    context = f"CONTEXT of {size} bytes{f' in {where}' if where else ''}"
    known: list[tuple[LayoutRow, str]] = []
    for version in sorted(versions, reverse=True):
        why = f"tokio {version_text(version)}, {context}"
        known += [
            (row, f"{why}, {row.built}" if row.built else why)
            for row in sized
            if minor_between(version, row.first, row.last)
        ]
    newer = [version for version in versions if version[:2] > NEWEST]
    if newer:
        newest = ".".join(map(str, NEWEST))
        why = (
            f"tokio {version_text(max(newer))} is newer than hud knows ({newest}); "
            f"its {context} is as in {newest}"
        )
        known += [(row, why) for row in sized if row.last == NEWEST]
    if known or versions:
        return known
    return [(row, f"{UNKNOWN}; {context}, layout as in {row.tokio}") for row in merged(sized)]


def merged(rows: Iterable[LayoutRow]) -> list[LayoutRow]:
    """Rows that read the same offsets made one of all their versions, without what differs."""
    same: dict[tuple[object, ...], list[LayoutRow]] = {}
    for row in rows:
        same.setdefault((row.multi_thread, row.built, row.size, row.fields), []).append(row)
    return [
        group[0]._replace(
            first=min(row.first for row in group),
            last=max(row.last for row in group),
            core=_common(row.core for row in group),
            tick_multi=_common(row.tick_multi for row in group),
        )
        for group in same.values()
    ]


def _common(offsets: Iterable[int]) -> int:
    """What all have; NONE where they differ."""
    found = set(offsets)
    return found.pop() if len(found) == 1 else NONE


def _by_dwarf(
    rows: list[tuple[LayoutRow, str]], structures: Sequence[Mapping[str, int]]
) -> list[tuple[LayoutRow, str]]:
    """The rows that debug info agrees with, and says so; all where it has no types."""
    if not structures:
        return rows
    return [
        (row, f"{why} as its debug info says")
        for row, why in rows
        if any(_agrees(row, members) for members in structures)
    ]


def _agrees(row: LayoutRow, members: Mapping[str, int]) -> bool:
    expected = {
        "current_task_id": row.task_id if row.task_tag == NONE else row.task_tag,
        "budget": row.budget_tag,
        "runtime": row.runtime,
    }
    if row.scheduler != NONE:
        expected["scheduler"] = row.scheduler
    return expected.items() <= members.items()


def layout_of(row: LayoutRow, block: Block, offset: int, why: str) -> ContextLayout:
    """A measured row at an offset of a block."""
    return ContextLayout(
        tokio=row.tokio,
        size=row.size,
        tls_offset=block.start + offset,
        task_tag=row.task_tag,
        task_id=row.task_id,
        budget_tag=row.budget_tag,
        runtime=row.runtime,
        scheduler=row.scheduler,
        core=row.core,
        tick_multi=row.tick_multi,
        tick_current=NONE,
        why=why,
        module=block.module,
        state=NONE if row.built else row.size - 8,
    )
