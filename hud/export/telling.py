"""One episode as all formats tell it, so that they cannot differ.

The *weight* of an episode is its own time (``Episode.charged_ns``): the weights of all episodes are
``Snapshot.blocked_ns``, but for those that are not held one by one any more
(``Losses.recording_full``).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from hud.analysis import standoff
from hud.analysis.advice.advise import advise_stack
from hud.analysis.blame import NO_STACK, Blames, frame_name
from hud.analysis.episodes.doubts import REASONS
from hud.analysis.episodes.syscalls import NO_CALL, call_name, machine_of
from hud.analysis.tails import remark
from hud.analysis.types import type_name
from hud.model import Frame, Precision
from hud.text import printable

if TYPE_CHECKING:
    from typing import Any

    from hud.analysis.blame import Blame
    from hud.analysis.cause import Cause
    from hud.analysis.results import Episode, Holder, Snapshot
    from hud.analysis.snapshot import Analyzer

    Row = dict[str, Any]


class Telling:
    """The blocking episodes of a run; all strings are safe to show."""

    def __init__(self, analyzer: Analyzer, snapshot: Snapshot | None) -> None:
        """Without a snapshot the run goes on: nothing is known of several workers together."""
        self.recording = analyzer.recording
        self._analyzer = analyzer
        self._facing = snapshot.standoff if snapshot else None
        self._blames = Blames(self.recording.stacks)
        self._machine = machine_of(self.recording.info.kernel)
        self._advices: dict[tuple[Cause, int], str] = {}
        self._lines: dict[int, tuple[str, ...]] = {}

    @cached_property
    def episodes(self) -> list[Episode]:
        """By their begin."""
        blocking = (one for one in self._analyzer.episodes() if one.cause.blames_code)
        return sorted(blocking, key=lambda one: (one.start_ns, one.tid))

    def frames(self, key: int) -> tuple[Frame, ...]:
        """Of a stack, innermost first; never empty."""
        stack = self.recording.stacks.get(key)
        if stack is None:
            return (Frame(0, NO_STACK.function),)
        if stack.frames is None:
            return tuple(Frame(address, f"0x{address:x}") for address in stack.addresses)
        return stack.frames or (Frame(0, NO_STACK.function),)

    def lines(self, key: int) -> tuple[str, ...]:
        """The same as people read it."""
        if key not in self._lines:
            self._lines[key] = tuple(map(shown_frame, self.frames(key)))
        return self._lines[key]

    def blame(self, key: int) -> Blame:
        """The code responsible for a stack."""
        return self._blames.of(key)

    def name(self, episode: Episode) -> str:
        """The code responsible; where it was inlined into Tokio's frame, the task's type."""
        at = self.blame(episode.stack)
        return (at.hosted and self.task_type(episode)) or printable(at.function)

    def function(self, episode: Episode) -> str:
        """Its name as a blocker has it; ``~`` before a guess."""
        name, inferred = self.name(episode), self.blame(episode.stack).inferred
        return f"~{name}" if inferred and not name.startswith("~") else name

    def task_type(self, episode: Episode) -> str:
        recording = self.recording
        kind = recording.tasks.kinds.get(recording.tasks.vtable_of(episode))
        return printable(type_name(kind, recording.stacks.get(episode.stack)))

    def syscall(self, episode: Episode) -> str:
        """What it slept in longest; empty = nothing, or it is not known."""
        called = episode.syscall >= 0 and episode.syscall != NO_CALL
        return call_name(episode.syscall, self._machine) if called else ""

    def advice(self, episode: Episode) -> str:
        of, stack = (episode.cause, episode.stack), self.recording.stacks.get(episode.stack)
        waiting = standoff.fix_of(episode, self._facing, stack)
        if waiting:
            return printable(waiting)
        if of not in self._advices:
            self._advices[of] = printable(advise_stack(episode.cause, stack).text)
        return self._advices[of]

    def worker(self, worker_id: int, tid: int) -> str:
        """``W0 tokio-rt-worker``."""
        worker = self.recording.workers.get(tid)
        return f"W{worker_id} {printable(worker.name) if worker else ''}".rstrip()

    def row(self, episode: Episode) -> Row:
        """All that is known of it, times in ns; what is not known is left out."""
        zero = self.recording.info.start_monotonic_ns
        row: Row = {
            "start_ns": episode.start_ns - zero,
            "duration_ns": episode.duration_ns,
            "blocked_ns": episode.charged_ns,
            "on_cpu_ns": episode.on_cpu_ns,
            "asleep_ns": episode.asleep_ns,
            "waiting_ns": episode.waiting_ns,
            "stopped_ns": episode.stopped_ns,
            "cause": episode.cause.value,
            "function": self.function(episode),
            **self._place(episode.stack),
            "worker_id": episode.worker_id,
            "tid": episode.tid,
            "detection_method": int(episode.method),
            "begin_uncertainty_ns": episode.begin_uncertainty_ns,
            "end_uncertainty_ns": episode.end_uncertainty_ns,
        }
        known = {**self._task(episode), **self._why(episode), **_doubts(episode)}
        return row | {name: value for name, value in known.items() if value}

    def _place(self, key: int) -> Row:
        at = self.blame(key)
        place: Row = {"operation": printable(at.operation)} if at.operation else {}
        if at.file:
            place["file"] = printable(at.file)
            place |= {"line": at.line} if at.line else {}
            place |= {} if at.precision is Precision.EXACT else {"place": at.precision.value}
        return place | ({"inferred": True} if at.inferred else {})

    def _task(self, episode: Episode) -> Row:
        tasks_behind = {"tasks_behind": round(episode.behind, 1)} if episode.behind >= 0 else {}
        if not episode.task_id:
            return tasks_behind
        return {
            "task_id": episode.task_id,
            "task_type": self.task_type(episode),
            **tasks_behind,
        }

    def _why(self, episode: Episode) -> Row:
        holder = episode.holder
        return {
            "evidence": printable(episode.evidence),
            "detail": printable(episode.detail),
            "syscall": self.syscall(episode),
            "advice": self.advice(episode),
            **({"holder" if holder.held else "woken_by": self._holder(holder)} if holder else {}),
        }

    def _holder(self, holder: Holder) -> Row:
        found: Row = {"tid": holder.tid, "name": printable(holder.name), "role": holder.role}
        if holder.stack:
            found["function"] = printable(self.blame(holder.stack).function)
            found |= self._place(holder.stack)
        return found


def _doubts(episode: Episode) -> Row:
    return {
        "in_progress": episode.in_progress,
        "began_before_attach": episode.began_before,
        "pressed": episode.pressed,
        "maybe_several_polls": doubted(episode),
    }


def doubted(episode: Episode) -> list[str]:
    """Why it may be several polls of one task."""
    return [REASONS[flag] for flag in REASONS if episode.doubts & flag]


def shown_frame(frame: Frame) -> str:
    """A frame as people read it."""
    mark = "~" if frame.inferred else ""
    return f"{mark}{printable(frame_name(frame))} {remark(frame)}".rstrip()
