"""Completes a module's unwind table with rules for the code that it leaves out.

Code in an executable section or segment for which no row of the table has a rule is uncovered. Only
what is worth it is read: ordinary files have a few hundred bytes of assembly, musl's libc and
programs built with ``-C force-unwind-tables=no`` all or much of their code.
"""

from __future__ import annotations

import re
import struct
from array import array
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.elf.file import EM_X86_64, SHF_EXECINSTR, SHT_PROGBITS
from hud.symbols.elf.symtab import Symtab
from hud.symbols.facts import UnwindTable
from hud.symbols.unwind.cfi import NONE
from hud.symbols.unwind.derived import rules_of
from hud.symbols.unwind.table import ROW_LIMIT, SPAN_LIMIT, table_of, unwind_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.symbols.elf.file import ElfFile

WORTH_IT = 4096
"""Bytes of uncovered code in a module, at least."""
SHORTEST = 16
"""Bytes of one piece of it, at least; less is padding, or an entry of a PLT."""
READ_LIMIT = 2 << 20
"""Bytes of it that rules are derived for; that takes 1.5 s."""
CALLS_LIMIT = 8 << 20
"""Bytes of other code that are searched for calls into it."""

_CALL = re.compile(rb"\xe8(?=(....))", re.DOTALL)
_I32 = struct.Struct("<i")


def complete_table(elf: ElfFile) -> UnwindTable | None:
    """The unwind table of a module, with rules for code that has no tables as far as they can be
    derived; None without any rule. FormatError as ``unwind_table``."""
    table = unwind_table(elf)
    if elf.machine_id != EM_X86_64 or not elf.loads:
        return table
    if table is None:
        base = min(load.vaddr for load in elf.loads) & ~0xFFF
        table = table_of(base, array("I", (0,)), array("I", (NONE,)), functions=0, skipped=0)
    pieces = list(_uncovered(elf, table))
    if sum(end - start for start, end in pieces) >= WORTH_IT:
        table = _with(table, list(_derived(elf, pieces)))
    return table if table.count > 1 else None


def _code(elf: ElfFile) -> list[tuple[int, int]]:
    """[start, end) of the code; by segment where there are no sections."""
    found = [
        (one.addr, one.addr + one.size)
        for one in elf.sections
        if one.type == SHT_PROGBITS and one.flags & SHF_EXECINSTR
    ]
    return sorted(found) or sorted(elf.code_ranges())


def _uncovered(elf: ElfFile, table: UnwindTable) -> Iterator[tuple[int, int]]:
    """[start, end) of each piece of uncovered code, by address."""
    rows = array("I", table.rows)
    pcs, rules = rows[0::2], rows[1::2]
    starts = [table.base + pc for pc in pcs]
    ends = [*starts[1:], table.base + SPAN_LIMIT]
    code = _code(elf)
    at = 0
    for start, end, rule in zip(starts, ends, rules, strict=True):
        if rule != NONE:
            continue
        while at < len(code) and code[at][1] <= start:
            at += 1
        for low, high in code[at:]:
            if low >= end:
                break
            if min(end, high) - max(start, low) >= SHORTEST:
                yield max(start, low), min(end, high)


def _derived(elf: ElfFile, pieces: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """(vaddr, rule) rows for uncovered code, by address."""
    symtab = Symtab(elf)
    try:
        found = set(symtab.starts())
    except FormatError:
        found = set()
    if symtab.table != ".symtab":
        found |= _called(elf, pieces)
    entries = sorted(found)
    left = READ_LIMIT
    for start, end in pieces:
        left -= end - start
        if left < 0:
            break
        try:
            code = bytes(elf.read(start, end - start))
        except FormatError:
            continue
        low, high = bisect_left(entries, start), bisect_left(entries, end)
        inside = [entry - start for entry in entries[low:high]]
        for offset, rule in zip(*rules_of(code, inside), strict=True):
            yield start + offset, rule


def _called(elf: ElfFile, pieces: list[tuple[int, int]]) -> set[int]:
    """Where functions begin in these pieces, as calls in the rest of the code say."""
    first, last = pieces[0][0], pieces[-1][1]
    found = set()
    left = CALLS_LIMIT
    for start, end in _code(elf):
        size = min(end - start, left)
        left -= size
        try:
            code = bytes(elf.read(start, size))
        except FormatError:
            continue
        for match in _CALL.finditer(code):
            target = start + match.start() + 5 + _I32.unpack(match[1])[0]
            if first <= target < last:
                found.add(target)
    return found


def _with(table: UnwindTable, derived: list[tuple[int, int]]) -> UnwindTable:
    """The table with further rows; where one of its own begins, that counts."""
    rows = array("I", table.rows)
    merged = {vaddr - table.base: rule for vaddr, rule in derived}
    merged.update(
        (pc, rule)
        for pc, rule in zip(rows[0::2], rows[1::2], strict=True)
        if rule != NONE or pc not in merged
    )
    pcs = sorted(merged)
    if len(pcs) > ROW_LIMIT:
        return table
    rules = array("I", [merged[pc] for pc in pcs])
    new = table_of(table.base, array("I", pcs), rules, functions=table.functions, skipped=0)
    return replace(new, unsupported=table.unsupported)
