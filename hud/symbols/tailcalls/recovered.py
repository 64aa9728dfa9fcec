"""Makes the frames of the functions that tail calls removed from a stack."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.model import Frame
from hud.symbols.facts import Between, Recovered
from hud.symbols.tailcalls.paths import Address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hud.symbols.loaded import Loaded
    from hud.symbols.tailcalls.paths import Step, TailCalls


def between(
    modules: Mapping[int, Loaded],
    tails: TailCalls,
    caller: int,
    call: int,
    inner: int,
    offset: int,
) -> Between:
    """What lies between two frames, as ``hud.resolver.messages.AskTails`` names them."""
    outer, pc = modules[caller].elf().vaddr_of(call), modules[inner].elf().vaddr_of(offset)
    if outer is None or pc is None:
        return Between(offset, offset + 1, [])
    goal = Address(inner, pc)
    steps = tails.between(Address(caller, outer + 1), goal)
    start, size = tails.extent(goal)
    first = offset - (pc - start)
    found = (_recovered(modules[step.module], step) for step in steps)
    return Between(first, first + size, [one for one in found if one is not None])


def _recovered(loaded: Loaded, step: Step) -> Recovered | None:
    at, frames = _described(loaded, step)
    place = loaded.elf().offset_of(at)
    if place is None:
        return None
    marked = (replace(one, recovered=True) for one in frames[1:])
    innermost = replace(frames[0], recovered=True, gap=step.gap)
    return Recovered(step.module, place, (innermost, *marked))


def _described(loaded: Loaded, step: Step) -> tuple[int, tuple[Frame, ...]]:
    """The address that stands for a step, and the calls there: those at its jump, where that is
    one, or all say the same; else the function alone."""
    choices = [loaded.frames(at) for at in step.at]
    if choices and choices[0] and all(_same(choices[0], other) for other in choices):
        return step.at[0], choices[0]
    frames = loaded.frames(step.start)[-1:]
    return step.start, frames or (Frame(0, module=loaded.name, offset=step.start),)


def _same(one: tuple[Frame, ...], other: tuple[Frame, ...]) -> bool:
    return [replace(frame, offset=0) for frame in one] == [
        replace(frame, offset=0) for frame in other
    ]
