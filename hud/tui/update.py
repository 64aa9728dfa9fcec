"""What a key or a click does: ``update(state, action, snapshot, size)``, pure; what somebody else
has to do then is an effect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from hud.analysis.cause import Cause
from hud.tui import effects, frame, pages, prompt, replay, sorting, times, yank
from hud.tui.actions import Act, Action, Click, Show, Typed
from hud.tui.filters import NO_FILTER
from hud.tui.listing import Group, key_of
from hud.tui.settle import settle
from hud.tui.state import (
    FILTERED,
    LISTS_OF_BLOCKERS,
    PANELS,
    TOP,
    At,
    Line,
    Page,
    Prompt,
    Size,
    UiState,
    first_shown,
)
from hud.tui.views import header, playback, timeline
from hud.tui.views.table import TABS, VIEWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Snapshot


@dataclass(frozen=True, slots=True)
class Yank:
    """Put ``text`` where the user can paste it from: an effect that the screen itself has."""

    text: str


Result = tuple[UiState, effects.Effect | Yank | None]

_WHEEL = 3
"""Lines that one notch of the wheel moves."""


def update(state: UiState, action: Action, snapshot: Snapshot, size: Size) -> Result:
    """The state after ``action``, and what has to be done.

    ``snapshot`` is the live one; where the screen is paused, the kept one counts.
    """
    seen = state.paused or snapshot
    state = replace(state, notice="")
    if isinstance(action, Typed):
        return _type(state, action.text, seen, size), None
    if isinstance(action, Click):
        return _click(state, action, snapshot, size)
    if action in _MOVES:
        return _move(state, _MOVES[action], seen, size), None
    if isinstance(action, Show):
        return replace(state, view=action.view, opened=None), None
    if action in replay.REPLAY:
        return replay.REPLAY[action](state)
    match action:
        case Act.QUIT:
            return state, effects.Quit()
        case Act.RESET | Act.THRESHOLD if not snapshot.live or state.playback is not None:
            return replace(state, notice=_why_not(state, action)), None
        case Act.RESET:
            return replace(state, paused=None), effects.Clear()
        case Act.YANK:
            return _yank(state, seen, size)
        case Act.ACCEPT:
            return prompt.accept(state)
        case _:
            return _change(state, action, seen, snapshot, size), None


def _why_not(state: UiState, act: Action) -> str:
    if state.playback is None:
        return "the run is over"
    if act is Act.THRESHOLD:
        return "a recording has only the polls that were reported when it was made"
    return "a recording keeps what it has; w sets a window, [ and ] move in it"


# --------------------------------------------------------------------------- choices


def _relisted(state: UiState, seen: Snapshot, **changes: Any) -> UiState:
    """Rows in a new order: the view starts at its first row again."""
    changed = replace(state.put("blockers", TOP), **changes)
    top = settle(changed, seen)
    if top.view not in LISTS_OF_BLOCKERS or not top.rows:
        return top
    return replace(top.put("blockers", TOP), selected=key_of(top.rows[0]))


def _filtered(state: UiState, seen: Snapshot, **changes: Any) -> UiState:
    start = replace(state, lists={}, stack_scroll=0)
    return _relisted(start, seen, filter=state.filter._replace(**changes))


def _searched(state: UiState, seen: Snapshot, text: str) -> UiState:
    """In this view; the others stay as they are."""
    made = state.searching_for(text)
    if state.view in LISTS_OF_BLOCKERS:
        return _relisted(state, seen, filter=made.filter)
    if state.view == "stacks":
        return pages.to_match(replace(made, stack_scroll=0), seen, 0)
    return made.put(pages.cursor_of(made), TOP)


def _change(state: UiState, act: Act, seen: Snapshot, live: Snapshot, size: Size) -> UiState:
    match act:
        case Act.OPEN:
            return _open(state, seen)
        case Act.BACK:
            if state.help:
                return replace(state, help=False)
            return replace(state, view=state.opened_from, opened=None)
        case Act.NEXT_VIEW | Act.PREVIOUS_VIEW:
            step = 1 if act is Act.NEXT_VIEW else -1
            return replace(state, view=_beside(state, step), opened=None)
        case Act.SORT:
            columns = sorting.columns(state, seen, size.width)
            return _sorted(state, seen, sorting.following(state, columns)) if columns else state
        case Act.SORT_BY:
            asked = sorting.asked(sorting.columns(state, seen, size.width))
            return replace(state, prompt=Prompt(Line.SORT, asked)) if asked else state
        case Act.GROUP:
            every = list(Group)
            return _relisted(state, seen, group=_after(every, state.group))
        case Act.FILTER_CAUSE:
            causes: list[Cause | None] = [None, *_causes(seen)]
            return _filtered(state, seen, cause=_after(causes, state.filter.cause))
        case Act.FILTER_WORKER:
            numbers: list[int | None] = [None, *(u.worker.worker_id for u in seen.workers)]
            return _filtered(state, seen, worker=_after(numbers, state.filter.worker))
        case Act.SEARCH:
            return replace(_searched(state, seen, ""), searching=True)
        case Act.CANCEL | Act.CLEAR:
            return _clear(state, seen, everything=act is Act.CLEAR)
        case Act.ERASE:
            if state.prompt is not None:
                return replace(state, prompt=prompt.shortened(state.prompt))
            return _searched(state, seen, state.search[:-1])
        case Act.NEXT_MATCH | Act.PREVIOUS_MATCH:
            return pages.to_match(state, seen, 1 if act is Act.NEXT_MATCH else -1)
        case Act.NEXT_PANEL | Act.PREVIOUS_PANEL:
            step = 1 if act is Act.NEXT_PANEL else -1
            return replace(state, panel=_rotated(PANELS, state.panel, step))
        case Act.ZOOM_PANEL:
            return replace(state, zoomed=not state.zoomed)
        case Act.UNFOLD:
            return replace(state, unfold=not state.unfold, stack_scroll=0)
        case Act.CODE:
            return pages.to_code(replace(state, code=not state.code), seen, size.width)
        case Act.THRESHOLD:
            text = f"{seen.info.threshold_ns / 1e6:g}"
            return replace(state, prompt=Prompt(Line.THRESHOLD, text))
        case Act.WINDOW:
            return replace(state, prompt=Prompt(Line.WINDOW, f"{seen.info.window_ns / 1e9:g}"))
        case Act.EXPORT:
            name, text = yank.what(state, seen, frame.compose(seen, state, size))
            return replace(state, prompt=Prompt(Line.EXPORT, name, text))
        case Act.PAUSE:
            if state.paused is None:
                return replace(state, paused=live)
            return settle(replace(state, paused=None), live, held=True)
        case Act.HELP:
            return replace(state, help=True, help_scroll=0)
        case Act.ZOOM_IN | Act.ZOOM_OUT | Act.PAN_LEFT | Act.PAN_RIGHT | Act.LEFT | Act.RIGHT:
            return replace(state, span=times.moved(state, act, seen, size.width))
        case _:
            return state


def _after(values: list[Any], current: Any) -> Any:
    return values[(values.index(current) + 1) % len(values)] if current in values else None


def _causes(seen: Snapshot) -> list[Cause]:
    there = {cause for blocker in seen.blockers for cause, _ in blocker.causes}
    return [cause for cause in Cause if cause in there]


def _clear(state: UiState, seen: Snapshot, everything: bool) -> UiState:
    if state.prompt is not None:
        return replace(state, prompt=None)
    state = replace(state, searching=False)
    if state.search:
        state = _searched(state, seen, "")
    if everything and state.view in FILTERED and state.filter != NO_FILTER:
        return _relisted(state, seen, filter=NO_FILTER)
    return state


def _type(state: UiState, text: str, seen: Snapshot, size: Size) -> UiState:
    if state.prompt is None:
        return _searched(state, seen, (state.search + text)[: prompt.LONGEST])
    if state.prompt.line is not Line.SORT:
        return replace(state, prompt=prompt.typed(state.prompt, text))
    column = sorting.letters(sorting.columns(state, seen, size.width)).get(text.lower())
    state = replace(state, prompt=None)
    return _sorted(state, seen, column) if column else replace(state, notice="no such column")


def _beside(state: UiState, step: int) -> str:
    names = [view.name for view in TABS]
    here = state.view if state.view in names else state.opened_from
    return _rotated(names, here, step)


def _rotated(names: Sequence[str], here: str, step: int) -> str:
    return names[(names.index(here) + step) % len(names)]


def _sorted(state: UiState, seen: Snapshot, column: str) -> UiState:
    changed = sorting.by(state, column)
    return _relisted(changed, seen) if state.view in LISTS_OF_BLOCKERS else changed


def _open(state: UiState, seen: Snapshot) -> UiState:
    of = VIEWS[state.view].open
    if of is None:
        return state
    opened = of(state, seen)
    if opened.only is not None:
        return _filtered(replace(state, view="blockers"), seen, search="", **opened.only)
    if opened.view:
        return replace(state, view=opened.view)
    if opened.blocker is None:
        return replace(state, notice=opened.notice)
    return replace(
        state, view="stacks", opened=opened.blocker, opened_from=state.view, stack_scroll=0
    )


def _yank(state: UiState, seen: Snapshot, size: Size) -> Result:
    _, text = yank.what(state, seen, frame.compose(seen, state, size))
    return state, Yank(text)


# --------------------------------------------------------------------------- moves


class _Step(NamedTuple):
    rows: int
    pages: int = 0

    def moved(self, position: int, page: int, last: int) -> int:
        return max(min(position + self.rows + self.pages * page, last), 0)


_FAR = 1 << 30
_MOVES: dict[Action, _Step] = {
    Act.UP: _Step(-1),
    Act.DOWN: _Step(1),
    Act.WHEEL_UP: _Step(-_WHEEL),
    Act.WHEEL_DOWN: _Step(_WHEEL),
    Act.PAGE_UP: _Step(0, -1),
    Act.PAGE_DOWN: _Step(0, 1),
    Act.HOME: _Step(-_FAR),
    Act.END: _Step(_FAR),
}


def _move(state: UiState, step: _Step, seen: Snapshot, size: Size) -> UiState:
    page = pages.page_of(state, seen, size)
    if state.help:
        moved = step.moved(state.help_scroll, page.shown, page.total - page.shown)
        return replace(state, help_scroll=moved)
    if state.view == "stacks":
        moved = step.moved(state.stack_scroll, page.shown, page.total - page.shown)
        return replace(state, stack_scroll=moved)
    if state.view == "timeline" and abs(step.rows) == _FAR:
        act = Act.HOME if step.rows < 0 else Act.END
        return replace(state, span=times.moved(state, act, seen, size.width))
    at = pages.at(state)
    cursor = step.moved(at.cursor, page.shown, page.total - 1)
    return _put(state, cursor, page, seen)


def _put(state: UiState, cursor: int, page: Page, seen: Snapshot) -> UiState:
    scroll = first_shown(pages.at(state).scroll, cursor, page.shown, page.total)
    changed = state.put(pages.cursor_of(state), At(cursor, scroll))
    if pages.cursor_of(state) == "workers":
        changed = replace(changed, worker=times.tid_of(changed, seen))
    if state.view == "timeline":
        return replace(changed, span=times.beside(changed, state.span, seen))
    if state.view == "overview" and not state.zoomed:
        changed = replace(changed, panel=PANELS[0])
    if state.view in LISTS_OF_BLOCKERS:
        return replace(changed, selected=key_of(state.rows[cursor]) if state.rows else None)
    return changed


# --------------------------------------------------------------------------- the mouse


def _click(state: UiState, click: Click, snapshot: Snapshot, size: Size) -> Result:
    seen = state.paused or snapshot
    if state.help:
        return replace(state, help=False), None
    if click.y == header.TABS_LINE:
        tab = header.tab_at(seen, state, size.width, click.x)
        return (replace(state, view=tab, opened=None) if tab else state), None
    if state.playback is not None and click.y == size.height - 2:
        share = playback.share_at(state, size.width, click.x)
        if share is None:
            return state, None
        return replay.seek(state, round(share * state.playback.length_ns))
    if state.view == "timeline":
        changed = timeline.clicked(state, seen, size, click)
        return changed or state, None
    page = pages.page_of(state, seen, size)
    row = pages.row_at(page, click, size)
    if row == -1:
        return _sort_by(state, pages.column_at(state, seen, size, click.x), seen), None
    at = pages.at(state)
    cursor = first_shown(at.scroll, at.cursor, page.shown, page.total) + row
    if state.view == "stacks" or not 0 <= row < page.shown or cursor >= page.total:
        return state, None
    if cursor == at.cursor:
        return _open(state, seen), None
    return _put(state, cursor, page, seen), None


def _sort_by(state: UiState, column: str, seen: Snapshot) -> UiState:
    column = _SAME_ORDER.get(column, column)
    return _sorted(state, seen, column) if column in VIEWS[state.view].sorts else state


_SAME_ORDER = {"total": "share"}
