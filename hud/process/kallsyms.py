"""Names of kernel addresses, from /proc/kallsyms.

Only root sees the addresses there, and only where ``kernel.kptr_restrict`` allows it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

MOST_SYMBOLS = 400_000
_CODE = (b"t", b"T", b"w", b"W")
_FAR = 1 << 20
"""No kernel function is that long: an address further on belongs to something without a name."""


class KernelNames:
    """Functions of the running kernel, as they were when the file was read; some 4 MB."""

    def __init__(self, kallsyms: Path = Path("/proc/kallsyms")) -> None:
        self._starts = array("Q")
        self._ends = array("I")
        self._text = bytearray()
        self.reason = ""
        """Why there are none; empty if there are some."""
        try:
            with kallsyms.open("rb") as lines:
                self._read(lines)
        except (OSError, ValueError, OverflowError) as error:
            self.reason = f"names of kernel functions cannot be read: {error}"
        else:
            if not any(self._starts):
                self.reason = "names of kernel functions are hidden (kernel.kptr_restrict)"
        if self.reason:
            self._starts = array("Q")
        self._order = array("I", sorted(range(len(self._starts)), key=self._starts.__getitem__))
        self._sorted = array("Q", (self._starts[at] for at in self._order))

    def _read(self, lines: Iterable[bytes]) -> None:
        """Lines are ``ffffffff81000000 T name`` and, of a module's, ``\\t[module]``."""
        for line in lines:
            if line[17:18] in _CODE and len(self._starts) < MOST_SYMBOLS:
                self._starts.append(int(line[:16], 16))
                self._text += line[19:-1]
                self._ends.append(len(self._text))

    def find(self, address: int) -> tuple[str, str]:
        """(function, module) around an address; the kernel itself is module ``kernel``."""
        place = bisect_right(self._sorted, address) - 1
        if place < 0 or address - self._sorted[place] > _FAR:
            return "", "kernel"
        at = self._order[place]
        text = self._text[self._ends[at - 1] if at else 0 : self._ends[at]]
        name, _, module = text.decode("ascii", "replace").partition("\t")
        return name, module.strip("[]") or "kernel"
