"""Which instructions may be probed: only those whose begin is beyond doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.elf.file import ElfFile
from hud.symbols.elf.symtab import Symtab
from hud.symbols.facts import Point, Role
from hud.symbols.machine import probes
from hud.symbols.machine.probes import choose, choose_first, decode, find_points, role_of
from tests.builders.elfbuild import PT_LOAD, TEXT, Seg, Sym, elf, symbol_sections

if TYPE_CHECKING:
    from collections.abc import Sequence

STATE = "_ZN5tokio7runtime4task5state5State"
RUNNING = f"{STATE}21transition_to_running17h48b4b824b7395616E"
IDLE = f"{STATE}18transition_to_idle17h35d323064e3a76feE"
COMPLETE = f"{STATE}22transition_to_complete17h4e2cbda1b633d72bE"
POLL = "_ZN5tokio7runtime4task3raw4poll17h942c0380c8f96056E"
V0 = "_RNvMNtNtNtNtCsg4YbZ_5tokio7runtime4task5stateNtB2_5State21transition_to_running"
V0_POLL = "_RINvNtNtNtCsg4YbZ_5tokio7runtime4task3raw4pollNCNvCs1_3zoo3cpu0INtB4_EE"

# push rax; mov rax, [rdi]; jmp +0
PUSH = bytes.fromhex("50 488b07 eb00 c3")
# sub rsp, 0x18; mov rax, [rdi]; lea rdx, [rsp+8]; test al, 1; je +2; ret
JCC = bytes.fromhex("4883ec18 488b07 488d542408 a801 7402 c3 c3")
# sub rsp, 0x18; mov rdi, rax; call +0; ret
CLOBBERED = bytes.fromhex("4883ec18 4889c7 e800000000 c3")
# push rax; mov [rsp], rdi; ret
RET = b"\xc3"

HIGH = 0x40_0000


def made(symbols: Sequence[Sym], text: bytes = PUSH, **options: object) -> list[Point]:
    file = ElfFile(elf(symbol_sections(symbols), text=text.ljust(0x1000, b"\xcc"), **options), "x")
    return find_points(file, [Symtab(file)])


def three(at: int = TEXT, size: int = len(PUSH)) -> list[Sym]:
    return [Sym(name, at, size) for name in (RUNNING, IDLE, COMPLETE)]


# --------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "role"),
    [
        (RUNNING, Role.RUNNING),
        (IDLE, Role.IDLE),
        (COMPLETE, Role.COMPLETE),
        (COMPLETE + ".llvm.123", Role.COMPLETE),
        (V0, Role.RUNNING),
        (POLL, Role.POLL),
        (POLL + ".llvm.99", Role.POLL),
        (V0_POLL, Role.POLL),
        (
            f"{STATE}21transition_to_running28_$u7b$$u7b$closure$u7d$$u7d$17h381f4049fe8915c6E",
            None,
        ),
        (f"{STATE}31transition_to_notified_and_cancel17h35d323064e3a76feE", None),
        (COMPLETE + ".cold", None),
        ("_ZN5tokio7runtime4task3raw7dealloc17h942c0380c8f96056E", None),
        ("_ZN4mine7runtime4task3raw4poll17h942c0380c8f96056E", None),
    ],
)
def test_role_of(name: str, role: Role | None) -> None:
    assert role_of(name) is role


# --------------------------------------------------------------------------- instructions


@pytest.mark.parametrize(
    ("code", "entry", "chosen"),
    [
        (PUSH, False, (0, True)),
        (PUSH, True, (0, True)),
        (JCC, False, (14, True)),
        (JCC, True, (0, False)),  # only the first one has the return address on top
        (CLOBBERED, False, (0, False)),  # rdi is not the argument any more at the call
        (bytes.fromhex("4157 c3"), False, (0, True)),  # push r15
        (bytes.fromhex("6850000000 c3"), False, (0, False)),  # push 0x50 is stepped
        (bytes.fromhex("4883ec18 e800000000"), False, (4, True)),
        (bytes.fromhex("4883ec18 ff15d9eb0600 c3"), False, (0, False)),  # call [rip + x]
        (RET, False, (None, False)),
        (bytes.fromhex("f30f1efa 50"), False, (None, False)),  # endbr64
        (b"", False, (None, False)),
        (bytes.fromhex("06"), False, (None, False)),  # not an instruction
    ],
)
def test_choose(code: bytes, entry: bool, chosen: object) -> None:
    assert choose(decode(code, 0x1000), entry=entry) == chosen


@given(st.binary(max_size=64), st.booleans())
@settings(max_examples=300)
def test_any_bytes_give_the_begin_of_an_instruction_or_none(code: bytes, entry: bool) -> None:
    line = decode(code, 0x1000)
    at, emulated = choose(line, entry=entry)
    begins = [sum(one.size for one in line[:index]) for index in range(len(line))]
    assert at is None or at in begins
    if at is None:
        return
    one = line[begins.index(at)]
    assert one.content == code[at : at + one.size]
    assert one.word not in ("ret", "int3", "syscall")
    assert emulated == probes.is_emulated(one)
    assert at == 0 or (emulated and not entry)
    assert not any(before.changes_argument for before in line[: begins.index(at)]) or at == 0


@pytest.mark.parametrize(
    ("code", "chosen"),
    [
        ("fd7bbfa9", 0),  # stp x29, x30, [sp, #-16]!
        ("ff8300d1", 0),  # sub sp, sp, #32
        ("080040f9", 0),  # ldr x8, [x0]
        ("5f2403d5", 0),  # bti c
        ("3f2303d5", 0),  # paciasp
        ("02000014", 0),  # b: emulated
        ("08fc5fc8", None),  # ldaxr x8, [x0]
        ("08fc09c8", None),  # stlxr w9, x8, [x0]
        ("c0035fd6", None),  # ret
        ("a00020d4", None),  # brk #5: another's probe
        ("00000000", None),  # udf
        ("fd7b", None),
        ("", None),
    ],
)
def test_the_first_instruction_of_aarch64(code: str, chosen: int | None) -> None:
    assert choose_first(bytes.fromhex(code), 0x1000) == chosen
    assert choose_first(bytes.fromhex(code), 0x1002) is None


# --------------------------------------------------------------------------- files


def test_functions_of_aarch64() -> None:
    text = bytes.fromhex("fd7bbfa9 080040f9 c0035fd6").ljust(0x20, b"\x00") * 2
    symbols = [*three(size=12)[:2], Sym(COMPLETE, TEXT + 0x20, 12)]
    found = made(symbols, text, machine=183)
    assert [(p.vaddr, p.emulated) for p in found] == [(TEXT, False)] * 2 + [(TEXT + 0x20, False)]
    assert {p.content for p in found} == {text[:12].ljust(16, b"\x00")[:12]}


def test_the_three_transitions() -> None:
    text = PUSH.ljust(0x20, b"\xcc") + JCC.ljust(0x20, b"\xcc") + PUSH
    symbols = [
        Sym(RUNNING, TEXT, len(PUSH)),
        Sym(IDLE, TEXT + 0x20, len(JCC)),
        Sym(COMPLETE, TEXT + 0x40, len(PUSH)),
        Sym(POLL, TEXT, 7),
    ]
    found = made(symbols, text)
    assert [(p.role, p.vaddr, p.offset, p.emulated) for p in found] == [
        (Role.RUNNING, TEXT, TEXT, True),
        (Role.IDLE, TEXT + 0x20 + 14, TEXT + 0x20 + 14, True),
        (Role.COMPLETE, TEXT + 0x40, TEXT + 0x40, True),
    ]
    assert found[1].content == JCC[14:]


def test_inlined_transitions_leave_the_poll_functions() -> None:
    symbols = [
        Sym(RUNNING, TEXT, len(PUSH)),  # one alone would lead astray
        Sym(POLL, TEXT + 0x20, len(PUSH)),
        Sym(POLL[:-2] + "7E", TEXT + 0x20, len(PUSH)),  # folded onto the same code
        Sym(V0_POLL, TEXT + 0x40, len(PUSH)),
    ]
    text = PUSH.ljust(0x20, b"\xcc") * 3
    found = made(symbols, text)
    assert [(p.role, p.vaddr) for p in found] == [
        (Role.POLL, TEXT + 0x20),
        (Role.POLL, TEXT + 0x40),
    ]


def test_offsets_follow_the_segment() -> None:
    """File offset = vaddr - p_vaddr + p_offset."""
    high = Seg(PT_LOAD, 5, TEXT, HIGH, 0x1000, 0x1000)
    found = made(three(HIGH), segments=[high])
    assert {(p.vaddr, p.offset) for p in found} == {(HIGH, TEXT)}


@pytest.mark.parametrize(
    ("symbols", "options", "why"),
    [
        ([], {}, "no symbols of Tokio's task functions"),
        ([Sym(RUNNING, TEXT, 7)], {}, "inlined .no symbol for: idle, complete"),
        (three(size=0), {}, "no size"),
        (three(0x9_0000), {}, "not in read-only executable code"),
        (three(TEXT + 0xFFC), {}, "not in read-only executable code"),
        (three(HIGH), {"segments": [Seg(PT_LOAD, 7, TEXT, HIGH, 0x1000, 0x1000)]}, "not in"),
        (three(HIGH), {"segments": [Seg(PT_LOAD, 6, TEXT, HIGH, 0x1000, 0x1000)]}, "not in"),
        (three(), {"segments": [Seg(PT_LOAD, 5, 0, TEXT, 0x1000, 0x1000)]}, "not in"),
        (three(), {"machine": 40}, "not on "),
        (three(TEXT + 0x100), {}, "no instruction that can be probed"),
    ],
)
def test_refused(symbols: list[Sym], options: dict[str, object], why: str) -> None:
    with pytest.raises(FormatError, match=why):
        made(symbols, **options)


@given(st.integers(0, 0x3000), st.integers(0, 64), st.binary(min_size=64, max_size=256))
@settings(max_examples=200)
def test_any_symbol_bounds_stay_inside_the_code(at: int, size: int, text: bytes) -> None:
    try:
        found = made(three(at, size), text)
    except FormatError:
        return
    code = text.ljust(0x1000, b"\xcc")
    for point in found:
        assert at <= point.vaddr < at + size
        assert TEXT <= point.vaddr < TEXT + 0x1000
        assert point.offset == point.vaddr
        assert point.content[:1] == code[point.vaddr - TEXT :][:1]
