"""Finds how this target can be seen (``hud.model.Rung``), on the live process.

CONTEXT, Tokio's own state, is the best; else threads are told apart by their names and by the
functions in their stacks. For that there is a survey: a short time in which the kernel reports the
stack of every sleep and every CPU sample of the target.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hud import figures
from hud.errors import TargetError
from hud.model import Detection, Rung, Stack, ThreadName, Worker
from hud.model import Mapping as Region
from hud.resolver.messages import Facts
from hud.runtime.blocks import Block, bias_of, executable_block, object_block, origins
from hud.runtime.context import ContextLayout, propose
from hud.runtime.cores import unproven
from hud.runtime.live import (
    Confirmation,
    choose,
    thread_pointers,
    with_cores,
)
from hud.runtime.memory import Ration, Read, memory_reader
from hud.runtime.queues import HANDLE_BYTES
from hud.runtime.schedulers import handle_of
from hud.runtime.search import Found, Live, decide, same_places, search
from hud.runtime.stacks import ThreadClass, classify_stack, stronger
from hud.runtime.tasks import Vtables, find_owned
from hud.runtime.workers import find_workers
from hud.text import printable

NO_TOKIO = "no tokio in the executable"
MOST_READS = 1_000_000
"""Of the target's memory in one look for Tokio: two seconds or so. Each place in 8 KB of
thread-locals of 256 threads, for a stripped Tokio before 1.29, is half of it."""
ENDLESS = f"the threads' memory leads on and on: not found in {figures.count(MOST_READS)} reads"


class SharedObject(NamedTuple):
    """A mapped file, not the executable, that has Tokio in it."""

    path: str
    facts: Facts
    mappings: Sequence[Region]
    """Those of the file."""

    @property
    def name(self) -> str:
        return printable(self.path.rpartition("/")[2])


class Copy(NamedTuple):
    """One Tokio of the process, with a CONTEXT of its own."""

    layout: ContextLayout
    name: str
    """Of the file it is in; empty = the executable."""
    reason: str
    drives: dict[int, int]
    """tid -> scheduler of the threads that drive one now."""
    origins: Mapping[int, int] = {}
    """tid -> the address that ``layout.tls_offset`` counts from, of the threads that have it."""
    guess: ContextLayout | None = None
    """What ``layout`` was before its places in Cores were proven, or proven wrong."""

    @property
    def identity(self) -> tuple[int, int]:
        """Distinguishes it from the others."""
        return self.layout.module, self.layout.tls_offset + self.layout.runtime


class Context(NamedTuple):
    """Tokio's state can be read: where, and what it says of the threads now."""

    copies: tuple[Copy, ...]
    """Those that some thread has entered first; never empty."""
    detection: Detection
    incomplete: bool
    """There is a Tokio that could not be found; later it may."""


class Refusal(NamedTuple):
    """It cannot, and why."""

    reason: str
    tokio_versions: tuple[str, ...]
    incomplete: bool = False
    """As in Context."""


def find_context(
    facts: Facts | None,
    pid: int,
    threads: Sequence[ThreadName],
    mappings: Sequence[Region],
    objects: Sequence[SharedObject] = (),
) -> Context | Refusal:
    """Propose layouts from what the files say and let the live threads choose.

    ``facts``: those of the executable.
    """
    versions = facts.tokio_versions if facts is not None else ()
    for shared in objects:
        versions += tuple(new for new in shared.facts.tokio_versions if new not in versions)
    if facts is None and not objects:
        return Refusal("the executable cannot be read", ())
    sources: list[SharedObject | Facts] = [*objects]
    if facts is not None and (has_tokio(facts) or not objects):
        sources.insert(0, facts)
    copies: list[Copy] = []
    missing: list[str] = []
    try:
        descriptor, memory = memory_reader(pid)
    except TargetError as error:
        return Refusal(f"{error} ({error.hint})", versions)
    read = Ration(memory, MOST_READS)
    try:
        live = _Live(read, mappings, thread_pointers((t.tid for t in threads), mappings, read))
        for source in sources:
            copies += _copies_in(source, live, missing)
    finally:
        os.close(descriptor)
    if read.spent:
        return Refusal(ENDLESS, versions)
    # a CONTEXT that nobody has entered yet proves itself later, or never
    replies = _facts_of(sources)
    incomplete = bool(missing) and any(has_tokio(one) or _hides(one) for one in replies)
    if not copies:
        return Refusal("; ".join(missing), versions, incomplete)
    copies.sort(key=lambda copy: not copy.drives)
    return Context(tuple(copies), detection_of(copies, missing, versions), incomplete)


def has_tokio(reply: Facts) -> bool:
    """Whether something in the file says that Tokio is in it."""
    return bool(reply.tokio_versions or reply.facts.tls_symbols or "tokio" in reply.crates)


def _hides(reply: Facts) -> bool:
    """Whether Tokio may be in the file though nothing says so."""
    return not reply.facts.has_symtab and reply.facts.tls is not None


def detection_of(
    copies: Sequence[Copy], missing: Sequence[str], versions: tuple[str, ...]
) -> Detection:
    """How a run on rung CONTEXT sees the target, and why so."""
    seen = [copy.reason for copy in copies]
    more = [f"polls not seen: {reason}" for reason in missing]
    return Detection(Rung.CONTEXT, "; ".join([*seen, *more]), versions)


class _Live(NamedTuple):
    """The process as it is now."""

    read: Read
    mappings: Sequence[Region]
    pointers: dict[int, int]
    """tid -> thread pointer."""


def _facts_of(sources: Sequence[SharedObject | Facts]) -> list[Facts]:
    return [one.facts if isinstance(one, SharedObject) else one for one in sources]


def _block_of(source: SharedObject | Facts, live: _Live) -> Block | str:
    """Where the file's thread-locals are, or why that is not known."""
    if not isinstance(source, SharedObject):
        block = executable_block(source.facts.tls, source.facts.machine)
        # a stripped one may have it without a sign
        return block if has_tokio(source) or not source.facts.has_symtab else NO_TOKIO
    facts = source.facts.facts
    if any("/ld-musl-" in mapping.path for mapping in live.mappings):
        return f"{source.name}: musl's thread-locals of shared objects are not known"
    bias = bias_of(source.mappings, facts.segments)
    if bias is None:
        return f"{source.name}: not mapped as a program is"
    found = object_block(facts.tls, facts.machine, facts.tls_slots, bias, live.read, source.name)
    return f"{source.name}: {found}" if isinstance(found, str) else found


def _copies_in(source: SharedObject | Facts, live: _Live, missing: list[str]) -> list[Copy]:
    """The copies in one file; ``missing`` gets why others, or all, cannot be seen."""
    reply = source.facts if isinstance(source, SharedObject) else source
    name = source.name if isinstance(source, SharedObject) else ""
    facts = reply.facts
    block = _block_of(source, live)
    if isinstance(block, str):
        missing.append(block)
        return []
    here = Live(origins(block, live.pointers, live.read, facts.machine), live.mappings, live.read)
    proposal = propose(facts, block, reply.tokio_versions)
    proposed: dict[tuple[int, int] | None, list[ContextLayout]]
    proposed = {place: [] for place in proposal.places}
    for layout in proposal.layouts:
        place = None if layout.apart else (layout.tls_offset - block.start, layout.size)
        proposed.setdefault(place, []).append(layout)
    copies = []
    for place, layouts in (proposed or {None: []}).items():
        known = bool(reply.tokio_versions)
        found = _found(layouts, here, block, known) if layouts else proposal.reason
        if isinstance(found, str) and not (layouts and layouts[0].apart):
            found = _searched(reply, block, place, here, found)
        copy = found if isinstance(found, str) else _copy(found, name, block, here)
        if isinstance(copy, str):
            missing.append(copy)
        else:
            copies.append(copy)
    return copies


def _found(layouts: Sequence[ContextLayout], live: Live, block: Block, known: bool) -> Found | str:
    """The layout of one CONTEXT that is proposed, as the live threads choose. ``known``: there is
    a version, so that the first is the likeliest."""
    first = layouts[0]
    if not live.pointers and first.separates_polls:
        # another C library, or no thread has used the object yet: the kernel's own readings have
        # to do
        if known or same_places(layouts):
            return Found(first, Confirmation((), 0))
        return f"{first.why}; which of {len(layouts)} layouts it is, {_unseen(block)} to tell"
    if not same_places(layouts):
        return decide(layouts, live)
    chosen = choose(layouts, live.pointers, live.read)
    if chosen is None:
        where = f" in {block.where}" if block.where else ""
        return f"the layout of CONTEXT{where} does not fit what the threads hold"
    return Found(*chosen)


def _searched(
    reply: Facts, block: Block, place: tuple[int, int] | None, live: Live, reason: str
) -> Found | str:
    """CONTEXT by its contents, where no symbol or row says where it is; ``reason``: why not."""
    found = search(block, reply.tokio_versions, live, place)
    if not has_tokio(reply):
        reason = f"no sign of tokio in {block.where or 'the executable'}, which is stripped"
        if isinstance(found, Found) and not _has_lists(found, live):
            return f"{reason}, and what looks like a scheduler has no list of tasks"
    return f"{reason}, and {found}" if isinstance(found, str) else found


def _has_lists(found: Found, live: Live) -> bool:
    """Whether the schedulers have lists of tasks: nothing in the file says that Tokio is there."""
    code = [mapping for mapping in live.mappings if mapping.executable]
    vtables = Vtables(live.read, lambda at: any(one.start <= at < one.end for one in code))
    handles = {
        handle_of(one.scheduler, live.read) for one in found.confirmation.readings if one.scheduler
    }
    return all(find_owned(live.read, vtables, handle, HANDLE_BYTES) for handle in handles)


def _unseen(block: Block) -> str:
    return "no thread uses it yet" if block.module else "no thread descriptor found"


def _copy(found: Found, name: str, block: Block, live: Live) -> Copy | str:
    """What the kernel can look at; else why polls cannot be told apart."""
    layout, confirmation = found
    if not live.pointers:
        reason = f"{layout.why}; not confirmed: {_unseen(block)}"
        return Copy(unproven(layout), name, reason, {}, guess=layout)
    proven = with_cores(layout, confirmation.readings, live.read)
    reason = f"{layout.why}, confirmed in {_threads(confirmation)}"
    drives = {
        # where the scheduler is not known: only workers have a task's id
        reading.tid: reading.scheduler or (0 if layout.knows_drivers else reading.task_id)
        for reading in confirmation.readings
        if reading.entered
    }
    if proven.separates_polls:
        return Copy(proven, name, reason, drives, live.pointers, layout)
    driven = "not found" if drives else "not yet seen"
    return f"{layout.why}, and the tick that would tell polls apart is {driven}"


def _threads(confirmation: Confirmation) -> str:
    count = len(confirmation.readings)
    return f"{figures.count(count, 'thread')}, {confirmation.entered} inside a runtime"


def classes_of(stacks: Mapping[int, Sequence[Stack]]) -> dict[int, ThreadClass]:
    """What the surveyed stacks say of each thread; threads without a named stack are left out."""
    found: dict[int, ThreadClass] = {}
    for tid, taken in stacks.items():
        for stack in taken:
            names = [frame.function for frame in stack.frames or () if frame.function]
            if names:
                known = found.get(tid, ThreadClass.UNKNOWN)
                found[tid] = stronger(known, classify_stack(names))
    return found


def find_by_ladder(
    refusal: Refusal,
    threads: Sequence[ThreadName],
    prefix: str | None,
    classes: Mapping[int, ThreadClass],
    main_tid: int,
) -> tuple[tuple[Worker, ...], Detection]:
    """Workers without CONTEXT. TargetError where ``--workers`` matches nothing."""
    choice = find_workers(threads, prefix=prefix, stack_classes=classes, main_tid=main_tid)
    if prefix is not None and not choice.workers:
        raise no_such_workers(choice.reason, choice.suggestion)
    reason = f"{choice.reason}; polls not seen: {refusal.reason}"
    return choice.workers, Detection(choice.rung, reason, refusal.tokio_versions)


def no_such_workers(reason: str, suggestion: str) -> TargetError:
    """``--workers`` that matches no thread."""
    hint = f"try --workers {printable(suggestion)}" if suggestion else "leave --workers out"
    return TargetError(reason, hint)
