"""Chrome Trace Event JSON, for Perfetto, chrome://tracing, speedscope and jq.

Format: "Trace Event Format" by Google. One ``B``/``E`` pair per episode, named after the blocking
function; waits for a CPU are ``X`` events, so that counting ``B`` counts blocking only. Events are
sorted by time and nest properly in each thread. The ``E`` repeats name and args because speedscope
finds the frame to end by both, and metadata carries ``ts`` because it once required it.
A stack is written once: ``sf`` names its innermost frame in ``stackFrames``, where each frame names
its caller. The first event with a stack has it as a list too, for viewers that do not read these.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from hud.analysis.verdict import sentences
from hud.export.bars import nested
from hud.export.faces import Faces, StackFrames
from hud.export.polls import poll_data
from hud.export.telling import Telling
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO

    from hud.analysis.recording import Recording
    from hud.analysis.results import Snapshot
    from hud.analysis.snapshot import Analyzer
    from hud.export.bars import Bar
    from hud.export.faces import Event

_FLUSH_EVENTS = 1_000
_MOST = 20
"""Rows of ``otherData.pressure``."""


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    """Write everything that the analyzer held when it gave ``snapshot``."""
    import msgspec

    encode = msgspec.json.Encoder().encode
    bars = nested(analyzer)
    head = {"displayTimeUnit": "ms", "otherData": other_data(snapshot, bars)}
    out.write(encode(head)[:-1] + b',"traceEvents":[')
    separator = b"\n"
    chunk: list[bytes] = []
    frames = StackFrames()
    for event in _events(bars, Faces(Telling(analyzer, snapshot), frames)):
        chunk.append(separator + encode(event))
        separator = b",\n"
        if len(chunk) >= _FLUSH_EVENTS:
            out.write(b"".join(chunk))
            chunk.clear()
    out.write(b"".join(chunk) + b'\n],"stackFrames":' + encode(frames.table) + b"}\n")


def other_data(snapshot: Snapshot, bars: Iterable[Bar]) -> Event:
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
                "split_ns": use.split._asdict(),
            }
            for use in snapshot.workers
        ],
        "episodes": sum(1 for bar in bars if bar.blocking),
        "episodes_tick_unknown": snapshot.tick_unknown,
        "episodes_awaited": snapshot.awaited,
        "blocked_ns": snapshot.blocked_ns,
        "worker_time_ns": snapshot.worker_time_ns,
        "unseen_ns": snapshot.unseen_ns,
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


# --------------------------------------------------------------------------- events


def _events(bars: list[Bar], faces: Faces) -> Iterator[Event]:
    yield from _metadata(faces.recording, bars)
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


def _metadata(recording: Recording, bars: list[Bar]) -> Iterator[Event]:
    target = recording.info.target
    yield named("process_name", target.pid, target.pid, {"name": printable(target.name)})
    threads = dict.fromkeys(sorted(recording.workers, key=_by_worker(recording)))
    threads |= dict.fromkeys(sorted({bar.of.tid for bar in bars}))
    for index, tid in enumerate(threads):
        worker = recording.workers.get(tid)
        name = printable(recording.thread_names.get(tid, ""))
        label = f"W{worker.worker_id} {printable(worker.name)}" if worker else name or f"{tid}"
        yield named("thread_name", target.pid, tid, {"name": label})
        yield named("thread_sort_index", target.pid, tid, {"sort_index": index})


def _by_worker(recording: Recording) -> Any:
    return lambda tid: (recording.workers[tid].worker_id, tid)


def named(kind: str, pid: int, tid: int, args: Event) -> Event:
    return {
        "name": kind,
        "cat": "__metadata",
        "ph": "M",
        "ts": 0,
        "pid": pid,
        "tid": tid,
        "args": args,
    }
