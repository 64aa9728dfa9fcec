"""Finds Tokio's CONTEXT in a program without symbols, by what lies in the threads' TLS blocks.

Terms: see `hud.runtime.context` and `hud.runtime.live`; a *candidate* is a measured row at one
8-aligned offset of the block. It stands if in several readings every thread's bytes are sane, every
scheduler pointer leads to a scheduler, and some thread drives one (before Tokio 1.29 CONTEXT has no
scheduler: then some thread must be entered with a task id). Exactly one place may stand.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from hud.runtime.context import LAYOUTS, NEWEST, NONE, Row, layout_of
from hud.runtime.live import Confirmation, confirm
from hud.runtime.versions import minor_between, parse_version, version_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hud.model import Mapping as Region
    from hud.runtime.blocks import Block
    from hud.runtime.context import ContextLayout
    from hud.runtime.live import Read, Reading
    from hud.runtime.versions import Version

READINGS = 5
PAUSE_S = 0.005
TLS_LIMIT = 1 << 16
"""Bytes of a TLS block that are searched; programs have a few thousand."""
THREAD_LIMIT = 256
"""Threads that are looked at; a worker is among the oldest."""
HANDLE = 8
"""Of the scheduler's Context: the Arc of the runtime's handle follows the enum tag."""
KINDS = 3
"""Values of that tag: current_thread, multi_thread, and multi_thread_alt up to Tokio 1.44."""


class Found(NamedTuple):
    """The one place, and what its threads hold."""

    layout: ContextLayout
    confirmation: Confirmation


def search(
    block: Block,
    tokio_versions: Sequence[str],
    pointers: Mapping[int, int],
    mappings: Sequence[Region],
    read: Read,
    sleep: Callable[[float], None] = time.sleep,
) -> Found | str:
    """The layout that the live threads agree on; else why there is none, for people.

    ``pointers``: as of ``hud.runtime.blocks.origins``. Takes READINGS readings, PAUSE_S seconds
    apart.
    """
    versions = sorted(filter(None, map(parse_version, tokio_versions)), reverse=True)
    if not versions:
        return f"no version of tokio in {block.where or 'the executable'}"
    rows = _rows(versions)
    if not rows:
        return f"tokio {version_text(versions[0])} keeps its parts apart"
    if not 0 < block.size <= TLS_LIMIT:
        return f"a TLS segment of {block.size} bytes"
    if not pointers:
        return "no thread uses it yet" if block.module else "no thread descriptor found"
    some = dict(sorted(pointers.items())[:THREAD_LIMIT])
    layouts = [
        layout_of(row, block, offset, _why(version, block, offset))
        for version, row in rows
        for offset in range(0, block.size - row.size + 1, 8)
    ]
    writable = _Writable(mappings)
    bases = {tid: pointer + block.start for tid, pointer in some.items()}
    blocks = {tid: read(base, block.size) for tid, base in bases.items()}
    standing = _standing(layouts, some, _cached(blocks, bases, read), writable)
    driven = [layout for layout, holds in standing if holds]
    for _ in range(READINGS - 1):
        sleep(PAUSE_S)
        standing = _standing([layout for layout, _ in standing], some, read, writable)
        driven += [layout for layout, holds in standing if holds]
    left = [layout for layout, _ in standing if layout in driven]
    return _only(left, some, read)


def _why(version: Version, block: Block, offset: int) -> str:
    where = f" of {block.where}" if block.where else ""
    return (
        f"tokio {version_text(version)}, CONTEXT found by its contents at "
        f"tls{block.start + offset:+d}{where} (stripped)"
    )


def _rows(versions: Sequence[Version]) -> list[tuple[Version, Row]]:
    """The rows of these versions, those with ``rt-multi-thread`` first; newer is as the newest."""
    found = [
        (version, row)
        for version in versions
        for row in LAYOUTS
        if minor_between(min(version, (*NEWEST, 0)), row.first, row.last)
    ]
    return sorted(found, key=lambda pair: not pair[1].multi_thread)


def _cached(blocks: Mapping[int, bytes], bases: Mapping[int, int], read: Read) -> Read:
    """Reads of the TLS blocks from the copies, all others from the process."""
    order = sorted((bases[tid], block) for tid, block in blocks.items())
    starts = [start for start, _ in order]

    def cached(address: int, size: int) -> bytes:
        at = bisect_right(starts, address) - 1
        if at >= 0 and address + size <= starts[at] + len(order[at][1]):
            offset = address - starts[at]
            return order[at][1][offset : offset + size]
        return read(address, size)

    return cached


class _Writable:
    """Membership in the writable mappings."""

    def __init__(self, mappings: Sequence[Region]) -> None:
        spans = sorted((region.start, region.end) for region in mappings if region.writable)
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def __contains__(self, address: int) -> bool:
        at = bisect_right(self._starts, address) - 1
        return at >= 0 and address < self._ends[at]


def _standing(
    layouts: Sequence[ContextLayout], pointers: Mapping[int, int], read: Read, writable: _Writable
) -> list[tuple[ContextLayout, bool]]:
    """The layouts that every thread's bytes allow, and whether some thread proves it."""
    kept = []
    for layout in layouts:
        confirmation = confirm(layout, pointers, read)
        if confirmation.sane and all(
            not reading.scheduler or _is_scheduler(reading, read, writable)
            for reading in confirmation.readings
        ):
            kept.append((layout, any(_proves(one, layout) for one in confirmation.readings)))
    return kept


def _is_scheduler(reading: Reading, read: Read, writable: _Writable) -> bool:
    head = read(reading.scheduler, 2 * HANDLE) if reading.scheduler in writable else b""
    if len(head) < 2 * HANDLE:
        return False
    kind, handle = int.from_bytes(head[:HANDLE], "little"), int.from_bytes(head[HANDLE:], "little")
    return kind < KINDS and handle % 8 == 0 and handle in writable


def _proves(reading: Reading, layout: ContextLayout) -> bool:
    if not reading.entered:
        return False
    return bool(reading.scheduler if layout.scheduler != NONE else reading.task_id)


def _fields(layout: ContextLayout) -> tuple[int, ...]:
    """Where a layout looks: two rows at two offsets may be one place."""
    fields = layout.task_tag, layout.task_id, layout.budget_tag, layout.runtime, layout.scheduler
    return tuple(NONE if field == NONE else layout.tls_offset + field for field in fields)


def _only(layouts: Sequence[ContextLayout], pointers: Mapping[int, int], read: Read) -> Found | str:
    places: dict[tuple[int, ...], Found] = {}
    for layout in layouts:
        places.setdefault(_fields(layout), Found(layout, confirm(layout, pointers, read)))
    if len(places) > 1:  # the task ids tell two rows apart that share all else
        with_ids = {
            fields: found
            for fields, found in places.items()
            if any(one.scheduler and one.task_id for one in found.confirmation.readings)
        }
        places = with_ids or places
    if len(places) == 1:
        return next(iter(places.values()))
    if not places:
        return "no place in the threads' TLS looks like CONTEXT"
    return f"{len(places)} places in the threads' TLS look like CONTEXT"
