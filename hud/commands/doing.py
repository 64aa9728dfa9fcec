"""What each worker does at one moment, in words and as data: only what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.blame import frame_name
from hud.analysis.tasks import kind_name
from hud.model import Rung, Where
from hud.text import printable
from hud.tui import folding, frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from hud.analysis.results import Snapshot, WorkerUse
    from hud.model import Frame, Stack, ThreadState, Worker

POLL, PARKED, BETWEEN, ALLOWED, OUTSIDE, UNKNOWN, GONE = (
    "poll",
    "parked",
    "between polls",
    "allowed",
    "outside",
    "unknown",
    "gone",
)
CPU, READY, ASLEEP = "on a CPU", "ready, without a CPU", "asleep"
_INSET = " " * 6


class Doing(NamedTuple):
    """One worker."""

    worker: Worker
    what: str
    """One of the words above."""
    how: str = ""
    """``CPU``, ``READY`` or ``ASLEEP``; empty = not seen."""
    how_ns: int = 0
    """For how long."""
    poll_ns: int = 0
    """For how long it has been in this poll, as far as hud knows."""
    before: bool = False
    """It was in it, or parked, when hud attached: for longer than is known."""
    task_id: int = 0
    task: str = ""
    cause: str = ""
    detail: str = ""
    stack: Stack | None = None


def doings(snapshot: Snapshot) -> list[Doing]:
    """Of every worker there is, by number."""
    polls = snapshot.info.detection.rung is Rung.CONTEXT
    types = {use.kind.vtable: kind_name(use.kind) for use in snapshot.tasks if use.kind.name}
    return [
        _doing(use, snapshot, types) if use.state is not None and use.alive else _unseen(use, polls)
        for use in snapshot.workers
    ]


def _unseen(use: WorkerUse, polls: bool) -> Doing:
    """It never came to a CPU since the attach. One that then was in a poll would have been seen."""
    if not use.alive:
        return Doing(use.worker, GONE)
    what = PARKED if polls and use.drives else UNKNOWN
    return Doing(use.worker, what, ASLEEP, before=True)


def _doing(use: WorkerUse, snapshot: Snapshot, types: dict[int, str]) -> Doing:
    state, episode = use.state, use.doing
    assert state is not None
    how = CPU if state.running else READY if state.runnable else ASLEEP
    what = _what(state)
    found = Doing(use.worker, what, how, max(snapshot.now_ns - state.since_ns, 0))
    if what != POLL:
        return found
    found = found._replace(
        poll_ns=max(snapshot.now_ns - state.poll_start_ns, 0) if state.poll_start_ns else 0,
        before=state.began_before,
        task_id=state.task_id,
    )
    if episode is None:
        return found
    return found._replace(
        task=types.get(episode.vtable, ""),
        cause=episode.cause.value,
        detail=episode.detail,
        stack=snapshot.stacks.get(episode.stack),
    )


def _what(state: ThreadState) -> str:
    if state.where in (Where.POLL, Where.ROOT):
        return POLL
    if state.where is Where.RUNTIME:
        return BETWEEN if state.running or state.runnable else PARKED
    return {Where.ALLOWED: ALLOWED, Where.FOREIGN: OUTSIDE}.get(state.where, UNKNOWN)


# --------------------------------------------------------------------------- in words


def lines(found: Doing, *, unfold: bool) -> Iterator[str]:
    """A sentence, and below it the stack of one that is in a poll; ``unfold`` shows all frames."""
    name = f"W{found.worker.worker_id:<3} {printable(found.worker.name):<16}"
    yield f"{name} {found.worker.tid:<7} {sentence(found)}"
    if found.what != POLL:
        return
    if found.stack is None:
        yield f"{_INSET}no stack was caught in this poll"
        return
    rows = folding.outline(found.stack, unfold)
    names = [printable(frame_name(row.frame) if row.frame else row.text) for row in rows]
    widest = min(max(map(len, names), default=0), 60)
    for row, said in zip(rows, names, strict=True):
        at = frames.location(row.frame) if row.frame else ""
        here = "  <- blocks here" if row.blocking else ""
        mark = "~" if row.frame is not None and row.frame.inferred else " "
        yield f"{_INSET}{mark}{said:<{widest}}  {at}{here}".rstrip()
    if not found.stack.complete:
        yield f"{_INSET} ... the rest is not known ({found.stack.stop})"


def sentence(found: Doing) -> str:
    """``in a poll of api::login for 1.2 s, asleep (sleep)``."""
    for_ns = f" for {figures.long_duration(found.how_ns)}" if found.how_ns else ""
    match found.what:
        case "gone":
            return "has ended"
        case "parked":
            return "parked, since before hud attached" if found.before else f"parked{for_ns}"
        case "between polls":
            return f"between polls, {found.how}"
        case "allowed":
            return f"in spawn_blocking or block_in_place, {found.how}{for_ns}"
        case "outside":
            return f"outside the runtime, {found.how}{for_ns}"
        case "poll":
            return _poll(found, for_ns)
    if found.before:
        return "asleep since before hud attached; in what is not known"
    return f"{found.how}{for_ns}; what it does is not known: Tokio's state cannot be read"


def _poll(found: Doing, for_ns: str) -> str:
    task = f" of {printable(found.task)}" if found.task else ""
    number = f" (task {found.task_id})" if found.task_id else ""
    longer = "more than " if found.before else ""
    how = found.how + (for_ns if found.how == READY else "")
    about = " ".join(filter(None, (found.cause if found.how == ASLEEP else "", found.detail)))
    why = f" ({printable(about)})" if about else ""
    return f"in a poll{task}{number} for {longer}{figures.long_duration(found.poll_ns)}, {how}{why}"


# --------------------------------------------------------------------------- as data


def as_data(found: Doing) -> dict[str, Any]:
    """For scripts: times in microseconds; null = not known."""
    stack = found.stack
    return {
        "worker": found.worker.worker_id,
        "tid": found.worker.tid,
        "name": found.worker.name,
        "runtime": found.worker.runtime or None,
        "doing": found.what,
        "how": found.how or None,
        "how_us": None if found.before and found.what != POLL else found.how_ns // 1000,
        "poll_us": found.poll_ns // 1000 if found.what == POLL else None,
        "since_before_attach": found.before,
        "task_id": found.task_id or None,
        "task_type": found.task or None,
        "cause": found.cause or None,
        "detail": found.detail or None,
        "stack_complete": stack.complete if stack else None,
        "stack": [_frame(frame) for frame in stack.frames or ()] if stack else None,
    }


def _frame(frame: Frame) -> dict[str, Any]:
    return {
        "function": frame_name(frame),
        "inferred": frame.inferred,
        "file": frame.file or None,
        "line": frame.line or None,
        "crate": frame.crate or None,
    }
