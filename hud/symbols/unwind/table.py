"""Turns a module's whole ``.eh_frame`` into the sorted table that the in-kernel walker reads.

A rule says how to find the CFA (the caller's stack pointer at the call), the return address and the
caller's frame pointer (rbp, x29); a row, from which pc on a rule holds.

The table (all little-endian; ``bpf_src`` mirrors it)
    ``rows``     ``<II`` (pc, rule) each, sorted by pc, pc = vaddr - ``base``. A row holds until the
                 next row's pc. Row 0 has pc 0; the last row has the rule 0.
    ``buckets``  ``<I`` each, ``ceil(span / 256) + 1`` of them, span = the last row's pc + 1:
                 ``buckets[b]`` = index of the last row with pc <= b << 8. The row of a pc below
                 the span is in ``[buckets[pc >> 8], buckets[(pc >> 8) + 1]]`` (both ends in, at
                 most 257 rows, 9 halvings); a pc at or above the span has no rule.

A rule (u32): bits 0-3 kind, bits 4-19 *offset* / 8 (unsigned), bits 20-31 *slot* (unsigned): the
    caller's fp is saved at ``CFA - 8 * slot``; 0 = not saved, the register still holds it.
    =  ===========  ===============================================================================
    0  NONE         no rule: stop
    1  SP           CFA = sp + offset
    2  FP           CFA = fp + offset
    3  END          the return address is undefined: the outermost frame
    4  PLT          CFA = sp + 8 + (8 if (pc & 15) >= N else 0), N in bits 4-19 as it is; slot 0
    5  SIGNAL       a signal frame: all registers are in the ucontext at sp
    6  UNSUPPORTED  a rule outside this table: stop
    8  SP_LR        aarch64: CFA = sp + offset, lr alone saved at ``CFA - 8 * slot``, fp unchanged
    9  SP_DEREF     CFA = *(u64 *)(sp + offset) + 8 (OpenSSL's assembly); slot as usual
    =  ===========  ===============================================================================
    x86_64: the return address is at ``CFA - 8``. aarch64, kinds 1 and 2: slot not 0: the return
    address is at ``CFA - 8 * slot + 8``; slot 0: it is still in lr (innermost frame only).
    Return addresses signed with pointer authentication keep their signature: the walker masks it.

A gap between two functions has a row with rule 0, unless it is padding: shorter than 16 bytes and
up to a 16-aligned function; padding keeps the rule before it, which saves a third of the rows. So
does a short gap before a thread's outermost frame: glibc's clone and clone3 make their system call
in one.

Source: Linux Standard Base 5.0 Core, 10.6 (``.eh_frame``, ``.eh_frame_hdr``).
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from itertools import accumulate
from operator import itemgetter
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.elf.file import EM_X86_64, PT_GNU_EH_FRAME, SHT_NOBITS
from hud.symbols.facts import UnwindTable
from hud.symbols.unwind.cfi import (
    END,
    NONE,
    PADDING,
    REGISTERS,
    UNSUPPORTED,
    Cie,
    EhFrame,
    pointer,
    read_cie,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.symbols.elf.file import ElfFile, Segment

SECTION_LIMIT = 256 << 20
"""Bytes of ``.eh_frame`` that are read at most; a browser of 200 MB has 8 MB."""
SPAN_LIMIT = 1 << 30
"""Functions further than this above the base are left out: it bounds ``buckets``."""
ROW_LIMIT = 4 << 20
"""Rows, and functions, of one module; 32 MB of table."""


_Fde = tuple[int, int, "Cie | None", int, int]
"""pc, size, CIE (None: its rules cannot be understood), where the program begins and ends."""

_OMIT = 0xFF
_CIE_SIZE_LIMIT = 1024
_CIE_LIMIT = 1 << 16
_HEAD = struct.Struct("<IIiI")


def _read_fdes(section: EhFrame, base: int, limit: int) -> tuple[list[_Fde], int]:
    """The FDEs below ``base + SPAN_LIMIT``, by pc, and how many could not be read.

    ``limit``: how many there are at most; 0 = unknown. Where it is known the section's end is not,
    and the first terminator counts.
    """
    data, size, vaddr = section.data, section.size, section.vaddr
    cies: dict[int, Cie | None] = {}
    fdes: list[_Fde] = []
    skipped = 0
    head = _HEAD.unpack_from
    at = 0
    while at + 4 <= size:
        length, delta, begin, count = head(data, at)
        body = at + 8
        end = body - 4 + length
        if length == 0:
            if limit:
                break
            at = end
            continue
        if length < 4 or length >= 0xFFFFFFF0 or end > size:
            skipped += 1
            break
        if delta == 0:  # a CIE: read when an FDE asks for it
            at = end
            continue
        where = at + 4 - delta
        at = end
        if limit and len(fdes) + skipped >= limit:
            break
        if where not in cies and len(cies) < _CIE_LIMIT:
            cies[where] = _find_cie(section, where)
        cie = cies.get(where)
        if cie is None:
            skipped += 1
            continue
        if cie.encoding == 0x1B:
            start = begin + vaddr + body - base
            body += 8
        else:
            try:
                start, body = pointer(section, body, cie.encoding)
                count, body = pointer(section, body, cie.encoding & 15)
            except FormatError:
                skipped += 1
                continue
            start -= base
        if not 0 <= start < SPAN_LIMIT or not 0 < count <= SPAN_LIMIT - start:
            skipped += count != 0
            continue
        if cie.augmented:
            extra = data[body]
            body += 1 + (extra if extra < 128 else end)  # none is 128 bytes long
        fdes.append((start, count, cie if body <= end else None, body, end))
        if len(fdes) > ROW_LIMIT:
            raise FormatError(f"unwind data: more than {ROW_LIMIT} functions")
    fdes.sort(key=itemgetter(0))
    return fdes, skipped


def _find_cie(section: EhFrame, at: int) -> Cie | None:
    if not 0 <= at <= section.size - 9:
        return None
    length, identity, _, _ = _HEAD.unpack_from(section.data, at)
    end = at + 4 + length
    if identity != 0 or length > _CIE_SIZE_LIMIT or end > section.size:
        return None
    try:
        return read_cie(section, at + 8, end)
    except FormatError:
        return None


def _function_rows(data: bytes, fde: _Fde) -> tuple[list[int], list[int]]:
    """One function's rows: pc offsets from its start, u32 rules."""
    _, size, cie, program, end = fde
    if cie is None:
        return [0], [UNSUPPORTED]
    key = data[program:end]
    known = cie.cache.get(key)
    if known is None:
        try:
            offsets, wides = run(data, program, end, cie)
        except FormatError:
            offsets, wides = [0], [UNSUPPORTED]
        rules = cie.rules
        known = offsets, [rules[wide] for wide in wides]
        if len(key) <= 32:
            cie.cache[key] = known
    if known[0][-1] < size:
        return known
    keep = bisect_left(known[0], size)
    return known[0][:keep], known[1][:keep]


def _rows(data: bytes, fdes: Sequence[_Fde]) -> tuple[array[int], array[int]]:
    """The merged rows (pcs, rules) of FDEs that are sorted by pc."""
    pcs, rules = array("I", (0,)), array("I", (NONE,))
    last = NONE
    stop = 0
    for fde in fdes:
        start = fde[0]
        offsets, found = _function_rows(data, fde)
        if start < stop:  # overlapping: the later FDE wins from its start on
            while pcs[-1] >= start and len(pcs) > 1:
                pcs.pop()
                rules.pop()
            last = rules[-1]
        elif (
            start > stop
            and last != NONE
            and (start - stop >= 16 or stop & 15 == 0 or start & 15 != 0)
            and not (start - stop < 16 and found[:1] and found[0] & 15 == END)
        ):
            pcs.append(stop)
            rules.append(NONE)
            last = NONE
        stop = start + fde[1]
        for offset, rule in zip(offsets, found):  # noqa: B905 (strict costs 15 %)
            if rule != last:
                pcs.append(start + offset)
                rules.append(rule)
                last = rule
        if len(pcs) > ROW_LIMIT:
            raise FormatError(f"unwind data: more than {ROW_LIMIT} rows")
    if last != NONE:
        pcs.append(stop)
        rules.append(NONE)
    if pcs[1:2] == array("I", (0,)):  # a function right at the base
        del pcs[0], rules[0]
    return pcs, rules


def _buckets(pcs: array[int]) -> array[int]:
    size = (pcs[-1] + 256) // 256 + 1
    buckets = array("I", bytes(4 * size))
    for row, pc in enumerate(pcs):
        buckets[(pc + 255) >> 8] = row
    return array("I", accumulate(buckets, max))


def build_table(
    eh_frame: bytes, vaddr: int, *, base: int, machine: int = EM_X86_64, fde_limit: int = 0
) -> UnwindTable:
    """The table of an ``.eh_frame`` that is loaded at ``vaddr``.

    ``machine``: EM_X86_64 or EM_AARCH64. ``fde_limit``: see `_read_fdes`. Raises FormatError only
    for another machine and for sizes beyond the limits: what is damaged is left out and counted.
    """
    if machine not in REGISTERS:
        raise FormatError(f"unwind data: no rules for machine {machine}")
    if len(eh_frame) > SECTION_LIMIT:
        raise FormatError(f"unwind data: {len(eh_frame)} bytes are too many")
    section = EhFrame(eh_frame + PADDING, len(eh_frame), vaddr, machine)
    fdes, skipped = _read_fdes(section, base, fde_limit)
    pcs, rules = _rows(section.data, fdes)
    return table_of(base, pcs, rules, functions=len(fdes), skipped=skipped)


def table_of(
    base: int, pcs: array[int], rules: array[int], *, functions: int, skipped: int
) -> UnwindTable:
    """The table of rows by pc, the first at 0, the last one's rule 0. ``skipped``: FDEs that could
    not be read."""
    rows = array("I", bytes(8 * len(pcs)))
    rows[0::2] = pcs
    rows[1::2] = rules
    return UnwindTable(
        base=base,
        rows=rows.tobytes(),
        buckets=_buckets(pcs).tobytes(),
        count=len(pcs),
        functions=functions,
        unsupported=skipped + rules.count(UNSUPPORTED),
    )


def unwind_table(elf: ElfFile) -> UnwindTable | None:
    """The unwind table of a module; None if it has neither ``.eh_frame`` nor ``.eh_frame_hdr``.

    Raises FormatError for another machine, for sizes beyond the limits and where the program
    headers contradict the file.
    """
    if not elf.loads:
        return None
    base = min(load.vaddr for load in elf.loads) & ~0xFFF
    header = elf.segment(PT_GNU_EH_FRAME)
    section = elf.section(".eh_frame")
    if section is not None and section.type != SHT_NOBITS and section.size:
        data = elf.section_data(".eh_frame")
        _check_size(len(data))
        return build_table(bytes(data), section.addr, base=base, machine=elf.machine_id)
    if header is None:
        return None
    vaddr, count = _header(elf, header)
    load = next((s for s in elf.loads if s.vaddr <= vaddr < s.vaddr + s.filesz), None)
    if load is None:
        raise FormatError(f"unwind data: .eh_frame at {vaddr:#x} is not in the file")
    size = load.vaddr + load.filesz - vaddr
    _check_size(size)
    data = elf.read(vaddr, size)
    return build_table(bytes(data), vaddr, base=base, machine=elf.machine_id, fde_limit=count)


def _check_size(size: int) -> None:
    if size > SECTION_LIMIT:
        raise FormatError(f"unwind data: {size} bytes are too many")


def _header(elf: ElfFile, header: Segment) -> tuple[int, int]:
    """``.eh_frame_hdr`` -> (vaddr of ``.eh_frame``, number of FDEs)."""
    size = min(header.filesz, 64)
    data = bytes(elf.read(header.vaddr, size)) + PADDING
    if size < 8 or data[0] != 1:
        raise FormatError("unwind data: an unknown .eh_frame_hdr")
    section = EhFrame(data, size, header.vaddr, elf.machine_id)
    vaddr, at = pointer(section, 4, data[1])
    if data[2] == _OMIT:
        raise FormatError("unwind data: an .eh_frame_hdr without a search table")
    count, _ = pointer(section, at, data[2])
    if not 0 < count <= ROW_LIMIT:
        raise FormatError(f"unwind data: {count} functions in .eh_frame_hdr")
    return vaddr, count
