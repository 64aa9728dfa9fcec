"""Demangles the older symbol names of Rust: ``_ZN3foo3bar17h0123456789abcdefE``.

The last element is a hash, ``h`` and 16 hexadecimal digits; without it the name is C++. Source:
rustc's ``rustc_symbol_mangling::legacy`` (its ``sanitize`` lists the escapes).
"""

from __future__ import annotations

import re

_HEAD = re.compile(r"_{0,2}ZN")
_HASH = re.compile(r"h[0-9a-f]{16}\Z")
_ESCAPE = re.compile(r"\$(\w{1,8})\$|\.\.", re.ASCII)
_ESCAPES = {
    "SP": "@",
    "BP": "*",
    "RF": "&",
    "LT": "<",
    "GT": ">",
    "LP": "(",
    "RP": ")",
    "C": ",",
}
_ELEMENT_LIMIT = 1000


def demangle_legacy(raw: str) -> str | None:
    """The path without its hash; None if this is no such name. ``.llvm.N`` and the like go."""
    head = _HEAD.match(raw)
    if head is None:
        return None
    elements: list[str] = []
    at = head.end()
    while at < len(raw) and raw[at] != "E":
        digits = at
        while digits < len(raw) and digits < at + 5 and raw[digits] in "0123456789":
            digits += 1
        if digits == at or len(elements) > _ELEMENT_LIMIT:
            return None
        at = digits + int(raw[at:digits])
        elements.append(raw[digits:at])
    if at >= len(raw) or (raw[at + 1 : at + 2] not in ("", ".", "@")):
        return None
    if len(elements) < 2 or not _HASH.match(elements.pop()):
        return None
    return "::".join(map(_unescape, elements))


def _unescape(element: str) -> str:
    if element.startswith("_$"):
        element = element[1:]
    return _ESCAPE.sub(_character, element)


def _character(match: re.Match[str]) -> str:
    name = match[1]
    if name is None:
        return "::"
    if name in _ESCAPES:
        return _ESCAPES[name]
    if name[0] == "u":
        try:
            text = chr(int(name[1:], 16))
        except (ValueError, OverflowError):
            return match[0]
        return text if text.isprintable() else match[0]
    return match[0]
