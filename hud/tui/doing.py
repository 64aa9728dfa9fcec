"""What a worker does now, in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.shortnames import shorten
from hud.model import Where
from hud.text import ELLIPSIS
from hud.tui.style import cause_style
from hud.tui.text import clean
from hud.tui.verdict import current_code, is_stuck, poll_ns

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot, WorkerUse

_ANY_WIDTH = 200


def now(
    use: WorkerUse, snapshot: Snapshot, room: int = _ANY_WIDTH, ellipsis: str = ELLIPSIS
) -> tuple[str, str]:
    """``hash_password 17ms``, ``parked``, in ``room`` cells, and its style; nothing once the run is
    over.
    """
    if not use.alive:
        return "gone", "label"
    if use.state is None or not snapshot.live:
        return "", ""
    if poll_ns(use, snapshot.now_ns):
        said, style = _in_a_poll(use, snapshot)
        head, name, time = said
        short = shorten([name], room - len(head) - len(time), ellipsis)[0]
        return f"{head}{short}{time}", style
    return _elsewhere(use), "label"


def _in_a_poll(use: WorkerUse, snapshot: Snapshot) -> tuple[tuple[str, str, str], str]:
    """What stands before the name, the name, and for how long; and the style."""
    before = "+" if use.state and use.state.began_before else ""
    time = f" {figures.duration(poll_ns(use, snapshot.now_ns))}{before}"
    code = current_code(use, snapshot)
    name = clean(code.function) if code else _task(use, snapshot)
    if is_stuck(use, snapshot):
        return ("STUCK ", name, time), "alarm"
    return ("", name, time), cause_style(code.cause) if code and code.cause else ""


def _elsewhere(use: WorkerUse) -> str:
    state = use.state
    if state is None:
        return ""
    if state.where is Where.ROOT:
        return "block_on"
    if state.where is Where.POLL:
        return "in a poll"
    if state.runnable and not state.running:
        return "no CPU"
    if state.where is Where.ALLOWED:
        return "allowed to block"
    if state.where is Where.RUNTIME:
        return "between polls" if state.running else "parked"
    return "on the CPU" if state.running else "asleep"


def _task(use: WorkerUse, snapshot: Snapshot) -> str:
    """The type of the task it polls, as far as the tasks that blocked show it; else its number."""
    number = use.state.task_id if use.state else 0
    if not number:
        return "in a poll"
    for one in snapshot.tasks:
        if number in one.task_ids and one.kind.name:
            return clean(one.kind.name)
    return f"task {number}"
