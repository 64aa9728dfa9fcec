"""The timeline: one worker per line or two, one cell per slice of time, lettered by cause."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis import blame
from hud.analysis.cause import Cause
from hud.tui import listing, times
from hud.tui.filters import NO_FILTER
from hud.tui.layout import block, clip
from hud.tui.state import HEADER_HEIGHT, At, Opened, Page, body_height, first_shown
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, clean, name, pad
from hud.tui.views import workers

if TYPE_CHECKING:
    from hud.analysis.results import Episode, Snapshot
    from hud.tui.actions import Click
    from hud.tui.glyphs import Glyphs
    from hud.tui.state import Size, UiState

_STYLES = {cause: cause_style(cause) for cause in Cause}
_BLANK, _NOTHING = ("", " "), ("dim", ".")
_PANE = 7
_TICK = 20
"""Columns from one time to the next."""

Cell = tuple[Cause, float, bool, bool]
"""Cause of most of it, how much of the cell is blocked, whether the selected blocker or the cursor
is in it."""


def shape(number: int, body: int) -> tuple[int, int]:
    """How many of ``number`` workers are shown, and with how many lines each."""
    room = max(body - 2 - _pane(body), 1)
    if room >= 2 * number:
        return min(room // 2, number) or 1, 2
    return room, 1


def page(snapshot: Snapshot, _: UiState, __: int, height: int) -> Page:
    """The workers below the axis."""
    total = len(snapshot.workers)
    return Page(shape(total, height)[0], total, 1)


def opened(state: UiState, snapshot: Snapshot) -> Opened:
    """The blocker of the episode under the cursor."""
    episode = times.chosen(state, snapshot)
    if episode is None:
        return Opened()
    blocker = times.blocker_of(episode, snapshot)
    waited = episode.cause is Cause.WAITING
    why = "it waited for a CPU: see Pressure (5)" if waited else "its blocker is forgotten"
    return Opened(blocker, notice="" if blocker else f"no stacks to open: {why}")


def _pane(body: int) -> int:
    return 0 if body < 13 else _PANE


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Times, workers, what the letters mean, and the episode under the cursor."""
    mark = state.glyphs.ellipsis
    shown = times.shown(state.span, snapshot, width)
    rows, lines_each = shape(len(snapshot.workers), height)
    uses = workers.listed(state, snapshot)
    position = state.at("workers")
    top = first_shown(position.scroll, position.cursor, rows, len(uses))
    episode = times.chosen(state, snapshot)
    found = _cells(snapshot, state, shown, episode)
    past = (snapshot.now_ns - shown.start_ns) // shown.cell_ns + 1
    lines: list[Line] = [_axis(snapshot, shown)]
    for at, use in enumerate(uses[top : top + rows], start=top):
        here = at == position.cursor
        row = found.get(use.worker.tid, {})
        label = pad(f"W{use.worker.worker_id}", times.MARGIN - 2)
        marker = Span(f" {'>' if here else ' '}{label}", "bold" if here else "")
        if lines_each == 2 and state.glyphs.unicode:
            lines.append((Span(" " * times.MARGIN), *_heights(row, shown, state.glyphs)))
        elif lines_each == 2:
            lines.append(())
        lines.append((marker, *_letters(row, shown, past)))
    if not uses:
        lines += [(), (Span("   no worker so far", "dim"),)]
    lines = block(lines, width, height - 1 - _pane(height), mark)
    lines.append(clip(_legend(found, snapshot), width, mark))
    if _pane(height):
        lines += _details(snapshot, state, episode, width)
    return block(lines, width, height, mark)


def _axis(snapshot: Snapshot, shown: times.Shown) -> Line:
    begin = snapshot.info.start_monotonic_ns
    text = " " * times.MARGIN
    for column in range(0, shown.columns, _TICK):
        at_ns = shown.start_ns + column * shown.cell_ns - begin
        moment = f"|{_moment(at_ns, shown.cell_ns)}"
        if column + len(moment) <= shown.columns:
            text += pad(moment, _TICK)
    return (Span(text[: times.MARGIN + shown.columns], "dim"),)


def _moment(ns: int, cell_ns: int) -> str:
    text = figures.clock(ns).removeprefix("00:")
    return text if cell_ns >= 100_000_000 else f"{text}.{ns // 1_000_000 % 1000:03d}"


def _cells(
    snapshot: Snapshot, state: UiState, shown: times.Shown, chosen: Episode | None
) -> dict[int, dict[int, Cell]]:
    """By thread and column."""
    cell_ns, start, end = shown.cell_ns, shown.start_ns, shown.end_ns
    rows: dict[int, dict[int, dict[Cause, int]]] = {}
    marked: set[tuple[int, int]] = set()
    under: set[tuple[int, int]] = set()
    keys = _selected_stacks(state)
    for episode in times.within(shown, snapshot):
        first_ns, last_ns = episode.start_ns, episode.start_ns + episode.duration_ns
        row = rows.setdefault(episode.tid, {})
        first = max((first_ns - start) // cell_ns, 0)
        last = min((last_ns - 1 - start) // cell_ns, shown.columns - 1)
        selected = (episode.stack, episode.cause) in keys
        if first == last and not selected and episode is not chosen:
            part = min(last_ns, end) - max(first_ns, start)
            sums = row.setdefault(first, {})
            sums[episode.cause] = sums.get(episode.cause, 0) + part
            continue
        for column in range(first, last + 1):
            at_ns = start + column * cell_ns
            part = min(last_ns, at_ns + cell_ns) - max(first_ns, at_ns)
            sums = row.setdefault(column, {})
            sums[episode.cause] = sums.get(episode.cause, 0) + part
            if selected:
                marked.add((episode.tid, column))
            if episode is chosen:
                under.add((episode.tid, column))
    return {
        tid: {
            column: (
                max(sums, key=lambda cause: sums[cause]),
                sum(sums.values()) / cell_ns,
                (tid, column) in marked,
                (tid, column) in under,
            )
            for column, sums in row.items()
        }
        for tid, row in rows.items()
    }


def _selected_stacks(state: UiState) -> set[tuple[int, Cause]]:
    """What the selected blocker's episodes are known by; with a search, those of all it finds."""
    rows = state.rows[state.cursor : state.cursor + 1]
    if state.search:
        rows = listing.matching(state.rows, state.search)
    if state.search or state.cursor or state.filter != NO_FILTER:
        return {(key, cause) for row in rows for key, _ in row.stacks for cause, _ in row.causes}
    return set()


def _heights(row: dict[int, Cell], shown: times.Shown, glyphs: Glyphs) -> Line:
    steps = glyphs.ramp[1:]
    cells = [_BLANK] * shown.columns
    for column, (cause, share, _, _) in row.items():
        level = min(int(share * len(steps)), len(steps) - 1)
        cells[column] = (_STYLES[cause], steps[level])
    return _joined(cells)


def _letters(row: dict[int, Cell], shown: times.Shown, past: int) -> Line:
    cells = [_NOTHING if column < past else _BLANK for column in range(shown.columns)]
    for column, (cause, _, selected, under) in row.items():
        emphasis = "reverse " if selected else ""
        cells[column] = ("warn" if under else emphasis + _STYLES[cause], cause.letter)
    return _joined(cells)


def _joined(cells: list[tuple[str, str]]) -> Line:
    return tuple(
        Span("".join(char for _, char in group), style)
        for style, group in groupby(cells, key=itemgetter(0))
    )


def _legend(cells: dict[int, dict[int, Cell]], snapshot: Snapshot) -> Line:
    there = {cell[0] for row in cells.values() for cell in row.values()}
    spans = [Span("   ")]
    for cause in Cause:
        if cause in there:
            spans += [Span(cause.letter, cause_style(cause)), Span(f" {cause.value}  ", "dim")]
    if not there:
        spans.append(Span("no episode in this part of the run", "dim"))
    held = len(snapshot.timeline)
    if held < snapshot.episodes:
        spans.append(
            Span(
                f"the latest {figures.count(held)} of {figures.count(snapshot.episodes)} episodes",
                "dim",
            )
        )
    return tuple(spans)


# --------------------------------------------------------------------------- the episode


def _details(snapshot: Snapshot, state: UiState, episode: Episode | None, width: int) -> list[Line]:
    glyphs = state.glyphs
    if episode is None:
        return block([(Span(glyphs.rule * width, "dim"),)], width, _PANE, glyphs.ellipsis)
    at = blame.blame(snapshot.stacks.get(episode.stack))
    title = f"{glyphs.rule * 2} "
    function = name(at.function, at.inferred, max(width - 14, 8), glyphs.ellipsis)
    rule = glyphs.rule * max(width - cells(title) - cells(function) - 1, 0)
    lines: list[Line] = [
        (Span(title, "dim"), Span(function, "title"), Span(f" {rule}", "dim")),
        _when(snapshot, episode),
        _labelled("spent", (Span(_spent(episode)),)),
    ]
    if at.operation or at.where:
        inside = f" in {clean(at.operation)}" if at.operation else ""
        lines.append(_labelled("at", (Span(f"{clean(at.where)}{inside}".strip()),)))
    if episode.detail:
        lines.append(_labelled("about", (Span(clean(episode.detail)),)))
    if episode.holder is not None:
        holder = episode.holder
        held = f"{clean(holder.role)} {clean(holder.name)} (tid {holder.tid})"
        lines.append(_labelled("holder", (Span(held),)))
    if episode.evidence:
        lines.append(_labelled("evidence", (Span(clean(episode.evidence), "dim"),)))
    return block(lines, width, _PANE, glyphs.ellipsis)


def _when(snapshot: Snapshot, episode: Episode) -> Line:
    since = episode.start_ns - snapshot.info.start_monotonic_ns
    unsure = max(episode.begin_uncertainty_ns, episode.end_uncertainty_ns)
    lasted = figures.long_duration(episode.duration_ns)
    said = f"W{episode.worker_id}  at {_moment(since, 1)}  for {lasted}"
    if episode.began_before:
        said += " at least: it began before hud attached"
    if unsure >= 1_000:
        said += f" (give or take {figures.long_duration(unsure)})"
    if episode.in_progress:
        said += ", not ended yet"
    said += f"  task {episode.task_id}" if episode.task_id else ""
    cause = Span(f"  {episode.cause.value}", cause_style(episode.cause))
    return _labelled("when", (Span(said), cause))


def _spent(episode: Episode) -> str:
    parts = (
        ("on the CPU", episode.on_cpu_ns),
        ("asleep", episode.asleep_ns),
        ("waiting for a CPU", episode.waiting_ns),
    )
    return (
        ", ".join(f"{figures.long_duration(ns)} {what}" for what, ns in parts if ns)
        or "not known how"
    )


def _labelled(label: str, spans: Line) -> Line:
    return (Span(pad(f"   {label}", 12), "dim"), *spans)


# --------------------------------------------------------------------------- the mouse


def clicked(state: UiState, snapshot: Snapshot, size: Size, click: Click) -> UiState | None:
    """The worker and the episode at a cell; None = nothing is there."""
    total = len(snapshot.workers)
    rows, lines = shape(total, body_height(size, state))
    row = (click.y - HEADER_HEIGHT - 1) // lines
    at = state.at("workers")
    cursor = first_shown(at.scroll, at.cursor, rows, total) + row
    if click.y <= HEADER_HEIGHT or not row < rows or cursor >= total:
        return None
    now = times.shown(state.span, snapshot, size.width)
    time_ns = now.start_ns + (click.x - times.MARGIN) * now.cell_ns
    changed = state.put("workers", At(cursor, at.scroll))
    near = [
        episode
        for episode in times.of_worker(changed, snapshot)
        if episode.start_ns < time_ns + now.cell_ns
        and episode.start_ns + episode.duration_ns > time_ns
    ]
    if not near:
        return changed
    longest = max(near, key=lambda episode: episode.duration_ns)
    return replace(changed, span=state.span._replace(episode=times.key_of(longest)))
