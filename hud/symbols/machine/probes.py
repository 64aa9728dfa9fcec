"""Finds the instructions to probe so that uprobes see every poll of a file's Tokio.

The kernel emulates some instructions instead of stepping over a copy, which costs some ten times as
much (arch/x86/kernel/uprobes.c: branch_setup_xol_ops, push_setup_xol_ops): those are preferred.
Only the straight-line code at a function's top, which each call runs through, is looked at. On
aarch64 it is the first instruction: none that such a function begins with is emulated, and a probe
between a load-exclusive and its store would never let the store succeed.

A probe anywhere but at the start of an instruction corrupts the program, and the kernel does not
check that. So a point lies in a function that the symbol table bounds, inside the file's bytes of
an executable PT_LOAD, and was reached by decoding from the function's first instruction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.elf.file import PF_W, PF_X, STT_FUNC
from hud.symbols.elf.symtab import FoundSymbol, Symtab
from hud.symbols.facts import Point, Role

if TYPE_CHECKING:
    from hud.symbols.elf.file import ElfFile

MOST_FUNCTIONS = 4096
"""Of one role: ``raw::poll`` has one for each type of task."""
LONGEST_LINE = 96
"""Bytes of a function that are decoded."""
CHECKED = 16
"""Bytes at a point that the file and the process must have in common."""


class Decoded(NamedTuple):
    """One decoded instruction, as far as it matters here."""

    size: int
    word: str
    """``push``, ``jmp`` ...; the mnemonic."""
    content: bytes
    changes_argument: bool
    """It writes rdi, the function's first argument."""


_STATE = r"4task5state\w{0,40}5State"
_HASH = r"17h[0-9a-f]{16}E"
_END = rf"(?:{_HASH})?(?:\.llvm\.\d+)?\Z"
NAMES = {
    Role.RUNNING: re.compile(rf"{_STATE}21transition_to_running{_END}"),
    Role.IDLE: re.compile(rf"{_STATE}18transition_to_idle{_END}"),
    Role.COMPLETE: re.compile(rf"{_STATE}22transition_to_complete{_END}"),
    Role.POLL: re.compile(rf"5tokio7runtime4task3raw4poll{_HASH}(?:\.llvm\.\d+)?\Z"),
}
"""Legacy and v0 mangling of the three; closures inside them have longer names. ``raw::poll`` is
generic: in v0 its name goes on with the type."""
_V0_POLL = re.compile(r"\A_RI\w{0,60}5tokio7runtime4task3raw4poll")
_PATTERN = rb"4task5state\w{0,40}5State\d\dtransition_to_|7runtime4task3raw4poll"

TRANSITIONS = (Role.RUNNING, Role.IDLE, Role.COMPLETE)

_LEAVING = frozenset(("ret", "jmp", "call", "ud2", "int3", "hlt", "iretq", "syscall"))
_NOT_FIRST = (
    *("ret", "br", "udf", "hlt", "hvc", "smc", "svc", "eret", "msr", "mrs"),
    *("ldx", "ldax", "stx", "stlx"),
)
"""What begins like this, of aarch64: it leaves, traps, or is part of an exclusive access."""
_NEVER = frozenset(("ret", "retf", "iretq", "int3", "ud2", "hlt", "syscall", "endbr64"))


def find_points(elf: ElfFile, symtabs: Iterable[Symtab]) -> list[Point]:
    """The points that show every poll: those of the three transitions, or of every ``raw::poll``.

    FormatError with the reason where there are none; nothing is guessed.
    """
    if elf.machine not in ("x86_64", "aarch64"):
        raise FormatError(f"not on {elf.machine}")
    found = _functions(symtabs)
    if not found:
        raise FormatError("no symbols of Tokio's task functions (stripped, or no Tokio)")
    for roles in (TRANSITIONS, (Role.POLL,)):
        if all(found.get(role) for role in roles):
            return [_point(elf, role, symbol) for role in roles for symbol in found[role]]
    missing = ", ".join(role.value for role in TRANSITIONS if not found.get(role))
    raise FormatError(f"Tokio's functions are inlined (no symbol for: {missing})")


def _functions(symtabs: Iterable[Symtab]) -> dict[Role, list[FoundSymbol]]:
    found: dict[Role, dict[int, FoundSymbol]] = {}
    for symtab in symtabs:
        for symbol in symtab.find(_PATTERN):
            role = role_of(symbol.name)
            if role is not None and symbol.type == STT_FUNC:
                # several types may share one function
                found.setdefault(role, {})[symbol.value] = symbol
    for role, symbols in found.items():
        if len(symbols) > MOST_FUNCTIONS:
            raise FormatError(f"{len(symbols)} functions to probe ({role.value})")
    return {role: list(symbols.values()) for role, symbols in found.items()}


def role_of(name: str) -> Role | None:
    """The role of a function by its raw name."""
    for role, pattern in NAMES.items():
        if pattern.search(name):
            return role
    return Role.POLL if _V0_POLL.search(name) else None


def _point(elf: ElfFile, role: Role, symbol: FoundSymbol) -> Point:
    start, size = symbol.value, symbol.size
    if size < 1:
        raise FormatError(f"function at {start:#x}: no size in the symbol table")
    code = _code(elf, start, size)
    if elf.machine == "aarch64":
        at, emulated = choose_first(code, start), False
    else:
        at, emulated = choose(decode(code, start), entry=role is Role.POLL)
    if at is None:
        raise FormatError(f"function at {start:#x}: no instruction that can be probed")
    offset = elf.offset_of(start + at)
    if offset is None:
        raise FormatError(f"function at {start:#x}: outside of the file")
    return Point(role, start + at, offset, code[at : at + CHECKED], emulated)


def _code(elf: ElfFile, start: int, size: int) -> bytes:
    """The function's first bytes; FormatError where they are not code of the file."""
    segments = [
        load
        for load in elf.loads
        if load.vaddr <= start and start + size <= load.vaddr + load.filesz
    ]
    if len(segments) != 1 or not segments[0].flags & PF_X or segments[0].flags & PF_W:
        raise FormatError(f"function at {start:#x}: not in read-only executable code")
    return bytes(elf.read(start, min(size, LONGEST_LINE)))


def decode(code: bytes, address: int) -> list[Decoded]:
    """The straight-line code from the top, the instruction that leaves it included.

    An instruction that is cut off at the end of ``code`` is left out.
    """
    import capstone

    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    disassembler.detail = True
    line = []
    for found in disassembler.disasm(code, address):
        names = {found.reg_name(number) for number in found.regs_access()[1]}
        changes = bool(names & {"rdi", "edi", "di", "dil"})
        word = found.mnemonic.rpartition(" ")[2]
        line.append(Decoded(found.size, word, bytes(found.bytes), changes))
        if word in _LEAVING or word.startswith(("j", "loop")):
            break
    return line


def choose_first(code: bytes, address: int) -> int | None:
    """0 where the first instruction, of aarch64, may be probed; else None. The kernel looks
    again (arch/arm64/kernel/probes/decode-insn.c), and emulates what depends on the pc."""
    import capstone

    if address % 4:
        return None
    disassembler = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
    word = next((word for _, _, word, _ in disassembler.disasm_lite(code[:4], address, 1)), "ret")
    return None if word.startswith(_NOT_FIRST) else 0


def choose(line: list[Decoded], *, entry: bool) -> tuple[int | None, bool]:
    """(offset in the function, emulated) of the instruction to probe; None = there is none.

    ``entry`` asks for the very first one, where the return address is on top of the stack. Else the
    first one that is emulated, as long as rdi still holds the argument; or the first at all.
    """
    if not line or line[0].word in _NEVER:
        return None, False
    if entry or is_emulated(line[0]):
        return 0, is_emulated(line[0])
    at = 0
    for one in line:
        if is_emulated(one):
            return at, True
        if one.changes_argument:
            break
        at += one.size
    return 0, False


def is_emulated(one: Decoded) -> bool:
    """Whether every kernel with uprobes by perf_event carries it out itself (Linux 4.17)."""
    code = one.content
    if one.word == "push":
        # push r64; of r8 to r15 with the REX prefix 0x41 alone
        return len(code) - (code[:1] == b"\x41") == 1 and 0x50 <= code[-1] <= 0x57
    if one.word == "nop":
        return code == b"\x90"
    if one.word == "jmp":
        return code[0] in (0xEB, 0xE9)
    if one.word == "call":
        return code[0] == 0xE8
    if one.word.startswith("j"):  # the conditional ones
        return 0x70 <= code[0] <= 0x7F or (code[0] == 0x0F and 0x80 <= code[1] <= 0x8F)
    return False
