"""The help page: the keys, the words and what this run cannot see."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.cause import Cause
from hud.analysis.results import Snapshot
from hud.model import Losses
from hud.tui.keys import help_rows_at
from hud.tui.layout import block, clip, width_of
from hud.tui.style import Line, Span
from hud.tui.text import clean, pad, pieces
from hud.tui.verdict import caveats

if TYPE_CHECKING:
    from hud.tui.state import UiState

_KEYS = 12
_TWO_FROM = 110
"""Columns of the terminal."""
_BLAMED = ", ".join(one.value for one in Cause if one.blames_code and one is not Cause.UNKNOWN)
_WORDS = (
    ("blocker", "own code that kept a worker in one task poll for the threshold or longer"),
    ("cause", f"{_BLAMED}; wait = no CPU"),
    ("typical", "the median of the polls' own time, on a CPU and asleep; worst: the longest"),
    ("no CPU", "how long they were ready to run meanwhile without a CPU; in no other figure"),
    ("<52ms", "of several functions together: at most that"),
    ("-", "not known for the part of a row that a filter shows"),
    (
        "timeline",
        "a letter and colour per cause; reversed: the selected blocker, or what is searched",
    ),
    ("long", "of a task type: polls of the threshold or more; stuck: nothing can wake it any more"),
    ("STUCK +", "in one poll since before hud attached: for longer than is shown"),
    ("share", "total, as a part of the time of all workers of its runtimes in the window"),
    ("~", "a name or a place inferred from the program's messages and machine code"),
    (
        "(tail call)",
        "it left by a jump, so its frame is gone; found in the machine code",
    ),
    ("(via)", "the same, but unknown functions may be between it and the next line"),
    ("lost", "events, stacks or names that hud had to leave out; normally none"),
)


_MARKS = (
    ("here", "where your code blocks; frames below it are what it called"),
    ("pattern", "time without a CPU"),
)
"""Characters of ``Glyphs``."""


def content(snapshot: Snapshot, state: UiState, width: int) -> list[Line]:
    """All lines of the page; the caller clips and scrolls."""
    lines = _keys(state, width)
    lines += [(), (Span(" Words", "title"),)]
    marks = [(getattr(state.glyphs, name), what) for name, what in _MARKS]
    lines += [(Span(f"   {pad(word, 14)} "), Span(what)) for word, what in (*_WORDS, *marks)]
    detection = snapshot.info.detection
    lines += [(), (Span(" This run", "title"),)]
    lines.append((Span(f"   {pad('detection', 14)} "), Span(_detection(snapshot))))
    for name in Losses.__slots__:
        number = getattr(snapshot.losses, name)
        if number:
            lines.append(
                (Span(f"   {pad('lost', 14)} "), Span(f"{figures.count(number)} {_LOSSES[name]}"))
            )
    said = caveats(snapshot)
    for sentence in said if detection.reason or said else ():
        lines += [
            (Span(f"   {pad('note' if not at else '', 14)} "), Span(part))
            for at, part in enumerate(pieces(sentence, max(width - 20, 20)))
        ]
    return lines


def _keys(state: UiState, width: int) -> list[Line]:
    """By view, this one first; in two columns where there is room for them."""
    blocks: dict[str, list[Line]] = {}
    for keys, what, where in help_rows_at(state.view, state.playback is not None):
        heading: Line = (Span(f" {where or 'in every view'}", "title"),)
        rows = blocks.setdefault(where, [heading])
        rows.append((Span(f"   {pad(keys, _KEYS)} "), Span(what)))
    if width < _TWO_FROM:
        return [line for block in blocks.values() for line in block]
    left: list[Line] = []
    right: list[Line] = []
    half = sum(map(len, blocks.values())) / 2
    for rows in blocks.values():
        (left if len(left) + len(rows) / 2 <= half else right).extend(rows)
    column = width // 2
    return [
        (*clipped, Span(" " * (column - width_of(clipped))), *beside)
        for clipped, beside in zip_longest(
            (clip(line, column - 1, state.glyphs.ellipsis) for line in left), right, fillvalue=()
        )
    ]


def _detection(snapshot: Snapshot) -> str:
    detection = snapshot.info.detection
    reason = f": {clean(detection.reason)}" if detection.reason else ""
    return f"{detection.rung.name}{reason}"


_LOSSES = {
    "ring_full": "events that did not fit the ring buffer",
    "stacks_full": "stacks that did not fit the stack map",
    "stacks_gone": "stacks that could not be fetched in time",
    "threads_full": "threads that did not fit the thread map",
    "context_unreadable": "times that Tokio's state could not be read",
    "stacks_skipped": "stacks not taken because of the cost limit",
    "recording_full": "samples beyond the recording's bound",
    "symbols_late": "stacks without names: the resolver did not answer",
    "polls_uncounted": "polls that exact mode could not count",
    "polls_bare": "polls without any stack",
}


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """The page from the line it is scrolled to."""
    lines = content(snapshot, state, width)
    top = max(min(state.help_scroll, len(lines) - height), 0)
    return block(lines[top:], width, height, state.glyphs.ellipsis)
