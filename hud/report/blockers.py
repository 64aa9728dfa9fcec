"""The blockers: a row of the summary's table for each, and all that is known of it below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis import spread
from hud.analysis.advice.advise import advise
from hud.analysis.blame import short_place
from hud.analysis.shortnames import shorten
from hud.analysis.spots import blamed_frame
from hud.export import facts, todo
from hud.model import Rung
from hud.text import printable, shortened

if TYPE_CHECKING:
    from typing import Any

    from hud.analysis.results import Blocker, Snapshot
    from hud.model import Code
    from hud.report.trees import Frames, Row

MOST = 200
"""Rows; what is left is added up."""
_NAME, _CALL = 72, 48
"""Characters of a name in the table."""
_WHOLE, _MOST_FRAMES = 40, 100
"""Rows that have their heaviest stack whole, and frames of one."""
_FEW = 8
_TAB = 4
_INSTRUCTIONS = 6
"""Before and after the one."""


def names(blockers: tuple[Blocker, ...]) -> list[str]:
    """Of each, in full; no two are alike. Links go by them."""
    return [_marked(one) for one in blockers[:MOST]]


def _marked(blocker: Blocker) -> str:
    return ("~" if blocker.inferred else "") + printable(blocker.function)


def rows(snapshot: Snapshot, trees: list[list[Row]], frames: Frames) -> list[dict[str, Any]]:
    """The heaviest first."""
    shown = snapshot.blockers[:MOST]
    short = shorten(names(shown), _NAME)
    calls = shorten([printable(one.operation) for one in shown], _CALL)
    most = max(map(snapshot.share, shown), default=0.0) or 1.0
    return [
        {
            "name": name,
            "short": text,
            "call": call,
            "cause": blocker.cause.value,
            "part": round(snapshot.share(blocker) / most, 4),
            "cells": _cells(blocker, snapshot),
            "ns": blocker.total_ns,
            "facts": facts.of(blocker),
            **_advice(blocker, snapshot),
            **_detail(blocker, snapshot),
            **_code(blocker, snapshot),
            **(_whole(blocker, snapshot, frames) if at < _WHOLE else {}),
            "tree": tree,
        }
        for at, (blocker, name, text, call, tree) in enumerate(
            zip(shown, names(shown), short, calls, trees, strict=True)
        )
    ]


def _cells(blocker: Blocker, snapshot: Snapshot) -> list[str]:
    """As in the summary: share, no CPU, count, typical, worst."""
    return [
        figures.share(snapshot.share(blocker)),
        figures.share(snapshot.no_cpu(blocker)),
        figures.short_count(blocker.count),
        figures.duration(blocker.p50_ns),
        figures.duration(blocker.max_ns),
    ]


def none(snapshot: Snapshot) -> str:
    """What stands in the place of the rows where there are none: no more than is known."""
    if snapshot.info.detection.rung is Rung.LATENCY or not snapshot.workers:
        return "Not known: no worker was found."
    if snapshot.info.detection.rung is not Rung.CONTEXT or snapshot.losses.ring_full:
        return "None was seen; what was not seen is said below."
    return f"None: no poll lasted {figures.long_duration(snapshot.info.threshold_ns)} or more."


def left_out(snapshot: Snapshot) -> str:
    """The rest in words; empty = there is none."""
    hidden = snapshot.blockers[MOST:]
    share = figures.percent(min(sum(map(snapshot.share, hidden)), 1.0))
    return f"and {figures.count(len(hidden))} more, together {share}" if hidden else ""


def _advice(blocker: Blocker, snapshot: Snapshot) -> dict[str, str]:
    advice = advise(blocker, snapshot.stacks)
    return {
        "fix": todo.remedy(blocker, snapshot),
        "why": printable(advice.reason),
        "example": "\n".join(map(printable, advice.code.splitlines())),
    }


def _detail(blocker: Blocker, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "more": facts.besides(blocker),
        "long": _histogram(blocker),
        "split": [
            (said, figures.long_duration(ns) if ns else "0", ns)
            for said, ns in spread.parts(blocker)
        ],
        "causes": [(cause.value, figures.duration(ns), ns) for cause, ns in blocker.causes],
        "when": snapshot.history(blocker),
        "workers": [
            (f"W{number}" if number >= 0 else "others", figures.duration(ns), ns)
            for number, ns in blocker.workers[:_FEW]
        ],
        "others": max(len(blocker.workers) - _FEW, 0),
    }


def _histogram(blocker: Blocker) -> list[tuple[str, int, str]]:
    """(from to, how many polls, what stands out there)."""
    marks = spread.marks(blocker)
    return [
        (spread.between(low, high), number, ", ".join(w for w, ns in marks if low <= ns < high))
        for low, high, number in spread.histogram(blocker.durations)
    ]


# --------------------------------------------------------------------------- code


def _whole(blocker: Blocker, snapshot: Snapshot, frames: Frames) -> dict[str, Any]:
    """The heaviest stack of its main case, innermost first, with the runtime's frames."""
    stack = snapshot.stacks.get(blocker.example)
    whole = (stack.frames if stack else None) or ()
    return {
        "stack": [frames.number(one) for one in whole[:_MOST_FRAMES]],
        "outside": max(len(whole) - _MOST_FRAMES, 0),
    }


def _code(blocker: Blocker, snapshot: Snapshot) -> dict[str, Any]:
    """The source and the machine code at its call."""
    frame = blamed_frame(blocker, snapshot.stacks)
    code = snapshot.code.get(frame.address) if frame else None
    place = short_place(code.source_file, code.line, frame.precision) if code and frame else ""
    return {
        "symbol": printable(shortened(frame.raw, 1_000)) if frame else "",
        "place": printable(place),
        "source": _source(code) if code else [],
        "machine": _machine(code) if code else [],
        "note": printable(code.note) if code else "",
    }


def _source(code: Code) -> list[tuple[int, str, bool]]:
    """(number, text, is it the one)."""
    return [
        (number, printable(text.expandtabs(_TAB).rstrip()), number == code.line)
        for number, text in code.source
    ]


def _machine(code: Code) -> list[tuple[str, str, str, bool]]:
    """(address, instruction, what it calls, is it the one)."""
    at = next((at for at, row in enumerate(code.instructions) if row[0] == code.at), 0)
    near = code.instructions[max(0, at - _INSTRUCTIONS) : at + _INSTRUCTIONS + 1]
    return [
        (f"{address:x}", printable(text), printable(called), address == code.at)
        for address, text, called in near
    ]
