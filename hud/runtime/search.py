"""Finds Tokio's CONTEXT by what lies in the threads' TLS blocks, with or without a known version.

From Tokio 1.29 on CONTEXT has a pointer that leads to a scheduler in every thread that drives one,
and is 0 in all others. Few offsets of a TLS block do so, mostly one: the candidates are the
measured rows (`hud.runtime.context`) with their pointer there. Rows of older versions, which have
none, are candidates at each 8-aligned offset, if the version is known.

A candidate is dropped unless the bytes of every thread are sane and agree with its scheduler; it is
proven once some thread drives a scheduler (before 1.29: is entered with a task id). Candidates that
read the same offsets count as one. Exactly one may be left; of several, the one under which a
thread was seen in a poll with a budget, or that is in use in every thread that has entered it.
"""

from __future__ import annotations

import struct
import time
from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hud.runtime.context import (
    LAYOUTS,
    NEWEST,
    NONE,
    UNKNOWN,
    VARIANTS,
    ContextLayout,
    LayoutRow,
    layout_of,
    merged,
)
from hud.runtime.live import NOT_ENTERED, Confirmation, confirm
from hud.runtime.motion import Watcher
from hud.runtime.schedulers import scheduler_at
from hud.runtime.versions import minor_between, parse_version, version_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hud.model import Mapping as Region
    from hud.runtime.blocks import Block
    from hud.runtime.live import Reading
    from hud.runtime.memory import Read
    from hud.runtime.schedulers import Scheduler
    from hud.runtime.versions import Version

READINGS = 5
PAUSE_S = 0.005
TLS_LIMIT = 4 << 20
"""Bytes of a TLS block that is searched; programs have a few thousand, mostly."""
PLACES_LIMIT = 1 << 16
"""Where each offset is tried, since there is no pointer to find it by."""
MOST_WORDS = 1 << 18
"""Different ones that are looked at to see whether they lead to a scheduler."""
MOST_LEADS = 256
"""Offsets where they do; mostly it is one."""
SCANNED = 32 << 20
"""Bytes that are searched in all threads together; in one thread at least, wherever that ends."""
THREAD_LIMIT = 256
"""Threads that are looked at; a worker is among the oldest."""
PAGE = 4096
OWN_POINTER = (1, 29)
"""From that version on CONTEXT has one pointer to schedulers, of its own."""
IN_USE = b"\1"
"""State::Alive of std's thread-locals with a destructor (sys/thread_local/native/eager.rs)."""
ENTERED_MULTI, ENTERED_CURRENT = 1, 0
"""``runtime`` of a thread that polls in a multi_thread runtime, and in a current_thread one."""


class Found(NamedTuple):
    """The one layout that is left, and what the threads hold under it."""

    layout: ContextLayout
    confirmation: Confirmation


class Allowed(NamedTuple):
    """A layout that all threads' bytes allow in one reading."""

    layout: ContextLayout
    proven: bool
    """By some thread."""
    budget: bool
    """Some thread polls under it, with a budget."""


class Live(NamedTuple):
    """The threads that have the block, and how to read them."""

    pointers: Mapping[int, int]
    """As of ``hud.runtime.blocks.origins``."""
    mappings: Sequence[Region]
    read: Read
    sleep: Callable[[float], None] = time.sleep


def search(
    block: Block, tokio_versions: Sequence[str], live: Live, within: tuple[int, int] | None = None
) -> Found | str:
    """The layout that the live threads agree on; else why there is none, for people.

    ``within``: offset and size of what is CONTEXT by its symbol; None = there is no symbol. Takes
    READINGS readings, PAUSE_S seconds apart, for the rows of these versions, then for all others;
    last, where there is a scheduler that no row fits, it watches (hud.runtime.motion).
    """
    versions = sorted(filter(None, map(parse_version, tokio_versions)), reverse=True)
    if versions and versions[0] < min(row.first for row in LAYOUTS):
        return f"tokio {version_text(versions[0])} keeps its parts apart"
    if not 0 < block.size <= TLS_LIMIT:
        return _too_large(block)
    if not live.pointers:
        return "no thread uses it yet" if block.module else "no thread descriptor found"
    checker = _Checker(live)
    if versions and versions[0][:2] < OWN_POINTER:
        return _search_early(block, versions, checker, within)
    found_at = checker.schedulers(block)
    if len(found_at) > MOST_LEADS:
        return f"more than {MOST_LEADS} places in the threads' TLS lead to a scheduler"
    first, size = within or (0, block.size)
    if size > PLACES_LIMIT and any(version[:2] < OWN_POINTER for version in versions):
        return _too_large(block)
    offsets = [at for at in found_at if first <= at < first + size]
    reason = ""
    for rows in _tries(versions):
        layouts = [
            layout_of(row, block, at - max(row.scheduler, 0), _why(named, row, block, at, within))
            for named, row in rows
            for at in (offsets if row.scheduler != NONE else range(first, first + size, 8))
            if 0 <= at - max(row.scheduler, 0) <= block.size - row.size
        ]
        found = checker.one_of(layouts)
        if isinstance(found, Found):
            return found
        reason = reason or found
    return _watched(block, offsets, live, versions) if len(offsets) == 1 else reason


def _search_early(
    block: Block, versions: Sequence[Version], checker: _Checker, within: tuple[int, int] | None
) -> Found | str:
    """One of Tokio before 1.29, where the pointers to schedulers are found apart from CONTEXT."""
    if (within or (0, block.size))[1] > PLACES_LIMIT:
        return _too_large(block)
    multi, current = checker.own_pointers(block)
    layouts = []
    for named, row in next(_tries(versions)):
        first, size = within or (0, block.size)
        for at in range(first, min(first + size, block.size - row.size + 1), 8):
            layout = layout_of(row, block, at, _why(named, row, block, at, within))
            scheduler, own = (NONE if one == NONE else one - at for one in (multi, current))
            if {scheduler, own} != {NONE}:
                layout = replace(layout, early=True, scheduler=scheduler, current=own)
            layouts.append(layout)
    return checker.one_of(layouts)


def _too_large(block: Block) -> str:
    return f"a TLS segment of {block.size} bytes"


def _watched(
    block: Block, offsets: Sequence[int], live: Live, versions: Sequence[Version]
) -> Found | str:
    """The layout around the one pointer to a scheduler that fits no row, by what changes there."""
    (at,) = offsets
    code = [region for region in live.mappings if region.executable]
    watcher = Watcher(
        live.read, live.pointers, lambda word: any(one.start <= word < one.end for one in code)
    )
    fields = watcher.watch(block.start, block.start + block.size, block.start + at, live.sleep)
    if isinstance(fields, str):
        return f"of a scheduler at tls{block.start + at:+d} {fields}"
    start = min(one for one in (*fields, block.start + at) if one != NONE) & -8
    task_tag, task_id, budget_tag, runtime = (
        NONE if field == NONE else field - start for field in fields
    )
    scheduler = block.start + at - start
    layout = ContextLayout(
        tokio="of no known layout",
        size=max(task_id, scheduler, runtime & -8, budget_tag & -8) + 8,
        tls_offset=start,
        task_tag=task_tag,
        task_id=task_id,
        budget_tag=budget_tag,
        runtime=runtime,
        scheduler=scheduler,
        core=NONE,
        tick_multi=NONE,
        tick_current=NONE,
        why=f"{_named(versions)}; of no known layout, CONTEXT inferred from what changes at "
        f"tls{start:+d}{f' of {block.where}' if block.where else ''}",
        module=block.module,
    )
    return _Checker(live).one_of([layout])


def decide(layouts: Sequence[ContextLayout], live: Live) -> Found | str:
    """Which of several layouts of a CONTEXT whose address is known the live threads have."""
    return _Checker(live).one_of(layouts, known_address=True)


def same_places(layouts: Iterable[ContextLayout]) -> bool:
    """Whether all read the same offsets: then there is nothing to decide."""
    return len(_distinct(layouts)) < 2


def _tries(versions: Sequence[Version]) -> Iterator[list[tuple[str, LayoutRow]]]:
    """The rows of these versions, then all, each with what to call the program's Tokio; rows with
    ``rt-multi-thread`` first, newer than known is as the newest. Size does not matter here."""
    known = [
        (f"tokio {version_text(version)}", row)
        for version in versions
        for row in LAYOUTS
        if minor_between(min(version, (*NEWEST, 0)), row.first, row.last)
    ]
    yield sorted(known, key=lambda pair: not pair[1].multi_thread)
    named = _named(versions)
    rows = (row for row in (*reversed(LAYOUTS), *VARIANTS) if row.scheduler != NONE)
    yield [
        (f"{named}; layout as in {row.tokio}", row)
        for row in sorted(merged(rows), key=lambda row: not row.multi_thread)
    ]


def _named(versions: Sequence[Version]) -> str:
    return f"tokio {', '.join(map(version_text, versions))}" if versions else UNKNOWN


def _why(named: str, row: LayoutRow, block: Block, at: int, within: tuple[int, int] | None) -> str:
    where = f" of {block.where}" if block.where else ""
    position = f"tls{block.start + at - max(row.scheduler, 0):+d}{where}"
    if within is None:
        return f"{named}, CONTEXT found by its contents at {position} (stripped)"
    return f"{named}, CONTEXT of {within[1]} bytes, layout inferred from its contents"


class _Writable:
    """Membership in the writable mappings."""

    def __init__(self, mappings: Sequence[Region]) -> None:
        spans = sorted((region.start, region.end) for region in mappings if region.writable)
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def __contains__(self, address: int) -> bool:
        at = bisect_right(self._starts, address) - 1
        return at >= 0 and address < self._ends[at]


class _Checker:
    """Checks layouts against the threads' memory."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._pointers = dict(sorted(live.pointers.items())[:THREAD_LIMIT])
        self._writable = _Writable(live.mappings)

    def schedulers(self, block: Block, early: bool | None = None) -> list[int]:
        """The 8-aligned offsets where each thread has 0 or a scheduler, and some thread one.

        ``early``: one of Tokio before 1.29, current_thread or not.
        """
        left = SCANNED
        leads: set[int] = set()
        other: set[int] = set()
        known: dict[int, bool] = {}
        for pointer in self._pointers.values():
            data = self._live.read(pointer + block.start, min(block.size, max(left, PAGE)))
            for offset, word in _words_in(data):
                if offset in other:
                    continue
                if word not in known:
                    if len(known) >= MOST_WORDS or len(leads) > MOST_LEADS:
                        return sorted(leads)
                    known[word] = self._is_scheduler(word, early)
                (leads if known[word] else other).add(offset)
            left -= len(data)
            if left <= 0:
                break
        return sorted(leads - other)

    def _is_scheduler(self, address: int, early: bool | None) -> bool:
        found = self._scheduler(address, early=early is not None)
        return found is not None and early in (None, found.current)

    def _scheduler(self, address: int, *, early: bool = False) -> Scheduler | None:
        if address % 8 or address not in self._writable:
            return None
        found = scheduler_at(address, self._live.read, early=early)
        return found if found is not None and found.arc in self._writable else None

    def own_pointers(self, block: Block) -> tuple[int, int]:
        """Where in the block the pointers to schedulers are before Tokio 1.29, multi_thread and
        current_thread: of each kind that some thread drives now, where there is but one; NONE."""
        multi, current = (self.schedulers(block, early) for early in (False, True))
        return (
            multi[0] if len(multi) == 1 else NONE,
            current[0] if len(current) == 1 else NONE,
        )

    def one_of(
        self, layouts: Sequence[ContextLayout], *, known_address: bool = False
    ) -> Found | str:
        """The one that all threads allow and one proves. If nobody has entered a CONTEXT of
        ``known_address`` it need not be proven, and one reading is enough that leaves but one."""
        allowed = [Allowed(layout, proven=False, budget=False) for layout in layouts]
        proven: set[ContextLayout] = set()
        polling: set[ContextLayout] = set()
        for reading in range(READINGS):
            if reading:
                self._live.sleep(PAUSE_S)
            allowed = self._allowed(one.layout for one in allowed)
            proven |= {one.layout for one in allowed if one.proven}
            polling |= {one.layout for one in allowed if one.budget}
            if not allowed or (known_address and same_places(one.layout for one in allowed)):
                break
        left = [one.layout for one in allowed if one.layout in proven]
        if known_address and not left:
            left = [one.layout for one in allowed]
        return self._only(left, polling)

    def _allowed(self, layouts: Iterable[ContextLayout]) -> list[Allowed]:
        """The layouts that every thread's bytes allow."""
        kept = []
        for layout in layouts:
            confirmation = confirm(layout, self._pointers, self._live.read)
            readings = confirmation.readings
            if confirmation.sane and all(
                self._agrees(one, layout) for one in readings if one.scheduler
            ):
                proven = any(_proves(one, layout) for one in readings)
                kept.append(Allowed(layout, proven, any(one.in_budget for one in readings)))
        return kept

    def _agrees(self, reading: Reading, layout: ContextLayout) -> bool:
        """Whether a scheduler is there, of the kind that ``runtime`` has."""
        found = self._scheduler(reading.scheduler, early=layout.early)
        address = self._pointers[reading.tid] + layout.tls_offset + layout.runtime
        runtime = int.from_bytes(self._live.read(address, 1), "little")
        entered = found and (ENTERED_CURRENT if found.current else ENTERED_MULTI)
        return found is not None and runtime in (entered, NOT_ENTERED)

    def _only(self, layouts: Sequence[ContextLayout], polling: set[ContextLayout]) -> Found | str:
        """``polling``: those under which some thread was seen in a poll with a budget."""
        distinct = {
            fields: Found(same, confirm(same, self._pointers, self._live.read))
            for fields, same in _distinct(layouts).items()
        }
        in_polls = {_fields(layout) for layout in polling}

        def seen_polling(found: Found) -> bool:
            return _fields(found.layout) in in_polls

        with_states = all(layout.state != NONE for layout in layouts)

        def is_in_use(found: Found) -> bool:
            return with_states and self._is_in_use(found)

        for better in (self._ids_are_none, _has_ids, seen_polling, is_in_use):
            if len(distinct) > 1:
                distinct = {at: one for at, one in distinct.items() if better(one)} or distinct
        if len(distinct) == 1:
            return next(iter(distinct.values()))
        if not distinct:
            return "no place in the threads' TLS looks like CONTEXT"
        return f"{len(distinct)} places in the threads' TLS look like CONTEXT"

    def _ids_are_none(self, found: Found) -> bool:
        """Whether no task's id is an address."""
        return not any(one.task_id in self._writable for one in found.confirmation.readings)

    def _is_in_use(self, found: Found) -> bool:
        """Whether every thread that has entered has this thread-local in use."""
        at = found.layout.tls_offset + found.layout.state
        entered = (one.tid for one in found.confirmation.readings if one.entered)
        return all(self._live.read(self._pointers[tid] + at, 1) == IN_USE for tid in entered)


def _words_in(data: bytes) -> Iterator[tuple[int, int]]:
    """The words that are not 0, with their offsets."""
    for start in range(0, len(data), PAGE):
        page = data[start : start + PAGE]
        if page.count(0) < len(page):
            for at, (word,) in enumerate(struct.iter_unpack("<Q", page[: len(page) & -8])):
                if word:
                    yield start + 8 * at, word


def _proves(reading: Reading, layout: ContextLayout) -> bool:
    if not reading.entered:
        return False
    inside = layout.scheduler != NONE and not layout.early
    return bool(reading.scheduler if inside else reading.task_id)


def _has_ids(found: Found) -> bool:
    """Whether the task ids distinguish this one from a row that shares all else."""
    return any(one.scheduler and one.task_id for one in found.confirmation.readings)


def _fields(layout: ContextLayout) -> tuple[int, ...]:
    """What a layout reads, from the block's origin: two rows at two offsets may read the same."""
    fields = (
        *(layout.task_tag, layout.task_id, layout.budget_tag, layout.runtime),
        *(layout.scheduler, layout.current),
    )
    return tuple(NONE if field == NONE else layout.tls_offset + field for field in fields)


def _distinct(layouts: Iterable[ContextLayout]) -> dict[tuple[int, ...], ContextLayout]:
    """The first layout of those that read the same, without a tick where others have another."""
    distinct: dict[tuple[int, ...], ContextLayout] = {}
    for layout in layouts:
        first = distinct.setdefault(_fields(layout), layout)
        if layout.tick_multi not in (NONE, first.tick_multi):
            distinct[_fields(layout)] = replace(first, tick_multi=NONE)
    return distinct
