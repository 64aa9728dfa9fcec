"""What is in a recording, a line each."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.verdict import living
from hud.commands.ended import named
from hud.export.sure import SEEN, losses_in_words
from hud.model import Batch, RunInfo
from hud.record.reader import Reader, open_recording
from hud.record.replay import Replay
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.record.format import Entry


def contents(path: str) -> Iterator[str]:
    """What is in the file, a line each; the whole of it is read."""
    counts: Counter[str] = Counter()
    with closing(open_recording(path)) as source, named(path):
        reader = Reader(source)
        run = Replay(_counted(reader.entries(), counts))
        began_ns = run.recording.info.start_unix_ns
        run.advance()
        size = source.seek(0, 2)
    snapshot = run.snapshot()
    about = snapshot.info
    target, found = about.target, about.detection
    whole = reader.lacks or "whole"
    rows = [
        ("file", f"{printable(path)}, {figures.size(size)}, format {reader.major}.{reader.minor}"),
        ("integrity", f"{whole}{_unread(size - reader.read)}"),
        ("target", f"{target.name} (pid {target.pid}), {target.executable}"),
        ("recorded", f"{figures.date(began_ns)} by hud {about.hud_version} on {about.kernel}"),
        ("length", _length(run, snapshot.elapsed_ns, counts["begins"])),
        ("threshold", figures.long_duration(about.threshold_ns)),
        ("sees", f"{SEEN[found.rung]}: {found.reason}"),
        ("workers", _workers(living(snapshot), len(snapshot.workers))),
        ("found", _found(snapshot.episodes, snapshot.latencies)),
        ("holds", _holds(run, counts)),
        ("losses", losses_in_words(snapshot.losses)),
    ]
    if about.window_ns:
        rows.insert(6, ("window", figures.long_duration(about.window_ns)))
    rows += [("note", note) for note in about.notes]
    rows.append(("ended", snapshot.ended))
    for label, value in rows:
        yield f"{label:<10} {printable(value)}"


def _counted(entries: Iterator[Entry], counts: Counter[str]) -> Iterator[Entry]:
    for entry in entries:
        if isinstance(entry, Batch):
            counts["batches"] += 1
            counts["samples"] += len(entry.samples)
        counts["begins"] += isinstance(entry, RunInfo)
        yield entry


def _unread(size: int) -> str:
    return f"; the last {figures.size(size)} cannot be read" if size > 0 else ""


def _length(run: Replay, elapsed_ns: int, begins: int) -> str:
    whole = run.now_ns - run.start_ns
    length = figures.long_duration(whole)
    if begins > 1:
        times = figures.count(begins - 1, "time")
        length += f", restarted {times}: the last part is {figures.long_duration(elapsed_ns)}"
    return length


def _workers(now: int, ever: int) -> str:
    """Those at the end, as in the summary; and all threads that were."""
    ended = f", of {figures.count(ever, 'thread')} that were workers" if ever > now else ""
    return f"{figures.count(now)}{ended}"


def _found(episodes: int, waits: int) -> str:
    return f"{figures.count(episodes, 'episode')}, {figures.count(waits, 'wait')} for a CPU"


def _holds(run: Replay, counts: Counter[str]) -> str:
    return (
        f"{figures.count(counts['samples'], 'sample')}, "
        f"{figures.count(len(run.recording.stacks), 'stack')}, "
        f"{figures.count(counts['batches'])} batches"
    )
