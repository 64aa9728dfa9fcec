"""What a remedy is: a row of the table from what a worker was caught at to what can be done.

The *fix* of a remedy is an imperative, its *why* the reason in the world of
Tokio. In fix and code ``{what}`` is the library call that matched, or its crate; in code ``{work}``
is what to move: that call, else the blamed function, else ``{ .. }``; other names in braces are
named groups of the pattern. A *closing* is a word in parentheses for what a stack amounts to as a
whole; it stands after the names of its frames.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hud.analysis.cause import Cause

OWN, LIBRARY, ASYNC, NAMELESS, OPAQUE = "(own)", "(library)", "(async)", "(nameless)", "(opaque)"
SELECT, AWAITED = "(select)", "(awaited)"
"""The closings: own code, a library's, an asynchronous library's, the target's without a name,
what nothing can be said of, a loop around a ``select!``, and a library's future, polled."""


class Remedy(NamedTuple):
    """One row. An empty ``fix`` says that nothing sensible can be said."""

    name: str
    causes: frozenset[Cause]
    pattern: re.Pattern[str]
    """Searched in the name of one call."""
    fix: str
    code: str
    why: str
    direct: bool = False
    """Only where the blamed code itself calls it: what a library does inside is its business."""

    @property
    def moves(self) -> bool:
        """It takes the work to another thread, which costs some tens of microseconds itself."""
        return "spawn_blocking" in self.code


_OUTSIDE = frozenset((Cause.WAITING, Cause.STOPPED))
ANY = frozenset(Cause) - _OUTSIDE
BUSY = frozenset((Cause.CPU, Cause.FAULT))
ASLEEP = ANY - BUSY - {Cause.UNKNOWN}

MOVE = "tokio::task::spawn_blocking(move || {work}).await"
COMPUTING = (
    "tasks share a worker, and none runs until this one awaits; rayon inside spawn_blocking uses "
    "all cores. block_in_place panics on a current_thread runtime"
)


def crates(names: str) -> str:
    """A pattern for the code of these crates: their paths, and impls for or of what is theirs."""
    return rf"(?:^[<&*(\[]*(?:mut |dyn )?|\sas\s)(?P<crate>{'|'.join(names.split())})::"


def row(
    name: str,
    causes: frozenset[Cause] | Cause,
    pattern: str,
    fix: str,
    code: str,
    why: str,
    *,
    direct: bool = False,
) -> Remedy:
    """A remedy; ``pattern`` is a regular expression."""
    if isinstance(causes, Cause):
        causes = frozenset((causes,))
    return Remedy(name, causes, re.compile(pattern), fix, code, why, direct)


WHATEVER = r"^\("
"""Any closing: the cause alone says it."""
STD = r"(?:^[<&*(\[]*(?:mut )?|\sas\s)std::"
