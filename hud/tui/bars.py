"""Figures as lengths and heights: bars, meters in segments, sparks, and the columns of a graph.

All are made of eighths of a cell; on an ASCII terminal of what it has. Something is never drawn as
nothing: the smallest part of a cell stands for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.tui.style import Line, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.tui.glyphs import Glyphs

_NOT_LESS = 1e-9
"""What rounding may leave of nothing."""


def bar(fraction: float, width: int, glyphs: Glyphs) -> str:
    """``fraction`` (0..1) of ``width`` cells; no longer than it is, pad it yourself."""
    steps = len(glyphs.lengths)
    whole, part = divmod(_parts(fraction, width * steps), steps)
    return glyphs.lengths[-1] * whole + (glyphs.lengths[part - 1] if part else "")


def segments(parts: Sequence[tuple[float, str]], width: int, glyphs: Glyphs) -> Line:
    """A meter of ``width`` cells: (fraction, style) one after the other, each in whole cells but
    the last that is seen. Its length is that of their sum.
    """
    whole = bar(sum(fraction for fraction, _ in parts), width, glyphs)
    ends = [
        round(sum(fraction for fraction, _ in parts[: at + 1]) * width) for at in range(len(parts))
    ]
    if parts:
        ends[-1] = len(whole)
    spans: list[Span] = []
    start = 0
    for end, (_, style) in zip(ends, parts, strict=True):
        if text := whole[start:end]:
            spans.append(Span(text, style))
            start += len(text)
    return tuple(spans)


def resampled(values: Sequence[float], width: int) -> list[float]:
    """``values`` in at most ``width`` equal slices, each with its part of the sum."""
    if len(values) <= width:
        return list(values)
    if width <= 0:
        return []
    made = [0.0] * width
    scale = width / len(values)
    for at, value in enumerate(values):
        begin, end = at * scale, (at + 1) * scale
        first, last = int(begin), min(int(end), width - 1)
        if first == last:
            made[first] += value
        else:
            made[first] += value * (last - begin) / scale
            made[last] += value * (end - last) / scale
    return made


def spark(values: Sequence[float], width: int, glyphs: Glyphs) -> str:
    """``values`` over time in at most ``width`` cells, the highest one filled; nothing is blank."""
    found = resampled(values, width)
    top = max(found, default=0)
    steps = len(glyphs.levels) - 1
    return "".join(glyphs.levels[_parts(value / top if top > 0 else 0, steps)] for value in found)


def columns(
    values: Sequence[tuple[float, str]], height: int, top: float, glyphs: Glyphs
) -> list[Line]:
    """A graph of ``height`` lines, a cell for each (value, style); ``top`` fills the height."""
    steps = len(glyphs.levels) - 1
    heights = [_parts(value / top if top > 0 else 0, height * steps) for value, _ in values]
    styles = [style for _, style in values]
    lines = []
    for below in range((height - 1) * steps, -1, -steps):
        drawn = [glyphs.levels[min(max(at - below, 0), steps)] for at in range(height * steps + 1)]
        lines.append(_line([drawn[high] for high in heights], styles))
    return lines


_SCALES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""What may fill a bar or the height of a graph: parts of the time."""


def scale(largest: float) -> float:
    """The round figure that is not below it."""
    return next((top for top in _SCALES if largest <= top), 1.0)


def percent(top: float) -> str:
    """A scale in words: ``30%``."""
    return f"{top * 100:.0f}%"


def _parts(fraction: float, of: int) -> int:
    """That many of ``of`` parts; at least one of something."""
    if not fraction > _NOT_LESS or not of:  # not a number is nothing
        return 0
    return max(round(min(fraction, 1.0) * of), 1)


def _line(chars: Sequence[str], styles: Sequence[str]) -> Line:
    """Cells of one style together; blanks have the style of what is before them."""
    spans: list[Span] = []
    text = now = ""
    for char, style in zip(chars, styles, strict=True):
        if style != now and char != " ":
            if text:
                spans.append(Span(text, now))
            text, now = char, style
        else:
            text += char
    return (*spans, Span(text, now)) if text else ()
