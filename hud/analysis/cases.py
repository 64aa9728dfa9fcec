"""What of a blocker is worth a word: its cases besides the main one, and whom it waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures

if TYPE_CHECKING:
    from hud.analysis.results import Blocker, Case, HolderUse

_MOST = 2
_WORTH_A_WORD, _WORTH_A_FIX = 0.05, 0.1
"""Parts of a blocker's time that something must make up."""
NO_CALL = "no known call"
"""What a case without an operation blocked in: the function's own code, or what it inlined."""


def further(blocker: Blocker) -> list[Case]:
    """Those that are worth a word, the largest first."""
    least = _WORTH_A_WORD * blocker.total_ns
    return [case for case in blocker.cases[1 : 1 + _MOST] if case.total_ns >= least]


def worth_a_fix(blocker: Blocker) -> list[Case]:
    """Those of ``further`` that are large enough for a remedy of their own."""
    least = _WORTH_A_FIX * blocker.total_ns
    return [case for case in further(blocker) if case.total_ns >= least]


def held_up_by(blocker: Blocker) -> list[HolderUse]:
    """Those that it waited for long enough to be worth a word, the largest first."""
    least = _WORTH_A_WORD * blocker.total_ns
    return [use for use in blocker.holders if use.total_ns >= least]


def part(case: Case, blocker: Blocker) -> str:
    """``43 % of it``."""
    return f"{figures.percent(case.total_ns / max(blocker.total_ns, 1))} of it"
