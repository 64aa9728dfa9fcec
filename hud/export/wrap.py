"""A labelled value on as many lines as it needs."""

from __future__ import annotations

from textwrap import wrap

NARROWEST = 40
"""Columns: a narrower terminal breaks the lines itself."""


def wrapped(label: str, value: str, width: int | None) -> list[str]:
    """The value behind its label, on as many lines as it needs."""
    if width is None:
        return [label + value]
    room = max(width, NARROWEST)
    return wrap(
        value,
        room,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_on_hyphens=False,
    )
