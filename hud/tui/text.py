"""Text that fits in cells: cleaning, cutting and padding.

``clean`` comes first, everything else works on clean text.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from wcwidth import wcswidth, wcwidth

from hud.text import printable

_LONGEST = 1024
"""Characters of a name that are looked at; no line is longer."""


# --------------------------------------------------------------------------- cells


_DISPUTED = (
    (0x1160, 0x11FF),  # conjoining jamo, as the next one
    (0xD7B0, 0xD7FB),
    (0x2630, 0x2637),  # these symbols are wide since Unicode 16
    (0x268A, 0x268F),
    (0x3164, 0x3164),  # Hangul fillers, as the next one
    (0xFFA0, 0xFFA0),
    (0x4DC0, 0x4DFF),
    (0x1D300, 0x1D356),
    (0x1D360, 0x1D376),
    (0x1F1E6, 0x1F1FF),  # regional indicators: two make a flag
    (0x1F3FB, 0x1F3FF),  # skin tones join the emoji before them
)
"""Code points that terminals give different widths, like every spacing mark (Mc)."""
_MOST_MARKS = 2
"""Combining marks kept per character."""


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """``text`` as it may be shown: escaped, and with the same width on every terminal.

    What terminals disagree about is escaped too; variation selectors, marks without a base and
    heaps of marks are left out.
    """
    text = printable(text[:_LONGEST])
    if text.isascii():
        return text
    kept: list[str] = []
    marks = _MOST_MARKS
    for char in text:
        if _is_mark(char):
            marks += 1
            if marks <= _MOST_MARKS and not 0xFE00 <= ord(char) <= 0xFE0F and ord(char) < 0xE0100:
                kept.append(char)
        elif _is_disputed(char):
            marks = _MOST_MARKS
            kept.append(f"\\u{ord(char):04x}")
        else:
            marks = 0
            kept.append(char)
    return "".join(kept)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Me")


def _is_disputed(char: str) -> bool:
    if unicodedata.category(char) == "Mc":
        return True
    return any(first <= ord(char) <= last for first, last in _DISPUTED)


_width = lru_cache(maxsize=4096)(wcwidth)
"""Cells of one character of clean text: marks take none."""


def cells(text: str) -> int:
    """How many cells clean ``text`` takes."""
    return len(text) if text.isascii() else _cells(text)


_cells = lru_cache(maxsize=4096)(wcswidth)


def narrow(text: str) -> bool:
    """Whether each character of clean ``text`` takes one cell."""
    return text.isascii() or _narrow(text)


@lru_cache(maxsize=4096)
def _narrow(text: str) -> bool:
    return all(_width(char) == 1 for char in text)


def cut(text: str, width: int, ellipsis: str = "\u2026") -> str:
    """The beginning of clean ``text`` in at most ``width`` cells."""
    if width <= 0:
        return ""
    if cells(text) <= width:
        return text
    mark = ellipsis[:width]
    return _head(text, width - len(mark)) + mark


def cut_left(text: str, width: int, ellipsis: str = "\u2026") -> str:
    """The end of clean ``text`` in at most ``width`` cells: of a path the part that matters."""
    if width <= 0:
        return ""
    if cells(text) <= width:
        return text
    mark = ellipsis[:width]
    room = width - len(mark)
    if text.isascii():
        return mark + text[len(text) - room :]
    start = len(text)
    for at in range(len(text) - 1, -1, -1):
        room -= _width(text[at])
        if room < 0:
            break
        if _width(text[at]) > 0:  # never start with a mark that has lost its base
            start = at
    return mark + text[start:]


def name(text: str, inferred: bool, width: int, ellipsis: str = "\u2026") -> str:
    """The end of a function's name, cleaned; ``~`` before it where it was inferred, always."""
    mark = "~"[: max(width, 0)] if inferred else ""
    return mark + cut_left(clean(text), width - len(mark), ellipsis)


def _head(text: str, width: int) -> str:
    if text.isascii():
        return text[:width]
    for at, char in enumerate(text):
        width -= _width(char)
        if width < 0:
            return text[:at]
    return text


def pad(text: str, width: int, right: bool = False) -> str:
    """Clean ``text`` filled with blanks to at least ``width`` cells; ``right`` aligned if asked."""
    blanks = " " * (width - cells(text))
    return blanks + text if right else text + blanks


def pieces(sentence: str, width: int) -> list[str]:
    """Clean text in lines of at most ``width`` cells, broken at blanks; a long word stays whole."""
    lines = [""]
    for word in sentence.split(" "):
        if lines[-1] and cells(lines[-1]) + 1 + cells(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines


def worker(number: int) -> str:
    """``W3``; ``gone`` for workers that are no longer distinguished."""
    return f"W{number}" if number >= 0 else "gone"
