"""Numbers as people read them, the same in the summary, on the screen and in notes: times, shares,
counts and sizes, each for a column (few cells) and for a sentence.
"""

from __future__ import annotations

import time
from math import isfinite

_UNITS = (("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000))
_S = 1_000_000_000
_IN_SECONDS = 99_950_000_000
"""From here on minutes are said."""


def duration(ns: int) -> str:
    """In a column, at most three digits and five cells below 10,000 days: ``620ns``, ``3.1ms``,
    ``92ms``, ``14.2s``, ``2m14s``, ``16.7m``, ``3h02m``, ``12.5h``, ``4.2d``.
    """
    if ns <= 0:
        return f"-{duration(-ns)}" if ns else "0"
    if ns >= _IN_SECONDS:
        return _minutes(round(ns / _S))
    value, unit = _scaled(ns)
    exact = unit != "ns" and value < (99.95 if unit == "s" else 9.95)
    return f"{value:.1f}{unit}" if exact else f"{value:.0f}{unit}"


def _scaled(ns: int) -> tuple[float, str]:
    """In the unit that leaves at most three digits before the point."""
    unit, scale = next((one for one in _UNITS if ns < 999.5 * one[1]), _UNITS[-1])
    return ns / scale, unit


def _minutes(seconds: int) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    if seconds < 600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    if minutes < 59.95:
        return f"{minutes:.1f}m"
    if hours < 9.99:
        return f"{round(minutes) // 60}h{round(minutes) % 60:02d}m"
    if hours < 99.95:
        return f"{hours:.1f}h"
    days = hours / 24
    return f"{days:.1f}d" if days < 99.95 else f"{days:.0f}d"


def long_duration(ns: int) -> str:
    """In a sentence: ``620 ns``, ``3.1 ms``, ``30 s``, ``2 min 14 s``, ``3 h 2 min``."""
    if ns < 0:
        return f"-{long_duration(-ns)}"
    if ns < _IN_SECONDS:
        value, unit = _scaled(ns) if ns else (0.0, "s")
        digits = f"{value:.1f}".removesuffix(".0") if unit == "s" else f"{value:.3g}"
        return f"{digits} {unit}"
    minutes, seconds = divmod(round(ns / _S), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def percent(share: float) -> str:
    """In a sentence: ``31 %``, ``2.1 %``, ``< 0.1 %``; only nothing is ``0 %``, all ``100 %``."""
    value = max(share, 0.0) * 100 if isfinite(share) else 0.0
    if value == 0:
        return "0 %"
    if value < 0.05:
        return "< 0.1 %"
    if 99 < value < 100:
        return f"{min(value, 99.9):.1f} %"
    return f"{value:.1f} %" if value < 9.95 else f"{min(value, 999):.0f} %"


def share(value: float) -> str:
    """In a column, with the digits of ``percent``: ``31%``, ``2.1%``, ``<0.1%``."""
    return percent(value).replace(" ", "")


def count(number: int, noun: str = "") -> str:
    """In a sentence: ``12,204``, ``1 poll``, ``341 polls``."""
    if not noun:
        return f"{number:,}"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def short_count(number: int) -> str:
    """In a column, at most five cells: ``214``, ``1,204``, ``34k``, ``5.6M``."""
    if number < 10_000:
        return f"{number:,}"
    value: float = number
    for unit in ("k", "M", "G"):
        value /= 1000
        if round(value, 1) < 10:
            return f"{value:.1f}{unit}"
        if round(value) < 1000:
            return f"{round(value)}{unit}"
    return "999G"


def size(number: int) -> str:
    """Of bytes: ``312 KB``, ``1.2 MB``."""
    if number >= 1_000_000:
        return f"{number / 1e6:.1f} MB"
    return f"{number / 1e3:.0f} KB" if number >= 1_000 else f"{number} bytes"


def clock(ns: int) -> str:
    """A time of the run: ``00:02:14``."""
    seconds = max(ns, 0) // _S
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def date(unix_ns: int) -> str:
    """``2026-11-30 18:02:14 UTC``."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(unix_ns // _S))
    except (OverflowError, ValueError, OSError):
        return "at an unknown time"
