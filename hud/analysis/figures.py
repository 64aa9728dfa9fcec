"""Figures as people read them: at most three digits, with their unit."""

from __future__ import annotations

from math import isfinite

_US, _MS, _S = 1_000, 1_000_000, 1_000_000_000


def duration(ns: int) -> str:
    """``310us``, ``3.1ms``, ``92ms``, ``14.2s``, ``2m14s``, ``3h02m``."""
    if ns < 0:
        return "-" + duration(-ns)
    if ns == 0:
        return "0"
    if ns < 999_500:
        return f"{max(1, round(ns / _US))}us"
    if ns < 9_950_000:
        return f"{ns / _MS:.1f}ms"
    if ns < 999_500_000:
        return f"{round(ns / _MS)}ms"
    if ns < 99_950_000_000:
        return f"{ns / _S:.1f}s"
    minutes, seconds = divmod(round(ns / _S), 60)
    if minutes < 60:
        return f"{minutes}m{seconds:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"


def long_duration(ns: int) -> str:
    """In a sentence: ``850 us``, ``3.1 ms``, ``30.0 s``, ``2 min 14 s``, ``3 h 2 min``."""
    if ns < 999_500:
        return f"{round(ns / _US)} us"
    if ns < 999_500_000:
        return f"{ns / _MS:.3g} ms"
    if ns < 99_950_000_000:
        return f"{ns / _S:.1f} s"
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
    """``1,204``, ``1 poll``, ``341 polls``."""
    if not noun:
        return f"{number:,}"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
