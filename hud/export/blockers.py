"""The summary's table of blockers: a row for each, and below it what is known besides.

Colour marks causes and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis import lasting
from hud.analysis.advice.advise import advise, advise_stack
from hud.analysis.cause import Cause
from hud.analysis.results import Blocker, HolderUse, Snapshot
from hud.export import code
from hud.export.wrap import wrapped
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_ROWS = 20
_NARROWEST_NAME = 24
_MOST_TYPES = 3
_WORTH_TELLING = 0.5
"""Ready tasks behind a blocker, on average."""
_MOST_DETAILS = 3
_MOST_BESIDES = 3
_WORTH_A_WORD, _WORTH_A_FIX = 0.02, 0.1
"""Parts of a blocker's time that one of its further causes and calls must make up."""

COLOURS = {
    "red": "31",
    "orange": "33",
    "yellow": "33",
    "blue": "34",
    "indigo": "34",
    "cyan": "36",
    "teal": "36",
    "violet": "35",
    "mauve": "35",
    "pink": "35",
    "green": "32",
}
"""SGR parameters by a cause's hue, as the screen has it on 16 colours; others stay plain."""

_ROLES = {
    "worker": "on a worker",
    "pool thread": "on a thread of the blocking pool",
    "other thread": "on another thread",
    "other process": "in another process",
}


class _Column(NamedTuple):
    title: str
    cell: Callable[[Blocker], str]
    right: bool
    goes: int
    """Its turn to go where the terminal is narrow; 0 = it stays."""


def _duration(ns: int) -> str:
    return figures.duration(ns) if ns else ""


def _name(blocker: Blocker) -> str:
    return ("~" if blocker.inferred else "") + printable(blocker.function)


def _causes(blocker: Blocker) -> str:
    """``sleep+dns``: the main one, and another that is worth a fix of its own."""
    least = _WORTH_A_FIX * blocker.total_ns
    more = [one for one, ns in blocker.causes if one is not blocker.cause and ns >= least]
    return "+".join(one.value for one in (blocker.cause, *more[:1]))


_COLUMNS = (
    _Column("share", lambda one: figures.share(one.share), True, 0),
    _Column("count", lambda one: figures.short_count(one.count), True, 4),
    _Column("total", lambda one: figures.duration(one.total_ns), True, 0),
    _Column("max", lambda one: figures.duration(one.max_ns), True, 3),
    _Column("p99", lambda one: figures.duration(one.p99_ns), True, 2),
    _Column("no CPU", lambda one: _duration(one.waiting_ns), True, 1),
    _Column("cause", lambda one: _causes(one), False, 0),
    _Column("function", _name, False, 0),
    _Column("where", lambda one: printable(one.where), False, 5),
)


def blocker_table(
    snapshot: Snapshot, *, color: bool, width: int | None, verbose: bool
) -> list[str]:
    """Its lines, without an end; ``width`` None = no limit. Never called without blockers."""
    blockers = snapshot.blockers
    shown = blockers[:MOST_ROWS]
    columns = [column for column in _COLUMNS if any(column.cell(one) for one in shown)]
    widths = _widths(columns, shown)
    if width is not None:
        leaving = sorted((one for one in columns if one.goes), key=lambda one: one.goes)
        while leaving and _least(columns, widths) > width:
            columns.remove(leaving.pop(0))
            widths = _widths(columns, shown)
        spare = width - _total(widths)
        at = [column.cell for column in columns].index(_name)
        widths[at] = max(_NARROWEST_NAME, min(widths[at], widths[at] + spare))
    cells = [
        [
            _tail(column.cell(one), room) if column.cell is _name else column.cell(one)
            for column, room in zip(columns, widths, strict=True)
        ]
        for one in shown
    ]
    lines = [_row([column.title for column in columns], columns, widths)]
    inset = " " * (3 + widths[0] + 2)
    for blocker, row in zip(shown, cells, strict=True):
        lines.append(_row(row, columns, widths, blocker.cause if color else None))
        if blocker.operation:
            call = "in " + printable(blocker.operation)
            lines.append(inset + (call if width is None else _tail(call, width - len(inset))))
        for said in lasting.in_words(blocker):
            lines += wrapped(inset, said, width)
        alike = _alike(blocker, blockers)
        if alike:
            lines.append(inset + alike)
        task = _task(blocker)
        if task:
            lines.append(inset + (task if width is None else _tail(task, width - len(inset))))
        lines += [
            line
            for label, value in _circumstances(blocker, snapshot)
            for line in wrapped(f"{inset}{label} ", printable(value), width)
        ]
        lines += _fix(printable(advise(blocker, snapshot.stacks).text), inset, width)
        if verbose:
            lines += code.shown(blocker, snapshot, inset, width)
    hidden = len(blockers) - len(shown)
    if hidden:
        rest = sum(blocker.total_ns for blocker in blockers[MOST_ROWS:])
        lines.append(f"{inset}and {hidden} more, {figures.duration(rest)}")
    return lines


def _circumstances(blocker: Blocker, snapshot: Snapshot) -> list[tuple[str, str]]:
    """What it was about, and who held what it wanted; at most a few of each."""
    found = [("besides", said) for said in _besides(blocker, snapshot)]
    details = [detail for detail, _ in blocker.details[:_MOST_DETAILS]]
    if details:
        more = len(blocker.details) - len(details)
        found.append(("about", ", ".join(details) + (f" and {more} more" if more else "")))
    for held, verb in ((True, "held by"), (False, "woken by")):
        users = [user for user in blocker.holders if user.held is held]
        if users:
            found.append((verb, "; ".join(holder_in_words(user) for user in users[:_MOST_DETAILS])))
    return found


def _alike(blocker: Blocker, blockers: Sequence[Blocker]) -> str:
    """Where other code has the same readable name: that it is other code; else empty."""
    number = sum(one.function == blocker.function for one in blockers)
    return f"one of {number} functions of this name, each a row of its own" if number > 1 else ""


def _besides(blocker: Blocker, snapshot: Snapshot) -> list[str]:
    """What else the same code was held up by, where that is worth a word, and what to do."""
    said = []
    main = advise_stack(blocker.cause, snapshot.stacks.get(blocker.example)).text
    for case in blocker.cases[1 : 1 + _MOST_BESIDES]:
        share = case.total_ns / max(blocker.total_ns, 1)
        if share < _WORTH_A_WORD:
            continue
        call = f" in {case.operation}" if case.operation else ""
        fix = advise_stack(case.cause, snapshot.stacks.get(case.stack)).text
        remedy = f": {fix}" if fix not in ("", main) and share >= _WORTH_A_FIX else ""
        said.append(f"{case.cause.value}{call} {figures.percent(share)}{remedy}")
    return said


def holder_in_words(user: HolderUse) -> str:
    """``cache::refill src/cache.rs:88, on another thread``; ``thread refiller``; ``~`` before an
    inferred name.
    """
    location = user.where.replace(" ~:", ":").removesuffix(" (async)")
    where = "" if location == user.function else user.where
    what = f"{'~' if user.inferred else ''}{user.function} {where}".strip()
    if what.startswith("thread ") and user.role == "other thread":
        return what
    role = _ROLES.get(user.role, user.role)
    return f"{what}, {role}" if what else role


def _task(blocker: Blocker) -> str:
    """Which tasks it was in, and how many waited behind them; empty = unknown."""
    whole = sum(ns for _, ns in blocker.types)
    names = [
        printable(name) + (f" {figures.percent(ns / whole)}" if ns < whole else "")
        for name, ns in blocker.types[:_MOST_TYPES]
    ]
    if [name for name, _ in blocker.types] == [blocker.function]:
        names = []  # the line above says so
    text = f"task {', '.join(names)}" if names else ""
    if blocker.behind >= _WORTH_TELLING:
        count = figures.count(round(blocker.behind), "ready task")
        text += f"{'; ' if text else ''}{count} behind it in the worker's own queue"
    return text


def _fix(advice: str, inset: str, width: int | None) -> list[str]:
    """The advice, on as many lines as it needs."""
    if not advice:
        return []
    return wrapped(f"{inset}fix: ", advice, width)


def _widths(columns: list[_Column], blockers: tuple[Blocker, ...]) -> list[int]:
    return [
        max(len(column.title), *(len(column.cell(one)) for one in blockers)) for column in columns
    ]


def _total(widths: list[int]) -> int:
    return 3 + sum(widths) + 2 * (len(widths) - 1)


def _least(columns: list[_Column], widths: list[int]) -> int:
    """The width of the table with the function's column as narrow as it may get."""
    at = [column.cell for column in columns].index(_name)
    return _total(widths) - max(0, widths[at] - _NARROWEST_NAME)


def _row(
    cells: list[str], columns: list[_Column], widths: list[int], cause: Cause | None = None
) -> str:
    parts = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        padded = f"{cell:>{width}}" if column.right else f"{cell:<{width}}"
        if cause and cause.hue in COLOURS and column.title == "cause":
            padded = padded.replace(cell, f"\x1b[{COLOURS[cause.hue]}m{cell}\x1b[0m", 1)
        parts.append(padded)
    return ("   " + "  ".join(parts)).rstrip()


def _tail(name: str, width: int) -> str:
    """The end of a path says more than its beginning."""
    return name if len(name) <= width else "..." + name[len(name) - width + 3 :]
