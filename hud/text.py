"""Makes text that other programs chose (thread names, command lines, paths) safe to show.

Bytes that are not UTF-8 arrive in it as surrogate escapes (PEP 383). Anyone may import it; it
imports nothing of hud.
"""

from __future__ import annotations

ELLIPSIS = "…"


def printable(text: str) -> str:
    """``text`` on one line and without power over a terminal.

    Control characters, line ends, bidirectional and zero-width marks, lone surrogates and
    unassigned code points become ``\\x1b``, ``\\u202e`` or ``\\U000e0041``; a byte that was not
    UTF-8 becomes ``\\xff``. Everything else, the backslash included, stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


def shortened(text: str, limit: int) -> str:
    """The first ``limit`` characters of ``text``; the last of them is an ellipsis if it was longer.

    ``limit`` is at least 1.
    """
    return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
