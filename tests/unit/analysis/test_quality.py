"""How many stacks are complete, and why the others are not."""

from __future__ import annotations

from types import SimpleNamespace

from hud.analysis.quality import Quality
from hud.model import Frame, Kind, Sample, Stack, Where


def _taken(*stacks: Stack) -> Quality:
    known = dict(enumerate(stacks, 1))
    quality = Quality(SimpleNamespace(stacks=known))  # type: ignore[arg-type]
    for key in known:
        quality.take(Sample(0, 0, key, 0, 0, 0, 7, 0, 0, Kind.SLEEP, Where.POLL, 0))
        quality.learn(key)
    return quality


def _stack(stop: str, *modules: str) -> Stack:
    frames = tuple(Frame(0, module=module) for module in modules)
    return Stack((0x55550000,) * len(modules) or (0x7FFF0000,), not stop, stop, frames)


def test_the_usual_end_of_incomplete_stacks() -> None:
    quality = _taken(
        _stack("", "/lib/libc.so.6"),
        _stack("no unwind rule", "/lib/libc.so.6", "/srv/app", ""),
        _stack("no unwind rule", "/lib/libc.so.6", "/srv/app"),
        _stack("unreadable stack memory"),
    )
    assert (quality.taken, quality.complete) == (4, 1)
    assert quality.usual_end() == "no unwind rule in app"
    assert _taken(_stack("", "/srv/app")).usual_end() == ""
    assert _taken(_stack("unreadable stack memory")).usual_end() == "unreadable stack memory"


def test_a_frame_pointer_that_is_none_was_followed_for_want_of_a_rule() -> None:
    frames = Frame(0, module="/srv/app"), Frame(1)
    lost = Stack((0x55550000, 1), False, "code outside every known module", frames)
    assert _taken(lost).usual_end() == "no unwind rule in app"
