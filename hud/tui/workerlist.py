"""The workers as the pages list them: those that say something, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.results import WorkerUse
from hud.tui import doing, workertime
from hud.tui.cache import kept
from hud.tui.state import first_shown

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.tui.state import UiState

FEW = 12
"""Up to so many are listed whatever they did."""

SORTS = {
    "blocked": lambda use: (-workertime.blocked(use), _number(use)),
    "waiting": lambda use: (-workertime.waiting(use), _number(use)),
    "worst": lambda use: (-use.longest_ns, _number(use)),
    "cause": lambda use: (workertime.cause(use) or "~", -workertime.blocked(use)),
    "id": lambda use: (_number(use), use.worker.tid),
    "name": lambda use: (use.worker.name, _number(use)),
}
"""By column name; ``id`` is in the margin, ``name`` the thread's."""


def _number(use: WorkerUse) -> int:
    return use.worker.worker_id


_Uses = tuple[WorkerUse, ...]


def listed(state: UiState, snapshot: Snapshot) -> Sequence[WorkerUse]:
    """The rows in the chosen order: those that the search finds; without one, where they are many,
    those that have not slept all the time.
    """
    turned = "workers" in state.turned
    if wanted := _search(state):
        found = [use for use in snapshot.workers if wanted in _text(use, snapshot)]
        return sorted(found, key=SORTS[order(state, snapshot)])[:: -1 if turned else 1]
    return _sorted(snapshot.workers, order(state, snapshot), turned)


@kept(16)
def _sorted(uses: _Uses, column: str, turned: bool) -> Sequence[WorkerUse]:
    left_out = set(map(id, asleep(uses))) if len(uses) > FEW else set()
    awake = [use for use in uses if id(use) not in left_out]
    return sorted(awake, key=SORTS[column])[:: -1 if turned else 1]


@kept(4)
def asleep(uses: _Uses) -> Sequence[WorkerUse]:
    """Those that slept all the time."""
    return [use for use in uses if workertime.is_idle(use)]


def most_blocked(snapshot: Snapshot) -> Sequence[WorkerUse]:
    """All of them, the most blocked first, those that slept all the time last."""
    uses = snapshot.workers
    rows = _sorted(uses, "blocked", False)
    return [*rows, *asleep(uses)] if len(uses) > FEW else rows


def idle(state: UiState, snapshot: Snapshot) -> Sequence[WorkerUse]:
    """Those that are only counted."""
    if _search(state) or len(snapshot.workers) <= FEW:
        return ()
    return asleep(snapshot.workers)


def order(state: UiState, snapshot: Snapshot) -> str:
    """The column that they are sorted by: a few keep their places until somebody asks."""
    few = len(snapshot.workers) <= FEW
    return state.order("workers", ["id" if few else "blocked"])


def _search(state: UiState) -> str:
    return state.search.casefold() if state.view == "workers" else ""


def _text(use: WorkerUse, snapshot: Snapshot) -> str:
    said, _ = doing.now(use, snapshot)
    return f"W{use.worker.worker_id} {use.worker.tid} {use.worker.name} {said}".casefold()


def not_shown(state: UiState, snapshot: Snapshot, shown: int) -> str:
    """``1-20 of 25, down to 0.2 % blocked; 39 idle: W0 W7-W39``."""
    uses, at = listed(state, snapshot), state.at("workers")
    dash = "–" if state.glyphs.unicode else "-"
    said = []
    if len(uses) > shown:
        top = first_shown(at.scroll, at.cursor, shown, len(uses))
        least = figures.percent(min(map(workertime.blocked, uses)))
        said.append(f"{top + 1}{dash}{top + shown} of {len(uses)}, down to {least} blocked")
    if slept := idle(state, snapshot):
        said.append(f"{len(slept)} idle: {workertime.numbers(slept, dash)}")
    return "; ".join(said)
