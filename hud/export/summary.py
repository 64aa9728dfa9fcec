"""The summary of a run for people: verdict, table, and what the figures rest on.

The *verdict* are the sentences on top, the first of which says it all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis import inlining
from hud.analysis.episodes import doubts
from hud.analysis.results import Pressure, Snapshot
from hud.analysis.verdict import living, nothing_else, sentences
from hud.export.blockers import blocker_table
from hud.export.polls import poll_table
from hud.export.wrap import wrapped
from hud.model import Losses, Rung
from hud.text import printable

if TYPE_CHECKING:
    from typing import BinaryIO

    from hud.analysis.snapshot import Analyzer

_LABEL_WIDTH = 11
_MOST_WORKERS = 8
_MOST_CULPRITS = 3
_MUCH_STOLEN = 0.001
"""Of the time of one CPU: less is not worth a word."""

_FEW_COMPLETE = 0.95
"""Of the stacks: if fewer are complete it is said why."""

LOSSES: dict[str, str] = {
    "ring_full": "events lost, ring buffer full",
    "stacks_full": "stacks lost, stack map full",
    "stacks_gone": "stacks gone before being read",
    "threads_full": "threads not watched, map full",
    "context_unreadable": "times CONTEXT unreadable",
    "stacks_skipped": "stacks skipped to limit the cost",
    "recording_full": "no longer held one by one, recording full",
    "symbols_late": "stacks without names, resolver late",
    "polls_uncounted": "polls not counted",
    "polls_bare": "polls without any stack",
}
"""What each field of ``Losses`` counts, after its number; the noun comes first."""

SEEN: dict[Rung, str] = {
    Rung.CONTEXT: "polls read from CONTEXT",
    Rung.STACKS: "CPU samples only, workers known by their stacks",
    Rung.NAMES: "CPU samples only, workers known by their names",
    Rung.LATENCY: "no worker known, scheduling delays only",
}


def write(_analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    """The summary as a file: plain, as wide as it needs to be."""
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

    ``width`` is the terminal's, None = no limit (a file, a pipe). ``written`` names what was
    exported (``trace.json (341 episodes)``). ``verbose`` adds raw symbols and code.
    """
    lines = [_title(snapshot), ""]
    for sentence in verdict(snapshot):
        lines += wrapped("  ", sentence, width)
    lines.append("")
    hidden = inlining.advice(snapshot)
    if hidden:
        lines += [*wrapped("  ", hidden, width), ""]
    if snapshot.blockers:
        lines += [*blocker_table(snapshot, color=color, width=width, verbose=verbose), ""]
    polls = poll_table(snapshot, width=width)
    if polls:
        lines += [*polls, ""]
    for label, value in _rest(snapshot, written):
        lines += wrapped(f"  {label:<{_LABEL_WIDTH}}", value, width)
    whole = "\n".join(lines) + "\n"
    if ascii_only:
        return whole.encode("ascii", "backslashreplace").decode("ascii")
    return whole


def verdict(snapshot: Snapshot) -> list[str]:
    """How bad it is; where nothing was found, how to look closer."""
    said = sentences(snapshot)
    closer = _closer(snapshot.info.threshold_ns) if nothing_else(snapshot) else ""
    return [*said[:-1], f"{said[-1]} {closer}".rstrip()]


def losses_in_words(losses: Losses) -> str:
    """``nothing lost``, or each loss with its cause."""
    found = []
    for name, words in LOSSES.items():
        if number := getattr(losses, name):
            noun, _, rest = words.partition(" ")
            found.append(f"{figures.count(number, noun.removesuffix('s'))} {rest}")
    return ", ".join(found) or "nothing lost"


def _closer(threshold_ns: int) -> str:
    """A smaller threshold to try; empty when it is small already."""
    if threshold_ns <= 1_000_000:
        return ""
    return f"--threshold {1 if threshold_ns <= 10_000_000 else 5} looks closer."


def _title(snapshot: Snapshot) -> str:
    info = snapshot.info
    parts = [f"{printable(info.target.name)} (pid {info.target.pid})"]
    if info.detection.tokio_versions:
        parts.append("tokio " + ", ".join(map(printable, info.detection.tokio_versions)))
    if snapshot.workers:
        parts.append(figures.count(living(snapshot), "worker"))
    length = figures.long_duration(snapshot.elapsed_ns)
    if snapshot.span_ns < snapshot.elapsed_ns:
        length = f"last {figures.long_duration(snapshot.span_ns)} of {length}"
    threshold = figures.long_duration(info.threshold_ns)
    chosen = f" (auto: {info.threshold_from})" if info.threshold_from else ""
    parts += [length, f"polls of {threshold} and more{chosen}"]
    return "  ".join(parts)


def _allowed(snapshot: Snapshot) -> str:
    """Time in blocking that is allowed, and how full the pool for it was."""
    parts = []
    if snapshot.allowed_ns:
        time = figures.long_duration(snapshot.allowed_ns)
        parts.append(f"{time} in spawn_blocking and block_in_place")
    tasks = snapshot.tasks_read
    if tasks is not None and tasks.pool_busiest > 0:
        busiest, limit = figures.count(tasks.pool_busiest), figures.count(tasks.pool_limit)
        parts.append(f"at most {busiest} of {limit} pool threads busy")
        if tasks.pool_queue > 0 and tasks.pool_threads >= tasks.pool_limit:
            parts.append(f"{figures.count(tasks.pool_queue, 'job')} waiting for one")
    return "; ".join(parts)


def _rest(snapshot: Snapshot, written: str) -> list[tuple[str, str]]:
    info = snapshot.info
    lines: list[tuple[str, str]] = []
    before = _before(snapshot)
    if before:
        lines.append(("before", before))
    allowed = _allowed(snapshot)
    if allowed:
        lines.append(("allowed", allowed))
    pressure = _pressure(snapshot)
    if pressure:
        lines.append(("pressure", pressure))
    if snapshot.exact:
        lines.append(("exact", printable(snapshot.exact)))
    lines.append(("evidence", _evidence(snapshot)))
    lines += [("note", printable(note)) for note in info.notes]
    if snapshot.ended:
        lines.append(("ended", printable(snapshot.ended)))
    if written:
        lines.append(("written", printable(written)))
    return lines


def _before(snapshot: Snapshot) -> str:
    """Polls whose length nobody knows."""
    episodes = snapshot.before
    workers = sorted({episode.worker_id for episode in episodes})
    if not workers:
        return ""
    who = ", ".join(f"W{number}" for number in workers[:_MOST_WORKERS])
    who += ", ..." if len(workers) > _MOST_WORKERS else ""
    polls = figures.count(len(episodes), "poll")
    longer = "it took" if len(episodes) == 1 else "they took"
    lasting = sum(episode.in_progress for episode in episodes)
    still = f", {lasting} not ended yet" if lasting else ""
    return f"{polls} began before hud attached ({who}), {longer} longer than told{still}"


def _pressure(snapshot: Snapshot) -> str:
    return "; ".join(part for part in (_waiting(snapshot), *_from_outside(snapshot)) if part)


def _from_outside(snapshot: Snapshot) -> list[str]:
    host = snapshot.host
    found = []
    if host.throttled_ns:
        time = figures.long_duration(host.throttled_ns)
        periods = figures.count(host.throttled_periods, "period")
        quota = f" ({printable(host.quota)})" if host.quota else ""
        found.append(f"stopped by a CPU quota for {time} in {periods}{quota}")
    if snapshot.stopped:
        time = figures.long_duration(snapshot.stopped_ns)
        polls = figures.count(snapshot.stopped, "poll")
        found.append(f"{polls} stopped by a signal or a tracer, {time}")
    if host.stolen_ns >= _MUCH_STOLEN * snapshot.elapsed_ns:
        found.append(f"{figures.long_duration(host.stolen_ns)} taken by the hypervisor")
    return found


def _waiting(snapshot: Snapshot) -> str:
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
    what = "of worker time " if whole else ""
    return f"{amount(waiting)} {what}ready but without a CPU{who}"


def _culprit(row: Pressure) -> str:
    name = printable(row.culprit) or "nobody known"
    if row.same_process:
        return f"own thread {name}"
    return f"{name} ({row.processes} processes)" if row.processes > 1 else name


def _evidence(snapshot: Snapshot) -> str:
    rung = snapshot.info.detection.rung
    parts = [SEEN[rung]]
    if rung is not Rung.CONTEXT and snapshot.info.detection.reason:
        parts[0] += f" ({printable(snapshot.info.detection.reason)})"
    if snapshot.stacks_total:
        share = snapshot.stacks_complete / snapshot.stacks_total
        why = f", others: {printable(snapshot.stacks_end)}" if share < _FEW_COMPLETE else ""
        complete = f"{figures.percent(share)} of stacks complete"
        parts.append(complete + (why if snapshot.stacks_end else ""))
    parts += doubts.in_words(snapshot)
    parts.append(losses_in_words(snapshot.losses))
    cost = figures.percent(snapshot.hud_cpu_ns / snapshot.elapsed_ns)
    parts.append(f"hud used {cost} of a core")
    return "; ".join(parts)
