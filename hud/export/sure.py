"""How sure the figures of a run are: what was seen, what was lost, what hud itself cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.episodes import doubts
from hud.analysis.quality import sees_every_poll
from hud.model import Rung
from hud.text import printable

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.model import Losses

_FEW_COMPLETE = 0.95
"""Of the stacks: if fewer are complete it is said why."""

LOSSES: dict[str, str] = {
    "ring_full": "events lost, ring buffer full",
    "stacks_full": "stacks lost, stack map full",
    "stacks_gone": "stacks gone before being read",
    "threads_full": "threads not watched, map full",
    "context_unreadable": "times CONTEXT unreadable",
    "stacks_skipped": "stacks skipped to limit the cost",
    "recording_full": "entries kept in totals only, recording full",
    "symbols_late": "stacks without names, resolver late",
    "polls_uncounted": "polls not counted",
    "polls_bare": "polls without any stack",
}
"""What each field of ``Losses`` counts, after its number; the noun comes first."""
_ON_PURPOSE = "stacks_skipped"

SEEN: dict[Rung, str] = {
    Rung.CONTEXT: "polls read from CONTEXT",
    Rung.STACKS: "CPU samples only, workers known by their stacks",
    Rung.NAMES: "CPU samples only, workers known by their names",
    Rung.LATENCY: "no worker known, scheduling delays only",
}


def losses_in_words(losses: Losses) -> str:
    """``nothing lost``, or each loss with its cause; what was left out on purpose is none."""
    found = [_loss(name, losses) for name in LOSSES if getattr(losses, name)]
    lost = [name for name in LOSSES if name != _ON_PURPOSE and getattr(losses, name)]
    return ", ".join(found if lost else ["nothing lost", *found])


def _loss(name: str, losses: Losses) -> str:
    noun, _, rest = LOSSES[name].partition(" ")
    return f"{figures.count(getattr(losses, name), noun.removesuffix('s'))} {rest}"


def how_sure(snapshot: Snapshot) -> str:
    """In one sentence."""
    parts = [_seen(snapshot)]
    if snapshot.stacks_total:
        parts.append(_stacks(snapshot))
    parts += doubts.in_words(snapshot)
    if snapshot.unseen_ns:
        unseen, span = map(figures.long_duration, (snapshot.unseen_ns, snapshot.span_ns))
        parts.append(f"hud was held up: {unseen} of {span} not seen, shares are of the rest")
    parts.append(losses_in_words(snapshot.losses))
    cost = figures.percent(snapshot.hud_cpu_ns / snapshot.elapsed_ns)
    return f"{', '.join(parts)}; hud used {cost} of one core"


def _seen(snapshot: Snapshot) -> str:
    detection = snapshot.info.detection
    if detection.rung is Rung.CONTEXT:
        return "every long poll seen" if sees_every_poll(snapshot) else SEEN[Rung.CONTEXT]
    why = f" ({printable(detection.reason)})" if detection.reason else ""
    return SEEN[detection.rung] + why


def _stacks(snapshot: Snapshot) -> str:
    if snapshot.stacks_complete == snapshot.stacks_total:
        return "every stack complete"
    share = snapshot.stacks_complete / snapshot.stacks_total
    complete = f"{figures.percent(share)} of stacks complete"
    if share >= _FEW_COMPLETE or not snapshot.stacks_end:
        return complete
    return f"{complete} (others: {printable(snapshot.stacks_end)})"
