"""CPU numbers of this machine, as /sys/devices/system/cpu lists them.

Possible CPUs may ever exist (a per-CPU map value has a slot for each), online ones run.
"""

from __future__ import annotations

from pathlib import Path

from hud.errors import FormatError

SYSFS = Path("/sys/devices/system/cpu")
MOST_CPUS = 1 << 16


def parse_list(text: str) -> tuple[int, ...]:
    """``0-3,8`` -> (0, 1, 2, 3, 8); FormatError on anything else or beyond 65536 CPUs."""
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else True)):
            raise FormatError(f"cpu list: {part[:40]!r} is not a range")
        low, high = int(first), int(last) if dash else int(first)
        if not low <= high < MOST_CPUS:
            raise FormatError(f"cpu list: {part[:40]!r} is not a range")
        cpus.extend(range(low, high + 1))
    return tuple(sorted(set(cpus)))


def online(sysfs: Path = SYSFS) -> tuple[int, ...]:
    """Numbers of the online CPUs, ascending."""
    return parse_list((sysfs / "online").read_text())


def possible(sysfs: Path = SYSFS) -> tuple[int, ...]:
    """Numbers of the possible CPUs, ascending."""
    return parse_list((sysfs / "possible").read_text())
