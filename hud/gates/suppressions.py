"""A file of excuses: what may block without failing a gate, why, and until when.

One line each, ``#`` begins a comment:

    # function          cause  until       reason
    legacy::report*     cpu    2027-03-31  moves to its own runtime, issue 412
    *::load_config      any    never       only while it starts
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.cause import Cause
from hud.errors import UsageError
from hud.gates.grammar import pattern
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

ANY, NEVER = "any", "never"
_MOST_BYTES = 1_000_000
_COLUMNS = 4


class Excuse(NamedTuple):
    """One line."""

    file: str
    """That it stands in, as it was given."""
    line: int
    function: str
    cause: str
    until: date | None
    """The last day on which it holds; None = for ever."""
    reason: str
    is_like: Callable[[str], object]

    @property
    def place(self) -> str:
        """``FILE:LINE``."""
        return f"{printable(self.file)}:{self.line}"

    def covers(self, function: str, cause: str) -> bool:
        return self.cause in (ANY, cause) and bool(self.is_like(function))

    def expired(self, today: date) -> bool:
        return self.until is not None and self.until < today


def read(path: str) -> list[Excuse]:
    """UsageError with file and line for what is not understood."""
    try:
        with Path(path).open("rb") as file:
            whole = file.read(_MOST_BYTES + 1)
        text = whole.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UsageError(f"read {printable(path)}: {reason.lower()}", "name a text file") from error
    if len(whole) > _MOST_BYTES:
        raise UsageError(f"read {printable(path)}: too large", "it may have 1 MB")
    lines = enumerate(text.splitlines(), 1)
    return [
        _excuse(line, path, number)
        for number, line in lines
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _excuse(line: str, path: str, number: int) -> Excuse:
    place = f"{printable(path)}:{number}"
    words = line.split(maxsplit=_COLUMNS - 1)
    if len(words) < _COLUMNS:
        raise _wrong(place, "a line is FUNCTION CAUSE UNTIL REASON")
    function, cause, until, reason = words
    causes = [one.value for one in Cause if one.blames_code]
    if cause not in (ANY, *causes):
        raise _wrong(place, f"a cause is one of {ANY}, {', '.join(causes)}")
    return Excuse(path, number, function, cause, _day(until, place), reason, pattern(function))


def _day(text: str, place: str) -> date | None:
    if text == NEVER:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _wrong(place, f"the day is like 2027-03-31, or {NEVER}") from None


def _wrong(place: str, says: str) -> UsageError:
    return UsageError(f"{place}: {says}", "hud help ci has an example")
