"""The help page: the keys, the words and what this run cannot see."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.cause import Cause
from hud.analysis.results import Snapshot
from hud.model import Losses
from hud.tui.keys import help_rows_at
from hud.tui.layout import block, width_of
from hud.tui.style import Line, Span
from hud.tui.text import clean, pad, pieces
from hud.tui.verdict import caveats

if TYPE_CHECKING:
    from hud.tui.state import UiState

_COLUMN = 72
"""What the longest line about a key takes."""
_BLAMED = ", ".join(one.value for one in Cause if one.blames_code and one is not Cause.UNKNOWN)
_WORDS = (
    ("blocker", "own code that kept a worker in one task poll for the threshold or longer"),
    ("cause", f"{_BLAMED}; wait = no CPU"),
    ("count", "polls that long; total, max, p99: their own time, on a CPU and asleep"),
    ("no CPU", "how long they were ready to run meanwhile without a CPU; in no other figure"),
    ("per file", "or per task type: sums; their p99 is the end of a histogram's bucket"),
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
        "it left by a jump, its frame was gone; found in the machine code",
    ),
    ("(via)", "likewise, and others that are not known may be between it and the next line"),
    ("<", "where your code blocks; frames below it are what it called"),
    ("lost", "events, stacks or names that hud had to leave out; 0 is the normal case"),
)


def content(snapshot: Snapshot, state: UiState, width: int) -> list[Line]:
    """All lines of the page; the caller clips and scrolls."""
    lines: list[Line] = [(Span(" Keys", "title"),), *_keys(state, width)]
    lines += [(), (Span(" Words", "title"),)]
    lines += [(Span(f"   {pad(word, 14)} "), Span(what)) for word, what in _WORDS]
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
    """One below the other; in two columns where these fit."""
    rows: list[Line] = []
    for keys, what, where in help_rows_at(state.view, state.playback is not None):
        place = f"  ({where})" if where else ""
        rows.append((Span(f"   {pad(keys, 14)} "), Span(what), Span(place, "dim")))
    if width < 2 * _COLUMN:
        return rows
    half = -(-len(rows) // 2)
    columns = zip_longest(rows[:half], rows[half:], fillvalue=())
    return [(*left, Span(" " * (_COLUMN - width_of(left))), *right) for left, right in columns]


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
