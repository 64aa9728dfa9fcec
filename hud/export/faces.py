"""What one bar of a trace says: its events, with stacks by reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.blame import Blame
from hud.analysis.results import Method
from hud.export.telling import doubted
from hud.model import Origin, Precision
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    import msgspec

    from hud.analysis.results import Episode, Holder
    from hud.export.bars import Bar
    from hud.export.telling import Telling

    Event = dict[str, Any]

BLOCKING = "execution"
"""Category of the episodes."""
PRESSURE = "scheduling"
"""Category of the waits for a CPU."""
NOT_ON_CPU = "(waiting for a CPU)"


class StackFrames:
    """The ``stackFrames`` of a trace: each frame once for each way to it from the outermost one."""

    def __init__(self) -> None:
        self.table: dict[str, Event] = {}
        """By number: ``name``, and the caller's number as ``parent``."""
        self._numbers: dict[tuple[str, int], int] = {}

    def add(self, names: Iterable[str]) -> int:
        """The number of the first of these, which are innermost first."""
        caller = 0
        for name in reversed([*names]):
            of = name, caller
            if of not in self._numbers:
                number = self._numbers[of] = len(self._numbers) + 1
                self.table[str(number)] = {"name": name, **({"parent": caller} if caller else {})}
            caller = self._numbers[of]
        return caller


class _Face(NamedTuple):
    """What all events with one stack share."""

    blame: Blame
    name: str
    stack: msgspec.Raw
    reference: Event
    """``sf``; empty where there is no stack."""
    complete: bool


class Faces:
    """Events of bars; what depends only on the stack is made once."""

    def __init__(self, told: Telling, frames: StackFrames) -> None:
        self.recording = told.recording
        self._told = told
        self._frames = frames
        self._listed: set[int] = set()
        """Stacks that an event has as a list."""
        self._open: dict[int, Event] = {}
        """Arguments of the episode that a thread is in."""
        self._faces: dict[int, _Face] = {}
        self._pid = told.recording.info.target.pid
        self._zero_ns = told.recording.info.start_monotonic_ns

    def begin(self, bar: Bar) -> Event:
        episode: Any = bar.of
        face = self._face(episode.stack)
        args: Event = {
            "worker_id": episode.worker_id,
            "detection_method": int(episode.method),
            **_split(episode),
        }
        if face.blame.operation:
            args["operation"] = printable(face.blame.operation)
        advice = self._told.advice(episode)
        if advice:
            args["advice"] = advice
        if face.blame.file:
            args["file"] = printable(face.blame.file)
        if face.blame.line:
            args["line"] = face.blame.line
        args |= _precision(face.blame)
        if face.blame.inferred:
            args["inferred"] = True
        if episode.evidence:
            args["evidence"] = printable(episode.evidence)
        if episode.detail:
            args["detail"] = printable(episode.detail)
        if episode.holder:
            args["holder" if episode.holder.held else "woken_by"] = self._holder(episode.holder)
        if episode.task_id:
            args["task_id"] = episode.task_id
            task_type = self._told.task_type(episode)
            if task_type:
                args["task_type"] = task_type
        if episode.behind >= 0:
            args["tasks_behind"] = round(episode.behind, 1)
        syscall = self._told.syscall(episode)
        if syscall:
            args["syscall"] = syscall
        if episode.in_progress:
            args["in_progress"] = True
        if episode.doubts:
            args["maybe_several_polls"] = doubted(episode)
        if episode.began_before:
            args["began_before_attach"] = True
        args["begin_uncertainty_us"] = episode.begin_uncertainty_ns / 1000
        args["end_uncertainty_us"] = episode.end_uncertainty_ns / 1000
        args["stack_complete"] = face.complete
        args |= self._list_once(episode.stack, face)
        self._open[episode.tid] = args
        name = self._told.name(episode)
        event = self._event(name, BLOCKING, "B", bar.begin_ns, episode.tid)
        return {**event, **face.reference, "args": args}

    def _list_once(self, key: int, face: _Face) -> Event:
        if key in self._listed:
            return {}
        self._listed.add(key)
        return {"stack": face.stack}

    def _holder(self, holder: Holder) -> Event:
        face = self._face(holder.stack)
        found: Event = {
            "tid": holder.tid,
            "name": printable(holder.name),
            "role": holder.role,
        }
        if holder.task_id:
            found["task_id"] = holder.task_id
        if face.blame.origin in (Origin.USER, Origin.DEPENDENCY):
            found["function"] = face.name
            if face.blame.file:
                found |= {"file": printable(face.blame.file), "line": face.blame.line}
                found |= _precision(face.blame)
            if face.blame.inferred:
                found["inferred"] = True
        return found | face.reference

    def end(self, bar: Bar) -> Event:
        """With the arguments of its begin: by these, too, speedscope finds it."""
        episode: Any = bar.of
        name = self._told.name(episode)
        event = self._event(name, BLOCKING, "E", bar.end_ns, episode.tid)
        return {**event, "args": self._open.pop(episode.tid)}

    def wait(self, bar: Bar) -> Event:
        one: Any = bar.of
        face = self._face(one.stack)
        args: Event = {
            "worker_id": one.worker_id,
            "detection_method": int(Method.LATENCY),
            "duration_us": one.duration_ns / 1000,
        }
        if hasattr(one, "cause"):
            args |= _split(one)
        else:
            args["culprit"] = printable(one.culprit)
            args["culprit_pid"] = one.culprit_pid
            args["culprit_tid"] = one.culprit_tid
            args["preempted"] = one.preempted
        if one.stack:
            args |= self._list_once(one.stack, face)
        event = self._event(NOT_ON_CPU, PRESSURE, "X", bar.begin_ns, one.tid)
        event["dur"] = (bar.end_ns - bar.begin_ns) / 1000
        return {**event, **face.reference, "args": args}

    def _event(self, name: str, category: str, phase: str, time_ns: int, tid: int) -> Event:
        return {
            "name": name,
            "cat": category,
            "ph": phase,
            "ts": max(0, time_ns - self._zero_ns) / 1000,
            "pid": self._pid,
            "tid": tid,
        }

    def _face(self, key: int) -> _Face:
        face = self._faces.get(key)
        if face is None:
            face = self._faces[key] = self._make(key)
        return face

    def _make(self, key: int) -> _Face:
        import msgspec

        at = self._told.blame(key)
        stack = self.recording.stacks.get(key)
        lines = self._told.lines(key) if stack is not None and stack.frames != () else ()
        raw = msgspec.Raw(msgspec.json.encode(lines))
        reference = {"sf": self._frames.add(lines)} if lines else {}
        complete = stack is not None and stack.complete
        return _Face(at, printable(at.function), raw, reference, complete)


def _precision(blame: Blame) -> Event:
    """How well file and line are known, where they are not the call's own."""
    exact = not blame.file or blame.precision is Precision.EXACT
    return {} if exact else {"place": blame.precision.value}


def _split(episode: Episode) -> Event:
    split = {
        "cause": episode.cause.value,
        "on_cpu_us": episode.on_cpu_ns / 1000,
        "asleep_us": episode.asleep_ns / 1000,
        "waiting_us": episode.waiting_ns / 1000,
        "own_us": episode.charged_ns / 1000,
    }
    if episode.pressed:
        split["pressed"] = True
    if episode.stopped_ns:
        split["stopped_us"] = episode.stopped_ns / 1000
    return split
