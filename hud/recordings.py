"""``hud info``, ``hud export`` and ``hud view``: what can be done with a recording.

Terms: what is read into memory once is told again from there, up to ``MOST_HELD`` bytes of file.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from hud.analysis import figures
from hud.deliver import deliver
from hud.export import choose
from hud.export.summary import SEEN, losses_in_words
from hud.export.write import check_writable
from hud.model import Batch, RunInfo
from hud.record.reader import Reader, open_recording
from hud.record.replay import Film, Replay
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hud.record.format import Tale

MOST_HELD = 8 << 20


def info(path: str) -> Iterator[str]:
    """What is in the file, a line each; the whole of it is read."""
    counts: Counter[str] = Counter()
    with closing(open_recording(path)) as source:
        reader = Reader(source)
        run = Replay(_counted(reader.tales(), counts))
        run.advance()
        size = source.seek(0, 2)
    snapshot = run.snapshot()
    about = snapshot.info
    target, found = about.target, about.detection
    whole = reader.lacks or "whole"
    rows = [
        ("file", f"{printable(path)}, {in_bytes(size)}, format {reader.major}.{reader.minor}"),
        ("integrity", f"{whole}{_unread(size - reader.read)}"),
        ("target", f"{target.name} (pid {target.pid}), {target.executable}"),
        ("recorded", f"{_date(about.start_unix_ns)} by hud {about.hud_version} on {about.kernel}"),
        ("length", _length(run, snapshot.elapsed_ns, counts["begins"])),
        ("threshold", figures.long_duration(about.threshold_ns)),
        ("sees", f"{SEEN[found.rung]}: {found.reason}"),
        ("workers", figures.count(len(snapshot.workers))),
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


def export(
    path: str,
    out: str | None,
    form: str,
    say: Callable[[str], None],
    show: Callable[[str], None],
    *,
    verbose: bool = False,
) -> None:
    """What the live run would have written and shown. Without ``out`` only the summary."""
    if out is not None:
        choose(out, form)
        check_writable(out)
    with closing(open_recording(path)) as source:
        reader = Reader(source)
        run = Replay(reader.tales())
        run.advance()
    if reader.lacks:
        say(f"hud: {printable(path)} is incomplete, {reader.lacks}")
    deliver(run.analyzer, run.snapshot(), show, export=out, form=form, verbose=verbose)


def view(
    path: str,
    speed: float,
    at_s: float | None,
    theme: str,
    say: Callable[[str], None],
    show: Callable[[str], None],
) -> None:
    """The screen, at the end of the recording or playing from ``at_s``; else the summary."""
    from hud.tui.terminal import unavailable

    reason = unavailable()
    if reason:
        say(f"hud: no screen, because {reason}: this is the summary")
        export(path, None, "", say, show)
        return
    from hud.player import play

    with closing(open_recording(path)) as source:
        reader = Reader(source)
        held = list(reader.tales()) if os.fstat(source.fileno()).st_size <= MOST_HELD else None
    film = Film(lambda: iter(held) if held is not None else _tales(path))
    play(film, speed, at_s, theme, reader.lacks)


def _tales(path: str) -> Iterator[Tale]:
    with closing(open_recording(path)) as source:
        yield from Reader(source).tales()


def _counted(tales: Iterator[Tale], counts: Counter[str]) -> Iterator[Tale]:
    for tale in tales:
        if isinstance(tale, Batch):
            counts["batches"] += 1
            counts["samples"] += len(tale.samples)
        counts["begins"] += isinstance(tale, RunInfo)
        yield tale


def in_bytes(size: int) -> str:
    """``312 KB``, ``1.2 MB``."""
    if size >= 1_000_000:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e3:.0f} KB" if size >= 1_000 else f"{size} bytes"


def _unread(size: int) -> str:
    return f"; the last {in_bytes(size)} cannot be read" if size > 0 else ""


def _date(unix_ns: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(unix_ns // 1_000_000_000))
    except (OverflowError, ValueError, OSError):
        return "at an unknown time"


def _length(run: Replay, elapsed_ns: int, begins: int) -> str:
    whole = run.now_ns - run.start_ns
    length = figures.long_duration(whole)
    if begins > 1:
        anew = figures.count(begins - 1, "time")
        length += f", begun anew {anew}: the last part is {figures.long_duration(elapsed_ns)}"
    return length


def _found(episodes: int, waits: int) -> str:
    return f"{figures.count(episodes, 'episode')}, {figures.count(waits, 'wait')} for a CPU"


def _holds(run: Replay, counts: Counter[str]) -> str:
    return (
        f"{figures.count(counts['samples'], 'sample')}, "
        f"{figures.count(len(run.recording.stacks), 'stack')}, "
        f"{counts['batches']} batches"
    )
