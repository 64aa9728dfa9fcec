"""How often exact mode may be attached, so that the target loses no more than it is allowed to.

If every poll costs too much, the uprobes are attached in bursts: a short time between long ones
without them.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

TRAP_NS = 700
"""One hit at an instruction that the kernel emulates, without the program; 0.6 us of CPU time were
measured in a virtual machine."""
STEPPED_NS = 9_000
"""The same at an instruction that is stepped over: about 10 us with all."""
PROGRAM_NS = 300
"""One run of a program, where the kernel does not count it."""
SWITCH_NS = 200_000
"""To attach and detach once: the target's code is patched, and its caches start anew."""

NEGLIGIBLE = 0.001
"""Of one CPU: nobody feels that, however idle the target is otherwise."""
BACK = 0.8
"""Of the limit: below it bursts become a whole again."""
LEAST_SHARE = 0.004
"""Bursts that are rarer than that say nothing about a program."""


class Mode(Enum):
    EVERY = "every"
    BURSTS = "bursts"
    OFF = "off"


class Measurement(NamedTuple):
    """One stretch of time with the uprobes attached, and what it cost the target."""

    attached_ns: int
    cost_ns: int
    cpu_ns: int
    """Of the workers, all together."""

    @property
    def overhead(self) -> float:
        """The cost as a share of the CPU time that the workers used, cost included: what a
        saturated target loses.
        """
        return self.cost_ns / max(self.cpu_ns, self.cost_ns, 1)


class Decision(NamedTuple):
    mode: Mode
    pause_ns: int = 0
    """BURSTS: how long to stay detached now."""


def cost_ns(emulated: int, stepped: int, program_ns: float) -> int:
    """What so many hits of each kind cost the target."""
    return round(emulated * (TRAP_NS + program_ns) + stepped * (STEPPED_NS + program_ns))


def decide(measured: Measurement, limit: float, mode: Mode) -> Decision:
    """What follows from the latest measurement; ``limit`` is a share, ``mode`` that of the
    measurement.
    """
    if mode is Mode.OFF:
        return Decision(Mode.OFF)
    bearable = limit * (BACK if mode is Mode.BURSTS else 1.0)
    negligible = measured.cost_ns <= NEGLIGIBLE * measured.attached_ns
    if limit > 0 and (negligible or measured.overhead <= bearable):
        return Decision(Mode.EVERY)
    pause = pause_ns(measured, limit)
    if pause < 0:
        return Decision(Mode.OFF)
    return Decision(Mode.BURSTS, pause)


def pause_ns(measured: Measurement, limit: float) -> int:
    """How long the target must be left alone after this, -1 = bursts would be too rare."""
    allowed_per_ns = limit * max(measured.cpu_ns, measured.cost_ns) / max(1, measured.attached_ns)
    period = (measured.cost_ns + SWITCH_NS) / allowed_per_ns if allowed_per_ns else float("inf")
    if measured.attached_ns < LEAST_SHARE * period:
        return -1
    return max(0, round(period) - measured.attached_ns)
