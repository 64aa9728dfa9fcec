"""How often exact mode may be attached, so that the target loses no more than it is allowed to.

Terms: a *reading* is one stretch of time with the uprobes attached and what it cost; the *burden*
is that cost as a share of the CPU time that the target's workers used, cost included: what a
saturated target loses. A *burst* is a short time attached between long ones detached.
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
"""Bursts that are rarer than that tell nothing of a program."""


class Mode(Enum):
    EVERY = "every"
    BURSTS = "bursts"
    OFF = "off"


class Reading(NamedTuple):
    attached_ns: int
    cost_ns: int
    cpu_ns: int
    """Of the workers, all together."""

    @property
    def burden(self) -> float:
        return self.cost_ns / max(self.cpu_ns, self.cost_ns, 1)


class Plan(NamedTuple):
    mode: Mode
    pause_ns: int = 0
    """BURSTS: how long to stay detached now."""


def cost_ns(emulated: int, stepped: int, program_ns: float) -> int:
    """What so many hits of each kind cost the target."""
    return round(emulated * (TRAP_NS + program_ns) + stepped * (STEPPED_NS + program_ns))


def decide(reading: Reading, limit: float, mode: Mode) -> Plan:
    """What follows from the latest reading; ``limit`` is a share, ``mode`` that of the reading."""
    if mode is Mode.OFF:
        return Plan(Mode.OFF)
    bearable = limit * (BACK if mode is Mode.BURSTS else 1.0)
    negligible = reading.cost_ns <= NEGLIGIBLE * reading.attached_ns
    if limit > 0 and (negligible or reading.burden <= bearable):
        return Plan(Mode.EVERY)
    pause = pause_ns(reading, limit)
    if pause < 0:
        return Plan(Mode.OFF)
    return Plan(Mode.BURSTS, pause)


def pause_ns(reading: Reading, limit: float) -> int:
    """How long the target must be left alone after this, -1 = bursts would be too rare."""
    allowed_per_ns = limit * max(reading.cpu_ns, reading.cost_ns) / max(1, reading.attached_ns)
    period = (reading.cost_ns + SWITCH_NS) / allowed_per_ns if allowed_per_ns else float("inf")
    if reading.attached_ns < LEAST_SHARE * period:
        return -1
    return max(0, round(period) - reading.attached_ns)
