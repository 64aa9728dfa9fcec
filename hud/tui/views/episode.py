"""One long poll: when, how long, where, why, and what held the other workers up meanwhile."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.blame import blame_of
from hud.analysis.cause import Cause
from hud.analysis.shortnames import shorten
from hud.tui import folding, frames, panel, times
from hud.tui.layout import block
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, clean, name, pad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hud.analysis.results import Blocker, Episode, Latency, Snapshot
    from hud.tui.glyphs import Glyphs
    from hud.tui.state import UiState

_LABEL = 10
_S = 1_000_000_000
CLOCK_FROM_NS = 100 * _S
"""A run of this length and more has its times as on a clock."""
_LOOKED_AT = 2_000
"""Episodes, for the few that are shown."""
_SURE_NS = 1_000
_WORTH_SAYING_NS = 1_000_000


_OTHERS = "around it, on the other workers"


def pane(
    chosen: Episode | None, snapshot: Snapshot, state: UiState, width: int, height: int
) -> list[Line]:
    """Exactly ``height`` lines."""
    glyphs = state.glyphs
    if chosen is None:
        said: Line = (Span("   this worker was not blocked in this time", "label"),)
        return block([panel.rule([("", width)], glyphs), said], width, height, glyphs.ellipsis)
    at = blame_of(chosen.stack, snapshot.stacks)
    wide = width >= panel.BESIDE_FROM
    left = panel.left_of(width) if wide else width
    title = name(at.function, at.inferred, left - 8, glyphs.ellipsis), left
    itself = _itself(chosen, snapshot, left, height - 1, glyphs)
    if not wide:
        room = height - len(itself) - 2
        others = _around(chosen, snapshot, width, room, glyphs)
        below = [panel.rule([(_OTHERS, width)], glyphs), *others] if room > 0 else []
        lines = [panel.rule([title], glyphs), *itself, *below]
        return block(lines, width, height, glyphs.ellipsis)
    right = width - left - 1
    others = _around(chosen, snapshot, right, height - 1, glyphs)
    itself = block(itself, left, height - 1, glyphs.ellipsis)
    lines = [
        panel.rule([title, (_OTHERS, right)], glyphs),
        *panel.beside(itself, others, left, glyphs),
    ]
    return block(lines, width, height, glyphs.ellipsis)


def _around(
    chosen: Episode, snapshot: Snapshot, width: int, most: int, glyphs: Glyphs
) -> list[Line]:
    """Those at the same time are bold."""
    found = times.around(chosen, snapshot, most)
    drawn = rows(found, snapshot, width, glyphs)
    return (
        [
            (Span(line[0].text, "label" if times.apart_ns(one, chosen) else "bold"), *line[1:])
            for one, line in zip(found, drawn, strict=True)
        ]
        if found
        else drawn
    )


def moment(one: Episode | Latency, snapshot: Snapshot) -> str:
    """When it began, from the run's start: ``7.951 s``, in a longer run ``02:14.042``."""
    ns = one.start_ns - snapshot.info.start_monotonic_ns
    if snapshot.elapsed_ns < CLOCK_FROM_NS:
        return f"{ns / _S:.3f} s"
    return f"{figures.clock(ns).removeprefix('00:')}.{ns // 1_000_000 % 1000:03d}"


def latest(snapshot: Snapshot, most: int, wanted: Callable[[Episode], bool]) -> list[Episode]:
    """At most so many of the wanted ones, the latest first, as far as it is worth looking back."""
    seen = islice(reversed(snapshot.timeline), _LOOKED_AT)
    return list(islice(filter(wanted, seen), max(most, 0)))


def of_blocker(blocker: Blocker, snapshot: Snapshot, most: int) -> list[Episode]:
    """Its own, the latest first: those with one of its stacks."""
    stacks = {key for key, _ in blocker.stacks}
    return latest(snapshot, most, lambda one: one.stack in stacks)


def rows(
    episodes: Sequence[Episode],
    snapshot: Snapshot,
    width: int,
    glyphs: Glyphs,
    *,
    worker: bool = True,
    code: bool = True,
) -> list[Line]:
    """A line for each: when, on which worker if that is asked for, why, its own time, how long it
    had no CPU besides, and in which code, else for which task; a word where there is none.
    """
    names = [_code(one, snapshot) if code else _task(one) for one in episodes]
    waits = [_waited(one, glyphs) for one in episodes]
    whys = _widest(one.cause.value for one in episodes) + 1
    waited = _widest(waits) + any(waits)
    times = [moment(one, snapshot).removesuffix(" s") for one in episodes]
    room = width - 9 - _widest(times) - whys - waited - 4 * worker
    short = shorten(names, room, glyphs.ellipsis)
    lines: list[Line] = []
    for one, time, called, wait in zip(episodes, times, short, waits, strict=True):
        lines.append(
            (
                Span(f" {time.rjust(_widest(times))} ", "label"),
                Span(pad(f"W{one.worker_id}", 4) if worker else ""),
                Span(pad(one.cause.value, whys), style(one.cause)),
                Span(f"{figures.duration(own_ns(one)):>5} "),
                Span(pad(wait, waited), "wait"),
                Span(f"{called} {glyphs.ellipsis}" if one.in_progress else called),
            )
        )
    return lines or [(Span("   no long poll", "label"),)]


def _widest(texts: Iterable[str]) -> int:
    return max(map(cells, texts), default=0)


def _code(episode: Episode, snapshot: Snapshot) -> str:
    at = blame_of(episode.stack, snapshot.stacks)
    return ("~" if at.inferred else "") + clean(at.function or "(no name)")


def _task(episode: Episode) -> str:
    """And the file or peer, if one is known."""
    task = f"task {episode.task_id}" if episode.task_id else ""
    return f"{task}  {clean(episode.detail)}".strip() if episode.detail else task


def own_ns(episode: Episode) -> int:
    """What counts of it; of a wait for a CPU, all."""
    return episode.duration_ns if episode.cause is Cause.WAITING else episode.charged_ns


def _waited(episode: Episode, glyphs: Glyphs) -> str:
    if episode.cause is Cause.WAITING or episode.waiting_ns < _WORTH_SAYING_NS:
        return ""
    return f"{glyphs.pattern}{figures.duration(episode.waiting_ns)}"


def style(cause: Cause) -> str:
    """Of the cause's word: a wait for a CPU has no hue."""
    return "wait" if cause is Cause.WAITING else cause_style(cause)


def _itself(
    episode: Episode, snapshot: Snapshot, width: int, height: int, glyphs: Glyphs
) -> list[Line]:
    lines = [
        _labelled("when", (*_cause(episode), Span(_when(episode, snapshot)))),
        *_doubts(episode),
        _labelled("spent", (Span(_spent(episode)),)),
    ]
    at = blame_of(episode.stack, snapshot.stacks)
    if at.operation or at.where:
        inside = f"{clean(at.operation)}  " if at.operation else ""
        lines.append(_labelled("in", (Span(inside), Span(clean(at.where), "label"))))
    if episode.detail:
        lines.append(_labelled("about", (Span(clean(episode.detail)),)))
    if episode.holder is not None:
        holder = episode.holder
        held = f"{clean(holder.role)} {clean(holder.name)} (tid {holder.tid})"
        lines.append(_labelled("held by" if holder.held else "woken by", (Span(held),)))
    if episode.evidence:
        lines.append(_labelled("evidence", (Span(clean(episode.evidence), "label"),)))
    return lines + _stack(episode, snapshot, width, height - len(lines), glyphs)


def _stack(
    episode: Episode, snapshot: Snapshot, width: int, height: int, glyphs: Glyphs
) -> list[Line]:
    """The calls down to the one to blame, and what it called, as far as there is room."""
    stack = snapshot.stacks.get(episode.stack)
    if stack is None or height < 2:
        return []
    found = folding.tree([(episode.stack, 1)], snapshot.stacks, False, glyphs.unicode)
    at = next((at for at, row in enumerate(found) if row.blocking), len(found) - 1)
    first = max(min(at + 2 - height, len(found) - height), 0)
    drawn = frames.lines(found[first : first + height], width - _LABEL, glyphs)
    return [_labelled("" if number else "stack", line) for number, line in enumerate(drawn)]


def _cause(episode: Episode) -> Line:
    return (Span(f"{episode.cause.value}  ", style(episode.cause)),)


def _when(episode: Episode, snapshot: Snapshot) -> str:
    lasted = figures.long_duration(episode.duration_ns)
    task = f", task {episode.task_id}" if episode.task_id else ""
    return f"W{episode.worker_id}, from {moment(episode, snapshot)} on, for {lasted}{task}"


def _doubts(episode: Episode) -> list[Line]:
    """What must be known to read its times."""
    unsure = max(episode.begin_uncertainty_ns, episode.end_uncertainty_ns)
    said = []
    if episode.in_progress:
        said.append("not ended yet")
    if episode.began_before:
        said.append("began before hud attached, so it was longer")
    if unsure >= _SURE_NS:
        said.append(f"known to within {figures.long_duration(unsure)}")
    return [_labelled("", (Span("; ".join(said), "label"),))] if said else []


def _spent(episode: Episode) -> str:
    parts = (
        (episode.on_cpu_ns, "on the CPU"),
        (episode.asleep_ns, "asleep"),
        (episode.waiting_ns, "without a CPU"),
    )
    said = [f"{figures.long_duration(ns)} {what}" for ns, what in parts if ns]
    return ", ".join(said) or "not known how"


def _labelled(label: str, spans: Line) -> Line:
    return (Span(pad(f" {label}", _LABEL), "label"), *spans)
