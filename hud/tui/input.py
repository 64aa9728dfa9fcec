"""What the terminal sends, by name: keys, the mouse, and what blessed does not complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_KEYS = {
    "KEY_UP": "up",
    "KEY_DOWN": "down",
    "KEY_PGUP": "pgup",
    "KEY_PGDOWN": "pgdn",
    "KEY_HOME": "home",
    "KEY_END": "end",
    "KEY_ENTER": "enter",
    "KEY_ESCAPE": "esc",
    "KEY_EXIT": "esc",
    "KEY_LEFT": "left",
    "KEY_RIGHT": "right",
    "KEY_TAB": "tab",
    "KEY_BTAB": "backtab",
    "KEY_SHIFT_TAB": "backtab",
    "KEY_BACKSPACE": "backspace",
    "KEY_DELETE": "delete",
    "MOUSE_SCROLL_UP": "wheel-up",
    "MOUSE_SCROLL_DOWN": "wheel-down",
}
_CONTROLS = {
    " ": "space",
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x03": "ctrl-c",
    "\x02": "ctrl-b",
    "\x06": "ctrl-f",
}

CLICK = "MOUSE_LEFT"
"""blessed's name of a press of the left button."""


def _is_final(text: str) -> bool:
    return "\x40" <= text[-1] <= "\x7e" and text != "["


OPENINGS: dict[str, Callable[[str], bool]] = {
    "\x1b[": _is_final,
    "\x1b]": lambda text: text in ("\x07", "\x1b\\"),
}
"""Beginnings of sequences that blessed does not complete, and what ends them: CSI (``ESC [``)
and OSC (``ESC ]``) of ECMA-48.
"""


def key_name(text: str, name: str | None) -> str:
    """Our name of a key, by what it sent and by blessed's name; empty = none."""
    if name in _KEYS:
        return _KEYS[name]
    if text in _CONTROLS:
        return _CONTROLS[text]
    return text if len(text) == 1 and text.isprintable() else ""
