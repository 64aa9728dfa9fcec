"""Disassembles the instructions around one pc, never from the middle of one.

Instructions of x86_64 have no marks where they begin, so that they are read from the start of the
function up to the pc; where that does not arrive at the pc exactly, those before it stay unknown.
Of a caller the pc is the return address, and its instruction is the one before it: the call.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hud.errors import FormatError
from hud.symbols.elf.file import EM_AARCH64, EM_X86_64, PF_X

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hud.symbols.elf.file import ElfFile

AROUND = 16
"""Instructions before the pc's own, and after it."""
READ_LIMIT = 1 << 20
"""Bytes from the start of a function to the pc, at most; that takes 0.2 s."""
LONGEST = 15
"""Bytes of an instruction of x86_64 (Intel SDM volume 2, 2.3.11)."""
CHUNK = 1 << 14
WORD = 4
"""Bytes of every instruction of aarch64."""

Row = tuple[int, int, str]


class Excerpt(NamedTuple):
    """Rows by address; ``at`` is the vaddr of the pc's own instruction, 0 = not known."""

    rows: list[Row]
    at: int
    note: str
    """Why something is missing."""


class _Decoder(Protocol):
    """What is used of ``capstone.Cs``."""

    def disasm_lite(self, code: bytes, offset: int) -> Iterable[tuple[int, int, str, str]]: ...


class Disassembler:
    """Reads the instructions of one file."""

    def __init__(self, elf: ElfFile) -> None:
        """Raises FormatError for a machine that is not known, and where capstone is missing."""
        try:
            import capstone
        except (ImportError, OSError) as why:
            raise FormatError(f"capstone cannot be loaded: {why}") from why
        machines = {
            EM_X86_64: (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
            EM_AARCH64: (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
        }
        if elf.machine_id not in machines:
            raise FormatError(f"{elf.name}: no disassembler for {elf.machine}")
        self._elf = elf
        self._words = elf.machine_id == EM_AARCH64
        self._decoder: _Decoder = capstone.Cs(*machines[elf.machine_id])

    def around(self, pc: int, function: tuple[int, int] | None, *, caller: bool) -> Excerpt:
        """AROUND instructions before and after the one of ``pc``, all of one function.

        ``function``: (start, size) of the one that holds the pc (of a caller: its call), None = not
        known. Raises FormatError where no code is at the pc.
        """
        low, high = self._segment(pc - caller)
        note = ""
        before: list[Row] = []
        start = pc - WORD * (AROUND + caller) if self._words else pc
        if function is not None:
            high = min(high, function[0] + function[1])
            start = max(start, function[0]) if self._words else function[0]
        start = max(start, low)
        if self._words and pc % WORD:
            raise FormatError(f"{self._elf.name}: no instruction begins at {pc:#x}")
        if function is None and not self._words:
            note = "where its function begins is not known"
        elif pc - start > READ_LIMIT:
            note = "too far from the start of its function"
        else:
            before = list(deque(self.rows(start, pc), AROUND + caller))
            if start < pc and (not before or before[-1][1] != pc):
                before, note = [], "the instructions before cannot be told apart"
        after = list(islice(self.rows(pc, min(high, pc + LONGEST * (AROUND + 1))), AROUND + 1))
        if caller:
            return Excerpt(before + after[:AROUND], before[-1][0] if before else 0, note)
        if not after:
            note = note or f"not understood: {bytes(self._elf.read(pc, 1)).hex()} ..."
        return Excerpt(before + after, pc if after else 0, note)

    def rows(self, start: int, end: int) -> Iterator[Row]:
        """The instructions from ``start`` on, up to ``end`` or bytes that are none.

        Raises FormatError where no code is at ``start``.
        """
        at = start
        end = min(end, self._segment(start)[1])
        while at < end:
            begin = at
            data = bytes(self._elf.read(at, min(end - at, CHUNK)))
            for vaddr, size, name, operands in self._decoder.disasm_lite(data, at):
                at = vaddr + size
                yield vaddr, at, f"{name} {operands}".rstrip()
            if at > begin:
                continue
            if not self._words or len(data) < WORD:
                return
            at += WORD
            yield begin, at, f".inst 0x{int.from_bytes(data[:WORD], 'little'):08x}"

    def _segment(self, vaddr: int) -> tuple[int, int]:
        """[start, end) of the executable bytes of the file that hold a vaddr."""
        for load in self._elf.loads:
            if load.flags & PF_X and load.vaddr <= vaddr < load.vaddr + load.filesz:
                return load.vaddr, load.vaddr + load.filesz
        raise FormatError(f"{self._elf.name}: no code at {vaddr:#x}")
