"""What the terminal sends, by name: keys, the mouse, and sequences that blessed does not complete.

Terms: a *sequence* begins with ESC; CSI is ``ESC [``, OSC is ``ESC ]`` (ECMA-48).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hud.tui.actions import Click

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
_MOUSE = re.compile(r"\x1b\[<(\d{1,4});(\d{1,5});(\d{1,5})([Mm])")
_LEFT_BUTTON, _WHEEL_UP, _WHEEL_DOWN = 0, 64, 65


def _is_final(text: str) -> bool:
    return "\x40" <= text[-1] <= "\x7e" and text != "["


OPENINGS: dict[str, Callable[[str], bool]] = {
    "\x1b[": _is_final,
    "\x1b]": lambda text: text in ("\x07", "\x1b\\"),
}
"""Beginnings of sequences that blessed does not complete, and what ends them: CSI, OSC."""


def pressed(sequence: str) -> str | Click:
    """What a sequence says, in SGR mouse coordinates; empty = nothing that matters here."""
    found = _MOUSE.fullmatch(sequence)
    if found is None:
        return ""
    button, x, y = int(found[1]), int(found[2]), int(found[3])
    if button == _WHEEL_UP:
        return "wheel-up"
    if button == _WHEEL_DOWN:
        return "wheel-down"
    if button == _LEFT_BUTTON and found[4] == "M":
        return Click(x - 1, y - 1)
    return ""


def key_name(text: str, name: str | None) -> str:
    """Our name of a key, by what it sent and by blessed's name; empty = none."""
    if name in _KEYS:
        return _KEYS[name]
    if text in _CONTROLS:
        return _CONTROLS[text]
    return text if len(text) == 1 and text.isprintable() else ""
