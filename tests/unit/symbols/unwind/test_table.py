"""The unwind table: hand-made call-frame programs, the search contract, hostile bytes."""

from __future__ import annotations

import bisect
import itertools
import re
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.elf.file import EM_AARCH64, EM_X86_64, PT_GNU_EH_FRAME, ElfFile
from hud.symbols.unwind import cfi
from hud.symbols.unwind import table as unwind

VADDR = 0x2000
X86_START = b"\x0c\x07\x08\x90\x01"  # def_cfa rsp+8; rip at CFA-8
ARM_START = b"\x0c\x1f\x00"  # def_cfa sp+0
PLT_EXPRESSION = b"\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"


def _entry(body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<I", len(body)) + body


def _cie(program: bytes, *, augmentation: bytes = b"zR", ra: int = 16, code: int = 1) -> bytes:
    data = b"\x1b" if b"R" in augmentation else b""
    head = b"\x01" + augmentation + b"\0" + bytes([code, 0x78, ra])
    return _entry(b"\0\0\0\0" + head + bytes([len(data)]) + data + program)


def _section(
    *functions: tuple[int, int, bytes], cie: bytes = b"", start: bytes = X86_START
) -> bytes:
    """An .eh_frame at VADDR whose functions are (vaddr, size, program)."""
    out = cie or _cie(start)
    for vaddr, size, program in functions:
        at = len(out)
        begin = vaddr - (VADDR + at + 8)
        out += _entry(struct.pack("<IiI", at + 4, begin, size) + b"\0" + program)
    return out + bytes(4)


def _rule(kind: int, offset: int = 0, slot: int = 0) -> int:
    return kind | offset // 8 << 4 | slot << 20


def _rows(table: unwind.UnwindTable) -> list[tuple[int, int]]:
    return list(struct.iter_unpack("<II", table.rows))


def _lookup(table: unwind.UnwindTable, pc: int) -> int:
    """As the kernel does it: a bucket, then at most 9 halvings."""
    rows = _rows(table)
    buckets = [b for (b,) in struct.iter_unpack("<I", table.buckets)]
    if pc >> 8 >= len(buckets) - 1:
        return unwind.NONE
    low, high = buckets[pc >> 8], buckets[(pc >> 8) + 1]
    for _ in range(9):
        if low == high:
            break
        middle = (low + high + 1) >> 1
        if rows[middle][0] <= pc:
            low = middle
        else:
            high = middle - 1
    assert low == high
    return rows[low][1]


def _table(section: bytes, *, base: int = 0x1000, machine: int = EM_X86_64) -> unwind.UnwindTable:
    return unwind.build_table(section, VADDR, base=base, machine=machine)


def test_an_ordinary_function_follows_push_and_pop() -> None:
    program = (
        b"\x41\x0e\x10\x86\x02"  # push rbp
        b"\x43\x0d\x06"  # mov rbp, rsp
        b"\x02\x50\x0a\x0c\x07\x08"  # leave; remember_state
        b"\x41\x0b"  # ret; restore_state
    )
    table = _table(_section((0x1100, 0x100, program)))
    assert _rows(table) == [
        (0, 0),
        (0x100, _rule(cfi.SP, 8)),
        (0x101, _rule(cfi.SP, 16, 2)),
        (0x104, _rule(cfi.FP, 16, 2)),
        (0x154, _rule(cfi.SP, 8, 2)),
        (0x155, _rule(cfi.FP, 16, 2)),
        (0x200, 0),
    ]
    assert (table.base, table.count, table.functions, table.unsupported) == (0x1000, 7, 1, 0)


@pytest.mark.parametrize(
    ("program", "rule"),
    [
        (b"\x07\x10", _rule(cfi.END)),
        (b"\x0f\x0b" + PLT_EXPRESSION, cfi.PLT | 11 << 4),
        (b"\x0f\x0b" + PLT_EXPRESSION.replace(b"\x3b", b"\x3a"), cfi.PLT | 10 << 4),
        (b"\x0f\x06\x77\xc8\x00\x06\x23\x08\x86\x02", _rule(cfi.SP_DEREF, 72, 2)),
        (b"\x0f\x02\x77\x08", cfi.UNSUPPORTED),
        (b"\x0f\x0b" + PLT_EXPRESSION + b"\x0c\x07\x18", _rule(cfi.SP, 24)),
        (b"\x0d\x0a", cfi.UNSUPPORTED),
        (b"\x0e\x09", cfi.UNSUPPORTED),
        (b"\x0e\x09\x0e\x20", _rule(cfi.SP, 32)),
        (b"\x0e\x80\x80\x20", cfi.UNSUPPORTED),
        (b"\x0e\xf8\xff\x1f", _rule(cfi.SP, 0x7FFF8)),
        (b"\x90\x02", cfi.UNSUPPORTED),
        (b"\x10\x06\x02\x77\x00", cfi.UNSUPPORTED),
        (b"\x86\x03\xc6", _rule(cfi.SP, 8)),
        (b"\x05\x06\x83\x01", _rule(cfi.SP, 8, 131)),
        (b"\x11\x06\x02", _rule(cfi.SP, 8, 2)),
        (b"\x12\x06\x7c", _rule(cfi.FP, 32)),
        (b"\x13\x7e", _rule(cfi.SP, 16)),
        (b"\x2e\x10\x0e\x18", _rule(cfi.SP, 24)),
        (b"\x86\x02\x08\x06", _rule(cfi.SP, 8)),
        (b"\x83\x02\x8c\x03\x05\x0d\x04\x09\x03\x04\x14\x03\x04", _rule(cfi.SP, 8)),
        (b"\x0b", cfi.UNSUPPORTED),
        (b"\x3f", cfi.UNSUPPORTED),
        (b"\x0e\xff", cfi.UNSUPPORTED),
    ],
)
def test_each_instruction(program: bytes, rule: int) -> None:
    table = _table(_section((0x1100, 0x20, program)))
    assert _lookup(table, 0x100) == rule
    assert _lookup(table, 0x11F) == rule
    assert table.unsupported == (rule == cfi.UNSUPPORTED)


def test_advances_of_every_width() -> None:
    program = b"\x41\x0e\x10\x02\x02\x0e\x18\x03\x00\x01\x0e\x20\x04\x00\x00\x01\x00\x0e\x28"
    table = _table(_section((0x1000, 0x20000, program)))
    assert _rows(table) == [
        (0, _rule(cfi.SP, 8)),
        (1, _rule(cfi.SP, 16)),
        (3, _rule(cfi.SP, 24)),
        (0x103, _rule(cfi.SP, 32)),
        (0x10103, _rule(cfi.SP, 40)),
        (0x20000, 0),
    ]


def test_rows_beyond_the_function_are_dropped_whatever_was_cached() -> None:
    program = b"\x41\x0e\x10\x41\x0e\x18"
    table = _table(_section((0x1100, 2, program), (0x1200, 3, program), (0x1300, 2, program)))
    assert [_lookup(table, pc) for pc in (0x101, 0x102, 0x201, 0x202, 0x203, 0x301, 0x302)] == [
        _rule(cfi.SP, 16),
        0,
        _rule(cfi.SP, 16),
        _rule(cfi.SP, 24),
        0,
        _rule(cfi.SP, 16),
        0,
    ]


def test_padding_takes_no_row_and_a_real_gap_does() -> None:
    table = _table(_section((0x1100, 0x18, b""), (0x1120, 0x10, b""), (0x1140, 0x10, b"")))
    assert _rows(table) == [
        (0, 0),
        (0x100, _rule(cfi.SP, 8)),
        (0x130, 0),
        (0x140, _rule(cfi.SP, 8)),
        (0x150, 0),
    ]


def test_functions_in_any_order_and_overlapping() -> None:
    shifted = b"\x0e\x10"
    table = _table(_section((0x1300, 0x10, b""), (0x1100, 0x100, b""), (0x1180, 0x40, shifted)))
    assert _rows(table) == [
        (0, 0),
        (0x100, _rule(cfi.SP, 8)),
        (0x180, _rule(cfi.SP, 16)),
        (0x1C0, 0),
        (0x300, _rule(cfi.SP, 8)),
        (0x310, 0),
    ]


def test_signal_frames_have_a_kind_of_their_own() -> None:
    section = _section(
        (0x1100, 0x10, b"\x0f\x02\x77\x08"), cie=_cie(X86_START, augmentation=b"zRS")
    )
    assert _lookup(_table(section), 0x108) == cfi.SIGNAL


@pytest.mark.parametrize(
    ("program", "rule"),
    [
        (b"", _rule(cfi.SP, 0)),
        (b"\x0e\x20\x9d\x04\x9e\x03", _rule(cfi.SP, 32, 4)),
        (b"\x0c\x1d\x10\x9e\x01\x9d\x02", _rule(cfi.FP, 16, 2)),
        (b"\x0e\x10\x9e\x02", _rule(cfi.SP_LR, 16, 2)),
        (b"\x0e\x10\x9d\x02", cfi.UNSUPPORTED),
        (b"\x0e\x20\x9d\x01\x9e\x02", cfi.UNSUPPORTED),
        (b"\x07\x1e", cfi.END),
        (b"\x2d\x0e\x20\x9d\x04\x9e\x03", _rule(cfi.SP, 32, 4)),
        (b"\x0f\x0b" + PLT_EXPRESSION, cfi.UNSUPPORTED),
    ],
)
def test_aarch64(program: bytes, rule: int) -> None:
    cie = _cie(ARM_START, ra=30, code=4)
    table = _table(_section((0x1100, 0x20, program), cie=cie), machine=EM_AARCH64)
    assert _lookup(table, 0x110) == rule


def test_aarch64_code_alignment_scales_advances() -> None:
    section = _section((0x1100, 0x20, b"\x42\x0e\x10"), cie=_cie(ARM_START, ra=30, code=4))
    table = _table(section, machine=EM_AARCH64)
    assert _rows(table)[1:3] == [(0x100, _rule(cfi.SP, 0)), (0x108, _rule(cfi.SP, 16))]


def test_dead_and_far_functions_are_left_out() -> None:
    table = _table(_section((0x100, 0x10, b""), (0x1100, 0, b""), (0x1100, 0x10, b"")))
    assert (table.functions, table.unsupported) == (1, 1)


def test_an_unknown_augmentation_loses_its_functions_only() -> None:
    good = _section((0x1100, 0x10, b""))
    bad = _cie(X86_START, augmentation=b"zQR")
    at = len(bad) + len(good) - 4
    fde = _entry(struct.pack("<IiI", at + 4, 0, 0x10) + b"\0")
    moved = unwind.build_table(bad + good[:-4] + fde, VADDR, base=0x1000)
    assert (moved.functions, moved.unsupported) == (1, 1)


def test_another_machine_is_refused() -> None:
    with pytest.raises(FormatError, match="machine 40"):
        _table(b"", machine=40)


def test_no_functions_is_one_row_without_a_rule() -> None:
    table = _table(bytes(4))
    assert _rows(table) == [(0, 0)]
    assert _lookup(table, 0) == _lookup(table, 0x1234) == 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 600), st.integers(1, 700), st.integers(1, 60)),
        min_size=1,
        max_size=12,
    )
)
def test_the_bucket_search_equals_a_plain_one(shape: list[tuple[int, int, int]]) -> None:
    functions, at = [], 0x1000
    for gap, size, step in shape:
        at += gap
        program = b"".join(
            bytes([0x40 | step, 0x0E, 8 * (1 + n % 15)]) for n in range(min(size, 40))
        )
        functions.append((at, size, program))
        at += size
    table = _table(_section(*functions))
    rows = _rows(table)
    pcs = [pc for pc, _ in rows]
    assert pcs == sorted(set(pcs))
    assert all(one[1] != two[1] for one, two in itertools.pairwise(rows))
    assert len(table.buckets) // 4 == -(-(pcs[-1] + 1) // 256) + 1
    for pc in range(0, pcs[-1] + 600, 7):
        assert _lookup(table, pc) == rows[bisect.bisect_right(pcs, pc) - 1][1]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([EM_X86_64, EM_AARCH64]))
def test_any_program_gives_a_table(program: bytes, machine: int) -> None:
    ra, start = (16, X86_START) if machine == EM_X86_64 else (30, ARM_START)
    section = _section((0x1100, 0x400, program), cie=_cie(start, ra=ra))
    table = _table(section, machine=machine)
    assert table.functions == 1
    assert _lookup(table, 0xFF) == 0


_REAL = _section((0x1100, 0x40, b"\x41\x0e\x10\x86\x02"), (0x1200, 0x40, b"\x44\x0e\x20"))


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(_REAL) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(_REAL)),
)
def test_damage_ends_in_a_table(damage: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(_REAL)
    for at, value in damage:
        data[at] = value
    table = _table(bytes(data[:cut]))
    assert table.count == len(table.rows) // 8 <= 16


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120))
def test_noise_ends_in_a_table(noise: bytes) -> None:
    assert _table(noise).count >= 1


def test_expressions_of_any_length_cost_no_copies() -> None:
    """Each function claims an expression as long as the section: must not be quadratic."""
    functions = [(0x1000 + 16 * n, 16, b"\x0f\xff\xff\xff\x7f") for n in range(3000)]
    assert _table(_section(*functions)).functions == 3000


def test_without_section_headers_the_table_is_the_same() -> None:
    maps = Path("/proc/self/maps").read_text()
    shared = re.search(r"/\S+/libpython3\.\d+\.so\S*", maps)
    path = Path(shared[0] if shared else sys.executable).resolve()
    with path.open("rb") as file, ElfFile(file.fileno(), str(path)) as elf:
        if elf.segment(PT_GNU_EH_FRAME) is None or elf.section(".eh_frame") is None:
            pytest.skip("this Python has no .eh_frame")
        table = unwind.unwind_table(elf)
        elf.sections = ()
        elf._by_name = {}
        stripped = unwind.unwind_table(elf)
    assert table is not None
    assert table.functions > 50
    assert stripped == table
