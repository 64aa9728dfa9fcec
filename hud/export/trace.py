"""Chrome Trace Event JSON, for Perfetto, chrome://tracing, speedscope and jq.

Format: "Trace Event Format" by Google. One ``B``/``E`` pair per episode, named after the blocking
function; waits for a CPU are ``X`` events, so that counting ``B`` counts blocking only. Events are
sorted by time and nest properly in each thread. The ``E`` repeats the name because speedscope
refuses to end a frame under another one, and metadata carries ``ts`` because it once required it.

A *bar* is one interval on a thread's track.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis import standoff
from hud.analysis.advice.advise import advise_stack
from hud.analysis.blame import Blame, Blames, frame_name
from hud.analysis.cause import Cause
from hud.analysis.episodes.doubts import REASONS
from hud.analysis.episodes.syscalls import NO_CALL, call_name, machine_of
from hud.analysis.results import Method
from hud.analysis.tails import remark
from hud.analysis.types import type_name
from hud.analysis.verdict import sentences
from hud.export.polls import poll_data
from hud.model import Frame, Origin, Precision
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO

    import msgspec

    from hud.analysis.recording import Recording
    from hud.analysis.results import Episode, Holder, Latency, Snapshot, Standoff
    from hud.analysis.snapshot import Analyzer

    Event = dict[str, Any]

BLOCKING = "execution"
"""Category of the episodes."""
PRESSURE = "scheduling"
"""Category of the waits for a CPU."""
_NOT_ON_CPU = "(waiting for a CPU)"
_FLUSH_EVENTS = 1_000
_MOST = 20
"""Rows of ``otherData.pressure``."""


class _Bar(NamedTuple):
    begin_ns: int
    end_ns: int
    of: Episode | Latency
    blocking: bool


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    """Write everything that the analyzer held when it gave ``snapshot``."""
    import msgspec

    encode = msgspec.json.Encoder().encode
    recording = analyzer.recording
    bars = _bars(analyzer)
    head = {"displayTimeUnit": "ms", "otherData": other_data(snapshot, bars)}
    out.write(encode(head)[:-1] + b',"traceEvents":[')
    separator = b"\n"
    chunk: list[bytes] = []
    for event in _events(recording, bars, snapshot.standoff):
        chunk.append(separator + encode(event))
        separator = b",\n"
        if len(chunk) >= _FLUSH_EVENTS:
            out.write(b"".join(chunk))
            chunk.clear()
    out.write(b"".join(chunk) + b"\n]}\n")


def other_data(snapshot: Snapshot, bars: Iterable[_Bar]) -> Event:
    """What a script needs to know of the run besides its events."""
    info = snapshot.info
    return {
        "hud": info.hud_version,
        "target": {
            "pid": info.target.pid,
            "name": printable(info.target.name),
            "executable": printable(info.target.executable),
        },
        "kernel": info.kernel,
        "start_monotonic_ns": info.start_monotonic_ns,
        "start_unix_ns": info.start_unix_ns,
        "duration_s": snapshot.elapsed_ns / 1e9,
        "window_s": info.window_ns / 1e9,
        "threshold_ms": info.threshold_ns / 1e6,
        "threshold_from": printable(info.threshold_from),
        "sample_period_ms": info.sample_period_ns / 1e6,
        "ended": printable(snapshot.ended),
        "detection": {
            "rung": info.detection.rung.value,
            "reason": printable(info.detection.reason),
            "tokio_versions": list(info.detection.tokio_versions),
        },
        "notes": [printable(note) for note in info.notes],
        "verdict": sentences(snapshot),
        "runtimes": [
            {
                "name": printable(use.name),
                "workers": use.workers,
                "worker_time_ns": use.time_ns,
                "blocked_ns": use.blocked_ns,
                "blocked_share": round(use.share, 6),
                "waiting_ns": use.waiting_ns,
                "episodes": use.episodes,
                "worst_worker_id": use.worst,
                "worst_worker_share": round(use.worst_share, 6),
            }
            for use in snapshot.runtimes
        ],
        "pressure": [
            {**asdict(row), "culprit": printable(row.culprit)} for row in snapshot.pressure[:_MOST]
        ],
        "workers": [
            {
                "worker_id": use.worker.worker_id,
                "tid": use.worker.tid,
                "name": printable(use.worker.name),
                **({"runtime": printable(use.worker.runtime)} if use.worker.runtime else {}),
                "alive": use.alive,
                "worker_time_ns": use.time_ns,
                "blocked_ns": use.blocked_ns,
                "split_ns": asdict(use.split),
            }
            for use in snapshot.workers
        ],
        "episodes": sum(1 for bar in bars if bar.blocking),
        "episodes_tick_unknown": snapshot.tick_unknown,
        "episodes_awaited": snapshot.awaited,
        "blocked_ns": snapshot.blocked_ns,
        "worker_time_ns": snapshot.worker_time_ns,
        "waiting_ns": snapshot.waiting_ns,
        "allowed_ns": snapshot.allowed_ns,
        "stopped": snapshot.stopped,
        "stopped_ns": snapshot.stopped_ns,
        "host": {
            **asdict(snapshot.host),
            "children": [
                {"pid": one.pid, "name": printable(one.name), "cpu_ns": one.cpu_ns}
                for one in snapshot.host.children
            ],
        },
        "exact": printable(snapshot.exact),
        "polls": poll_data(snapshot),
        "losses": asdict(snapshot.losses),
        "stacks_total": snapshot.stacks_total,
        "stacks_complete": snapshot.stacks_complete,
        "frames_named": round(snapshot.frames_named, 4),
        "hud_cpu_ns": snapshot.hud_cpu_ns,
        "hud_rss_bytes": snapshot.hud_rss_bytes,
    }


# --------------------------------------------------------------------------- bars that nest


def _bars(analyzer: Analyzer) -> list[_Bar]:
    """Every interval, clipped where two of one thread would cross, by (begin, longest first)."""
    tracks: dict[int, tuple[list[_Bar], list[_Bar]]] = {}
    for episode in analyzer.episodes():
        blocking = episode.cause.blames_code
        bar = _bar(episode, blocking=blocking)
        tracks.setdefault(episode.tid, ([], []))[0 if blocking else 1].append(bar)
    for latency in analyzer.latencies():
        bar = _bar(latency, blocking=False)
        tracks.setdefault(latency.tid, ([], []))[1].append(bar)
    found: list[_Bar] = []
    for blocking_bars, waiting_bars in tracks.values():
        solid = _apart(blocking_bars)
        found += solid
        found += _around(waiting_bars, solid)
    found.sort(key=lambda bar: (bar.begin_ns, -bar.end_ns, bar.of.tid))
    return found


def _bar(of: Episode | Latency, *, blocking: bool) -> _Bar:
    return _Bar(of.start_ns, of.start_ns + max(1, of.duration_ns), of, blocking)


def _apart(bars: list[_Bar]) -> list[_Bar]:
    """Episodes of one thread never overlap; their measured edges may, by an uncertainty."""
    result: list[_Bar] = []
    end = 0
    for bar in sorted(bars, key=lambda bar: (bar.begin_ns, bar.end_ns)):
        begin = max(bar.begin_ns, end)
        end = max(bar.end_ns, begin + 1)
        result.append(bar._replace(begin_ns=begin, end_ns=end))
    return result


def _around(bars: list[_Bar], solid: list[_Bar]) -> list[_Bar]:
    """Waits, cut where they would cross the edge of an episode or of another wait."""
    result: list[_Bar] = []
    begins = [bar.begin_ns for bar in solid]
    ends = [bar.end_ns for bar in solid]
    enclosing: list[int] = []
    for bar in sorted(bars, key=lambda bar: (bar.begin_ns, -bar.end_ns)):
        begin, end = bar.begin_ns, bar.end_ns
        while enclosing and enclosing[-1] <= begin:
            enclosing.pop()
        if enclosing:
            end = min(end, enclosing[-1])
        first = bisect_left(ends, begin + 1)
        if first < len(solid) and begins[first] <= begin:
            end = min(end, ends[first])
        else:
            crossed = bisect_left(begins, end) - 1
            if crossed >= first and ends[crossed] > end:
                end = begins[crossed]
        if end > begin:
            enclosing.append(end)
            result.append(bar._replace(end_ns=end))
    return result


# --------------------------------------------------------------------------- events


def _events(recording: Recording, bars: list[_Bar], facing: Standoff | None) -> Iterator[Event]:
    yield from _metadata(recording, bars)
    faces = _Faces(recording, facing)
    # Ends sort before begins of the same moment, and the inner of two ends first.
    order: list[tuple[int, int, int, int]] = []
    for at, bar in enumerate(bars):
        order.append((bar.begin_ns, 1, -bar.end_ns, at))
        if bar.blocking:
            order.append((bar.end_ns, 0, -bar.begin_ns, at))
    order.sort()
    for _, begins, _, at in order:
        bar = bars[at]
        if not begins:
            yield faces.end(bar)
        elif bar.blocking:
            yield faces.begin(bar)
        else:
            yield faces.wait(bar)


def _metadata(recording: Recording, bars: list[_Bar]) -> Iterator[Event]:
    target = recording.info.target
    yield _named("process_name", target.pid, target.pid, {"name": printable(target.name)})
    threads = dict.fromkeys(sorted(recording.workers, key=_by_worker(recording)))
    threads |= dict.fromkeys(sorted({bar.of.tid for bar in bars}))
    for index, tid in enumerate(threads):
        worker = recording.workers.get(tid)
        name = printable(recording.thread_names.get(tid, ""))
        label = f"W{worker.worker_id} {printable(worker.name)}" if worker else name or f"{tid}"
        yield _named("thread_name", target.pid, tid, {"name": label})
        yield _named("thread_sort_index", target.pid, tid, {"sort_index": index})


def _by_worker(recording: Recording) -> Any:
    return lambda tid: (recording.workers[tid].worker_id, tid)


def _named(kind: str, pid: int, tid: int, args: Event) -> Event:
    return {
        "name": kind,
        "cat": "__metadata",
        "ph": "M",
        "ts": 0,
        "pid": pid,
        "tid": tid,
        "args": args,
    }


class _Face(NamedTuple):
    """What all events with one stack share."""

    blame: Blame
    name: str
    stack: msgspec.Raw
    complete: bool


class _Faces:
    """Events of bars; what depends only on the stack is made once."""

    def __init__(self, recording: Recording, facing: Standoff | None) -> None:
        self._recording = recording
        self._facing = facing
        self._blames = Blames(recording.stacks)
        self._faces: dict[int, _Face] = {}
        self._advices: dict[tuple[Cause, int], str] = {}
        self._pid = recording.info.target.pid
        self._zero_ns = recording.info.start_monotonic_ns
        self._machine = machine_of(recording.info.kernel)

    def begin(self, bar: _Bar) -> Event:
        episode: Any = bar.of
        face = self._face(episode.stack)
        args: Event = {
            "worker_id": episode.worker_id,
            "detection_method": int(episode.method),
            **_split(episode),
        }
        if face.blame.operation:
            args["operation"] = printable(face.blame.operation)
        advice = self._advice(episode)
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
            task_type = self._task_type(episode)
            if task_type:
                args["task_type"] = printable(task_type)
        if episode.behind >= 0:
            args["tasks_behind"] = round(episode.behind, 1)
        if episode.syscall >= 0 and episode.syscall != NO_CALL:
            args["syscall"] = call_name(episode.syscall, self._machine)
        if episode.in_progress:
            args["in_progress"] = True
        if episode.doubts:
            args["maybe_several_polls"] = [
                REASONS[flag] for flag in REASONS if episode.doubts & flag
            ]
        if episode.began_before:
            args["began_before_attach"] = True
        args["begin_uncertainty_us"] = episode.begin_uncertainty_ns / 1000
        args["end_uncertainty_us"] = episode.end_uncertainty_ns / 1000
        args["stack_complete"] = face.complete
        args["stack"] = face.stack
        name = self._name(episode, face)
        return {**self._event(name, BLOCKING, "B", bar.begin_ns, episode.tid), "args": args}

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
        if holder.stack:
            found["stack"] = face.stack
        return found

    def end(self, bar: _Bar) -> Event:
        face = self._face(bar.of.stack)
        name = self._name(bar.of, face)
        return self._event(name, BLOCKING, "E", bar.end_ns, bar.of.tid)

    def wait(self, bar: _Bar) -> Event:
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
            args["stack"] = face.stack
        event = self._event(_NOT_ON_CPU, PRESSURE, "X", bar.begin_ns, one.tid)
        return {**event, "dur": (bar.end_ns - bar.begin_ns) / 1000, "args": args}

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

    def _name(self, episode: Any, face: _Face) -> str:
        """The blocking function; where it was inlined into Tokio's frame, the task's type."""
        return (face.blame.hosted and printable(self._task_type(episode))) or face.name

    def _task_type(self, episode: Episode) -> str:
        recording = self._recording
        vtable = recording.tasks.vtables.get(episode.task_id, episode.vtable)
        return type_name(recording.tasks.kinds.get(vtable), recording.stacks.get(episode.stack))

    def _advice(self, episode: Episode) -> str:
        of = episode.cause, episode.stack
        stack = self._recording.stacks.get(episode.stack)
        waiting = standoff.fix_of(episode, self._facing, stack)
        if waiting:
            return waiting
        if of not in self._advices:
            self._advices[of] = printable(advise_stack(episode.cause, stack).text)
        return self._advices[of]

    def _make(self, key: int) -> _Face:
        import msgspec

        at = self._blames.of(key)
        stack = self._recording.stacks.get(key)
        if stack is None:
            lines = []
        elif stack.frames is None:
            lines = [f"0x{address:x}" for address in stack.addresses]
        else:
            lines = [shown_frame(frame) for frame in stack.frames]
        raw = msgspec.Raw(msgspec.json.encode(lines))
        return _Face(at, printable(at.function), raw, stack is not None and stack.complete)


def shown_frame(frame: Frame) -> str:
    """A frame of ``args.stack``."""
    mark = "~" if frame.inferred else ""
    return f"{mark}{printable(frame_name(frame))} {remark(frame)}".rstrip()


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
