"""Which rung of the fallback ladder this target allows, decided on the live process.

Terms: the rungs are ``hud.model.Rung``, best first; a *survey* is a short time in which the kernel
reports the stack of every sleep and every CPU sample of the target, so that its threads can be told
apart by the functions in them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hud.errors import TargetError
from hud.model import Detection, Rung, Stack, ThreadName, Worker
from hud.model import Mapping as Region
from hud.runtime.context import ContextLayout, propose
from hud.runtime.live import (
    Confirmation,
    choose,
    memory_reader,
    thread_pointers,
    with_current_tick,
)
from hud.runtime.search import search
from hud.runtime.stacks import ThreadClass, classify_stack, stronger
from hud.runtime.workers import find_workers
from hud.symbols.client import FactsReply
from hud.text import printable


class Context(NamedTuple):
    """Tokio's state can be read: where, and what it says of the threads now."""

    layout: ContextLayout
    detection: Detection
    drives: dict[int, int]
    """tid -> scheduler of the threads that drive one now."""


class Refusal(NamedTuple):
    """It cannot, and why."""

    reason: str
    tokio_versions: tuple[str, ...]


def find_context(
    facts: FactsReply | None,
    pid: int,
    threads: Sequence[ThreadName],
    mappings: Sequence[Region],
) -> Context | Refusal:
    """Propose layouts from the executable's facts and let the live threads choose."""
    if facts is None:
        return Refusal("the executable cannot be read", ())
    versions = facts.tokio_versions
    machine = facts.facts.machine
    proposal = propose(facts.facts, machine, versions)
    stripped = not facts.facts.has_symtab and bool(versions)
    if not proposal.layouts and not stripped:
        return Refusal(proposal.reason, versions)
    try:
        descriptor, read = memory_reader(pid)
    except TargetError as error:
        return Refusal(str(error), versions)
    try:
        pointers = thread_pointers((thread.tid for thread in threads), mappings, read)
        if not proposal.layouts:
            tls = facts.facts.tls
            found = search(tls, machine, versions, pointers, mappings, read)
            if isinstance(found, str):
                return Refusal(f"{proposal.reason}, and {found}", versions)
            chosen: tuple[ContextLayout, Confirmation] | None = found
        elif not pointers:
            # another C library: the kernel's own readings have to do
            layout = proposal.layouts[0]
            reason = f"{layout.why}; not confirmed: no thread descriptor found"
            return Context(layout, Detection(Rung.CONTEXT, reason, versions), {})
        else:
            chosen = choose(proposal.layouts, pointers, read)
        if chosen is None:
            return Refusal("the layout of CONTEXT does not fit what the threads hold", versions)
        layout, confirmation = chosen
        layout = with_current_tick(layout, confirmation.readings, read)
    finally:
        os.close(descriptor)
    reason = f"{layout.why}, confirmed in {_threads(confirmation)}"
    drives = {
        # before 1.29 the scheduler is not in CONTEXT, and only workers have a task's id
        reading.tid: reading.scheduler if layout.scheduler >= 0 else reading.task_id
        for reading in confirmation.readings
        if reading.entered
    }
    return Context(layout, Detection(Rung.CONTEXT, reason, versions), drives)


def _threads(confirmation: Confirmation) -> str:
    count = len(confirmation.readings)
    return f"{count} thread{'' if count == 1 else 's'}, {confirmation.entered} inside a runtime"


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
