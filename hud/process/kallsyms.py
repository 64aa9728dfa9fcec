"""Names of kernel addresses, from /proc/kallsyms.

Only root sees the addresses there, and only where ``kernel.kptr_restrict`` allows it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate, islice
from operator import itemgetter
from pathlib import Path

MOST_SYMBOLS = 400_000
_CODE = (b"t", b"T", b"w", b"W")
_FAR = 1 << 20
"""No kernel function is that long: an address further on belongs to something without a name."""


@lru_cache(maxsize=1)
def kernel_names() -> KernelNames:
    """Those of the running kernel, read once: that takes some 0.1 s."""
    return KernelNames()


class KernelNames:
    """Functions of the running kernel, as they were when the file was read; some 6 MB.

    A few of a hundred thousand are ever asked for: the lines are kept as they are, by address, and
    are read where a search comes to them.
    """

    def __init__(self, kallsyms: Path = Path("/proc/kallsyms")) -> None:
        self._text = b""
        self._ends = array("I")
        self.reason = ""
        """Why there are none; empty if there are some."""
        try:
            with kallsyms.open("rb") as lines:
                self._read(lines)
            hidden = not self._ends or not self._start(len(self._ends) - 1)
        except (OSError, ValueError) as error:
            self.reason = f"names of kernel functions cannot be read: {error}"
        else:
            if hidden:
                self.reason = "names of kernel functions are hidden (kernel.kptr_restrict)"
        if self.reason:
            self._ends = array("I")

    def _read(self, lines: Iterable[bytes]) -> None:
        """Lines are ``ffffffff81000000 T name`` and, of a module's, ``\\t[module]``; numbers of one
        width need not be read to be sorted."""
        code = list(islice((line for line in lines if line[17:18] in _CODE), MOST_SYMBOLS))
        code.sort(key=itemgetter(slice(16)))
        for line in code[:1] + code[-1:]:
            int(line[:16], 16)  # what is no number is sorted to an end
        self._text = b"".join(code)
        self._ends = array("I", accumulate(map(len, code)))

    def _begin(self, at: int) -> int:
        return self._ends[at - 1] if at else 0

    def _start(self, at: int) -> int:
        begin = self._begin(at)
        return int(self._text[begin : begin + 16], 16)

    def find(self, address: int) -> tuple[str, str]:
        """(function, module) around an address; the kernel itself is module ``kernel``."""
        at = bisect_right(range(len(self._ends)), address, key=self._start) - 1
        if at < 0 or address - self._start(at) > _FAR:
            return "", "kernel"
        text = self._text[self._begin(at) + 19 : self._ends[at] - 1]
        name, _, module = text.decode("ascii", "replace").partition("\t")
        return name, module.strip("[]") or "kernel"
