"""Names of kernel addresses, from /proc/kallsyms.

Only root sees the addresses there, and only where ``kernel.kptr_restrict`` allows it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from pathlib import Path

MOST_SYMBOLS = 400_000
_CODE = (b"t", b"T", b"w", b"W")
_FAR = 1 << 20
"""No kernel function is that long: an address further on belongs to something without a name."""


class KernelNames:
    """Functions of the running kernel, as they were when the file was read; some 4 MB."""

    def __init__(self, kallsyms: Path = Path("/proc/kallsyms")) -> None:
        starts: list[int] = []
        names: list[bytes] = []
        self.reason = ""
        """Why there are none; empty if there are some."""
        try:
            with kallsyms.open("rb") as lines:
                for line in lines:
                    fields = line.split(None, 3)
                    if len(fields) < 3 or fields[1] not in _CODE or len(starts) >= MOST_SYMBOLS:
                        continue
                    starts.append(int(fields[0], 16))
                    names.append(fields[2] + (b" " + fields[3].strip() if fields[3:] else b""))
        except (OSError, ValueError) as error:
            self.reason = f"names of kernel functions cannot be read: {error}"
            starts.clear()
        if starts and not any(starts):
            self.reason = "names of kernel functions are hidden (kernel.kptr_restrict)"
            starts.clear()
        order = sorted(range(len(starts)), key=starts.__getitem__)
        self._starts = array("Q", (starts[at] for at in order))
        self._ends = array("I")
        self._text = bytearray()
        for at in order:
            self._text += names[at]
            self._ends.append(len(self._text))

    def find(self, address: int) -> tuple[str, str]:
        """(function, module) around an address; the kernel itself is module ``kernel``."""
        at = bisect_right(self._starts, address) - 1
        if at < 0 or address - self._starts[at] > _FAR:
            return "", "kernel"
        text = self._text[self._ends[at - 1] if at else 0 : self._ends[at]]
        name, _, module = text.decode("ascii", "replace").partition(" ")
        return name, module.strip("[]") or "kernel"
