"""What to do about the blockers, by the numbers of their rows: each remedy once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.advice.advise import advise, advise_case
from hud.analysis.cases import part, worth_a_fix
from hud.analysis.verdict import heaviest, stuck_episodes
from hud.export.wrap import wrapped
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Blocker, Snapshot


def first(snapshot: Snapshot) -> str:
    """What to do about the call that makes up most of the blocked time; empty = not known, or there
    is none.
    """
    row = None if stuck_episodes(snapshot) else heaviest(snapshot)
    return printable(advise(row, snapshot.stacks).text) if row is not None else ""


def remedies(blockers: Sequence[Blocker], snapshot: Snapshot) -> list[tuple[list[int], str]]:
    """(numbers of rows, what to do), in the order of the rows; those that nothing is known for are
    not there.
    """
    found: dict[str, list[int]] = {}
    for number, blocker in enumerate(blockers, 1):
        fix = remedy(blocker, snapshot)
        if fix:
            found.setdefault(fix, []).append(number)
    return [(numbers, fix) for fix, numbers in found.items()]


def remedy(blocker: Blocker, snapshot: Snapshot) -> str:
    """The fix of its main case, then those of others that are worth one."""
    main = printable(advise(blocker, snapshot.stacks).text)
    said = [main] if main else []
    for case in worth_a_fix(blocker):
        fix = printable(advise_case(blocker, case, snapshot.stacks).text)
        if fix and fix != main:
            said.append(f"for {case.cause.value} ({part(case, blocker)}): {fix}")
    return "; ".join(said)


def lines(blockers: Sequence[Blocker], snapshot: Snapshot, width: int) -> list[str]:
    """With a head; empty where nothing is known."""
    found = [(", ".join(map(str, numbers)), fix) for numbers, fix in remedies(blockers, snapshot)]
    if not found:
        return []
    room = max(len(numbers) for numbers, _ in found)
    rows = (wrapped(f"  {numbers:<{room}}  ", fix, width) for numbers, fix in found)
    return ["  What to do", *(line for row in rows for line in row)]
