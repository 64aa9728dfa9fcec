"""Source and machine code of the frames whose code is wanted: asked for once, answered later.

The resolver reads the machine code, a thread of its own the lines (hud.profiler.naming.source).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from hud.model import Batch, Code, Spot, Target
from hud.profiler.naming.modules import Modules
from hud.profiler.naming.source import Quote, SourceReader, Wanted
from hud.resolver import messages
from hud.resolver.client import Resolver

MOST_OPEN = 2
"""Spots that are read at a time: others' names come first."""
PATIENCE_S = 2.0
"""How long a file's lines are waited for."""
MOST_KNOWN = 512
"""Spots; beyond it all are asked for again. A recording keeps no more of them."""


@dataclass(slots=True)
class _Draft:
    spot: Spot
    quoting: bool
    """Its lines are still to come."""
    since: float
    decoding: bool = False
    """Its machine code is still to come."""
    code: messages.Code | None = None
    quote: Quote = field(default_factory=lambda: Quote((), ""))
    notes: list[str] = field(default_factory=list)


class Codes:
    """What was asked for and has not come yet, and what came."""

    def __init__(
        self, resolver: Resolver, modules: Modules, sources: SourceReader | None = None
    ) -> None:
        self._resolver = resolver
        self._modules = modules
        self._sources = sources or SourceReader()
        self._known: set[Spot] = set()
        self._drafts: dict[int, _Draft] = {}
        self._last = 0

    def want(self, spots: Iterable[Spot], target: Target) -> int:
        """Ask for what is new, MOST_OPEN at a time; never blocks. Returns how many are open."""
        for spot in spots:
            if len(self._drafts) >= MOST_OPEN:
                break
            if spot not in self._known:
                self._ask(spot, target)
        return len(self._drafts)

    def _ask(self, spot: Spot, target: Target) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known.add(spot)
        self._last += 1
        found = self._modules.locate(spot.address - spot.caller)
        draft = self._drafts[self._last] = _Draft(
            spot, bool(spot.file and spot.line), time.monotonic()
        )
        built_ns = 0
        if found is None:
            draft.notes.append("no file behind this code")
        else:
            module, offset = found
            built_ns = module.built_ns
            draft.decoding = True
            question = messages.AskCode(module.number, offset, spot.caller)
            self._resolver.ask(question, partial(_take, draft), owner=self)
        if draft.quoting:
            self._sources.ask(
                Wanted(
                    key=self._last,
                    pid=target.pid,
                    path=spot.file,
                    line=spot.line,
                    executable=target.executable,
                    built_ns=built_ns,
                )
            )
        else:
            draft.notes.append("no source: no debug information for this address")

    def fill(self, batch: Batch) -> None:
        """Put what is whole now into a batch."""
        if not self._drafts:
            return
        for key, quote in self._sources.answers():
            if key in self._drafts:
                self._drafts[key].quote = quote
                self._drafts[key].quoting = False
        for draft in self._drafts.values():
            if draft.quoting and time.monotonic() > draft.since + PATIENCE_S:
                draft.quoting = False
                draft.notes.append("no source: its file system does not answer")
        done = [key for key, one in self._drafts.items() if not one.decoding and not one.quoting]
        batch.code += [_code(self._drafts.pop(key)) for key in done]

    def clear(self) -> None:
        """The target runs another image: what is on its way is of no use."""
        self._known.clear()
        self._drafts.clear()
        self._resolver.drop(self)


def _take(draft: _Draft, answer: messages.Code | messages.Failed) -> None:
    draft.decoding = False
    if isinstance(answer, messages.Failed):
        draft.notes.append(f"no machine code: {answer.message}")
    else:
        draft.code = answer


def _code(draft: _Draft) -> Code:
    code, notes = draft.code, [draft.quote.note, *draft.notes]
    if code is not None:
        notes.append(code.note)
    return Code(
        address=draft.spot.address,
        source=draft.quote.lines,
        source_file=draft.spot.file,
        line=draft.spot.line,
        instructions=tuple(code.instructions) if code is not None else (),
        at=code.at if code is not None else 0,
        note="; ".join(filter(None, notes)),
    )
