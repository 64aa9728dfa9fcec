"""Names that fit a table: generic-heavy or hostile code has names of tens of kilobytes.

What is left out is shown as ``..``: first what stands deep inside ``<>``, then all of it, then the
beginning of the path, for its end says more. The raw symbol keeps everything.
"""

from __future__ import annotations

LONGEST = 240
"""Characters of a readable name."""
_DEPTHS = (3, 2, 1)
_MARK = ".."


def fitting(name: str) -> str:
    """The name, cut to LONGEST characters."""
    if len(name) <= LONGEST:
        return name
    for depth in _DEPTHS:
        short = _flattened(name, depth)
        if len(short) <= LONGEST:
            return short
    tail = short[len(short) - LONGEST + len(_MARK) :]
    _, mark, rest = tail.partition("::")
    return f"{_MARK}{mark}{rest}" if mark and "<" not in tail[: -len(rest)] else _MARK + tail


def _flattened(name: str, deepest: int) -> str:
    """Without what is nested more deeply than that."""
    kept: list[str] = []
    depth = 0
    for at, letter in enumerate(name):
        if letter == ">" and name[at - 1 : at] != "-":
            depth = max(0, depth - 1)
            if depth == deepest - 1:
                kept.append(_MARK if kept and kept[-1] == "<" else "")
        if depth < deepest:
            kept.append(letter)
        if letter == "<":
            depth += 1
    return "".join(kept)
