"""The summary of a run for people: the verdict, the blockers, what to do about each, what is not
counted, and how sure all of that is.

The *verdict* are the sentences on top, the first of which says it all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis import inlining
from hud.analysis.results import Pressure, Snapshot
from hud.analysis.verdict import badge, living, nothing_else, sentences
from hud.export import todo
from hud.export.blockers import MOST_ROWS, Style, blocker_table
from hud.export.polls import poll_table
from hud.export.sure import how_sure
from hud.export.wrap import NARROWEST, wrapped
from hud.text import printable

if TYPE_CHECKING:
    from typing import BinaryIO

    from hud.analysis.snapshot import Analyzer

WIDTH = 120
"""Columns of a summary that no terminal shows: a file, a pipe."""
_LABEL_WIDTH = 9
_MOST_WORKERS = 8
_MOST_CULPRITS = 3
_MUCH_STOLEN = 0.001
"""Of the time of one CPU: less is not worth a word."""


def write(_analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    """The summary as a file: plain."""
    out.write(text(snapshot).encode("utf-8"))


def text(
    snapshot: Snapshot,
    *,
    color: bool = False,
    width: int | None = None,
    ascii_only: bool = False,
    written: str = "",
    verbose: bool = False,
) -> str:
    """The whole summary, ending in a newline.

    ``width`` is the terminal's, None = there is none. ``written`` names what was exported
    (``trace.json (341 episodes)``). ``verbose`` adds task types, files, raw symbols and code.
    """
    style = Style(max(width or WIDTH, NARROWEST), color, ascii_only)
    sections = [
        wrapped("", title(snapshot), style.width),
        _on_top(snapshot, style),
        wrapped("  ", inlining.advice(snapshot), style.width),
        blocker_table(snapshot, style, verbose=verbose) if snapshot.blockers else [],
        todo.lines(snapshot.blockers[:MOST_ROWS], snapshot, style.width),
        poll_table(snapshot, width=style.width),
        _below("Not counted above", not_counted(snapshot), style.width),
        _below("How sure", evidence(snapshot), style.width) + _written(written),
    ]
    whole = "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"
    return whole.encode("ascii", "backslashreplace").decode("ascii") if ascii_only else whole


def _on_top(snapshot: Snapshot, style: Style) -> list[str]:
    """The badge with the sentence that says it all, and what to do first; then what else."""
    word, (first, *others) = badge(snapshot), verdict(snapshot)
    fix = todo.first(snapshot)
    lines = wrapped("  ", f"{word.value}: {first}" if word else first, style.width)
    lines += [line for said in others for line in wrapped("  ", said, style.width)]
    return [*lines, *wrapped("  ", f"Start here: {fix}.", style.width)] if fix else lines


def _below(title: str, rows: list[tuple[str, str]], width: int) -> list[str]:
    lines = [
        line
        for label, value in rows
        for line in wrapped(f"  {label:<{_LABEL_WIDTH}}" if label else "  ", value, width)
    ]
    return [f"  {title}", *lines] if lines else []


def verdict(snapshot: Snapshot) -> list[str]:
    """How bad it is; where nothing was found, how to look closer."""
    said = sentences(snapshot)
    closer = _closer(snapshot.info.threshold_ns) if nothing_else(snapshot) else ""
    return [*said[:-1], f"{said[-1]} {closer}".rstrip()]


def _closer(threshold_ns: int) -> str:
    """A smaller threshold to try; empty when it is small already."""
    if threshold_ns <= 1_000_000:
        return ""
    return f"Try --threshold {1 if threshold_ns <= 10_000_000 else 5}."


def title(snapshot: Snapshot) -> str:
    """Which run it is, and what counts as a long poll."""
    info = snapshot.info
    parts = [f"{printable(info.target.name)} (pid {info.target.pid})"]
    if info.detection.tokio_versions:
        parts.append("tokio " + ", ".join(map(printable, info.detection.tokio_versions)))
    if snapshot.workers:
        parts.append(figures.count(living(snapshot), "worker"))
    length = figures.long_duration(snapshot.elapsed_ns)
    parts.append(f"watched for {length}")
    if snapshot.span_ns < snapshot.elapsed_ns:
        parts.append(f"figures of the last {figures.long_duration(snapshot.span_ns)}")
    threshold = figures.long_duration(info.threshold_ns)
    chosen = f" (auto: {info.threshold_from})" if info.threshold_from else ""
    return f"{', '.join(parts)}; a long poll is one of {threshold} or more{chosen}"


def not_counted(snapshot: Snapshot) -> list[tuple[str, str]]:
    """(label, sentence): what kept workers that no code is blamed for."""
    rows = [
        ("no CPU", _without_cpu(snapshot)),
        ("stopped", "; ".join(_from_outside(snapshot))),
        ("allowed", _allowed(snapshot)),
        ("before", _before(snapshot)),
    ]
    return [(label, said) for label, said in rows if said]


def _allowed(snapshot: Snapshot) -> str:
    """Time in blocking that is allowed, and how full the pool for it was."""
    parts = []
    if snapshot.allowed_ns:
        time = figures.long_duration(snapshot.allowed_ns)
        parts.append(f"{time} in spawn_blocking and block_in_place, where code may block")
    tasks = snapshot.tasks_read
    if tasks is not None and tasks.pool_busiest > 0:
        busiest, limit = figures.count(tasks.pool_busiest), figures.count(tasks.pool_limit)
        parts.append(f"at most {busiest} of {limit} pool threads busy")
        if tasks.pool_queue > 0 and tasks.pool_threads >= tasks.pool_limit:
            parts.append(f"{figures.count(tasks.pool_queue, 'job')} waiting for one")
    return "; ".join(parts)


def _written(written: str) -> list[str]:
    """On one line, however long: who copies a path wants all of it."""
    return [f"  {'written':<{_LABEL_WIDTH}}{printable(written)}"] if written else []


def evidence(snapshot: Snapshot) -> list[tuple[str, str]]:
    """(label or nothing, sentence): how sure the figures are."""
    info = snapshot.info
    rows = [("", how_sure(snapshot))]
    rows += [("", printable(note)) for note in info.notes]
    rows += [("exact", printable(snapshot.exact)), ("ended", printable(snapshot.ended))]
    return [(label, said) for label, said in rows if said]


def _before(snapshot: Snapshot) -> str:
    """Polls whose length nobody knows."""
    episodes = snapshot.before
    workers = sorted({episode.worker_id for episode in episodes})
    if not workers:
        return ""
    who = ", ".join(f"W{number}" for number in workers[:_MOST_WORKERS])
    who += ", ..." if len(workers) > _MOST_WORKERS else ""
    polls = figures.count(len(episodes), "poll")
    lasting = sum(episode.in_progress for episode in episodes)
    still = f", and {figures.count(lasting)} had not ended" if lasting else ""
    return f"{polls} began before hud attached ({who}): the time until then is not known{still}"


def _from_outside(snapshot: Snapshot) -> list[str]:
    host = snapshot.host
    found = []
    if host.throttled_ns:
        time = figures.long_duration(host.throttled_ns)
        periods = figures.count(host.throttled_periods, "period")
        quota = f" ({printable(host.quota)})" if host.quota else ""
        found.append(f"by a CPU quota for {time} in {periods}{quota}")
    if snapshot.stopped:
        time = figures.long_duration(snapshot.stopped_ns)
        polls = figures.count(snapshot.stopped, "poll")
        found.append(f"{polls} by a signal or a tracer, {time}")
    if host.stolen_ns >= _MUCH_STOLEN * snapshot.elapsed_ns:
        found.append(f"{figures.long_duration(host.stolen_ns)} taken by the hypervisor")
    return found


def _without_cpu(snapshot: Snapshot) -> str:
    waiting = max(snapshot.waiting_ns, snapshot.latency_total_ns)
    if not waiting:
        return ""
    whole = snapshot.worker_time_ns

    def amount(ns: int) -> str:
        return figures.percent(ns / whole) if whole else figures.long_duration(ns)

    shown = snapshot.pressure[:_MOST_CULPRITS]
    parts = [f"{_culprit(row)} {amount(row.total_ns)}" for row in shown]
    rest = waiting - sum(row.total_ns for row in shown)
    if parts and rest > 0:
        least = figures.long_duration(snapshot.info.threshold_ns)
        others = "others and " if len(snapshot.pressure) > len(shown) else ""
        parts.append(f"{others}waits below {least} {amount(rest)}")
    who = f" ({', '.join(parts)})" if parts else ""
    what = "of worker time: " if whole else ""
    return f"{amount(waiting)} {what}workers were ready to run, but had no CPU{who}"


def _culprit(row: Pressure) -> str:
    name = printable(row.culprit) or "nobody known"
    if row.same_process:
        return f"own thread {name}"
    return f"{name} ({row.processes} processes)" if row.processes > 1 else name
