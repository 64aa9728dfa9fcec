"""Frames that tail calls removed, in machine code put together here."""

from __future__ import annotations

import os
import struct
from itertools import islice, pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.model import Frame
from hud.resolver import messages
from hud.symbols.elf.file import EM_AARCH64, EM_X86_64
from hud.symbols.loaded import Loaded
from hud.symbols.tailcalls import paths, recovered
from hud.symbols.tailcalls.paths import Address, TailCalls
from tests.builders import elfbuild
from tests.builders.elfbuild import PT_LOAD, TEXT, Seg, Sym

FIRST, SECOND = 1, 2
"""Numbers of modules."""
SPACE = 0x40
"""Between the begins of two functions."""
GOT = TEXT + 0x800
VARIABLE = 0x9000
RET, NOP = b"\xc3", b"\x90"
SWITCH = bytes.fromhex("4863048a 4801d0 ffe0")
"""movsxd rax, [rdx + 4 * rcx]; add rax, rdx; jmp rax"""
VTABLE = bytes.fromhex("ff6018")
"""jmp [rax + 0x18]"""

CALL, JMP, JNE, SHORT = b"\xe8", b"\xe9", b"\x0f\x85", b"\xeb"
CALL_SLOT, JMP_SLOT = b"\xff\x15", b"\xff\x25"


class To(NamedTuple):
    """An instruction that leads to a function, or through its slot."""

    opcode: bytes
    function: str


class Made:
    """One module of functions; each begins SPACE behind the one before."""

    def __init__(self, functions: dict[str, list[bytes | To]], **build: object) -> None:
        self.starts = {name: TEXT + SPACE * index for index, name in enumerate(functions)}
        self.starts["variable"] = VARIABLE
        self.returns: dict[str, int] = {}
        """Function -> the return address of its last call."""
        self.jumps: dict[tuple[str, str], int] = {}
        text = b"".join(
            self._code(name, items).ljust(SPACE, b"\xcc") for name, items in functions.items()
        )
        slots = struct.pack(f"<{len(functions)}Q", *(self.starts[name] for name in functions))
        text = text.ljust(GOT - TEXT, b"\xcc") + slots
        symbols = [Sym(name, start, SPACE) for name, start in self.starts.items()]
        self.loaded = loaded(
            elfbuild.elf(
                elfbuild.symbol_sections(symbols[:-1]),
                text=text,
                segments=[Seg(PT_LOAD, 6, 0, VARIABLE, 0, 8)],
                **build,  # type: ignore[arg-type]
            )
        )

    def _code(self, name: str, items: list[bytes | To]) -> bytes:
        code = b""
        for item in items:
            at = self.starts[name] + len(code)
            if isinstance(item, bytes):
                code += item
                continue
            opcode, function = item
            self.jumps[name, function] = at
            through = opcode in (CALL_SLOT, JMP_SLOT) and function != "variable"
            target = GOT + 8 * list(self.starts).index(function) if through else 0
            size = 1 if opcode == SHORT else 4
            distance = (target or self.starts[function]) - at - len(opcode) - size
            code += opcode + distance.to_bytes(size, "little", signed=True)
            if opcode in (CALL, CALL_SLOT):
                self.returns[name] = self.starts[name] + len(code)
        return code

    def between(self, caller: str, inner: str) -> list[str]:
        """The functions between the call in ``caller`` and ``inner``, outermost first; one that
        left by a known jump with its distance from the begin, one before a gap with ``..``."""
        call, pc = self.returns[caller] - 1, self.starts[inner] + 1
        modules = {FIRST: self.loaded}
        found = recovered.between(modules, TailCalls(modules), FIRST, call, FIRST, pc)
        assert found.start <= pc < found.end
        for other in (found.start, found.end - 1):  # the same holds for all of the function
            again = recovered.between(modules, TailCalls(modules), FIRST, call, FIRST, other)
            assert again == found
        return [self._told(one.offset, one.frames) for one in found.functions][::-1]

    def _told(self, offset: int, frames: tuple[Frame, ...]) -> str:
        (frame,) = frames
        assert frame.recovered
        distance = offset - self.starts[frame.function]
        return frame.function + (f"+{distance}" if distance else "") + ".." * frame.gap


def loaded(data: bytes) -> Loaded:
    descriptor = os.memfd_create("made")
    os.write(descriptor, data)
    return Loaded("made", descriptor)


def caller(function: str, opcode: bytes = CALL) -> list[bytes | To]:
    return [NOP, To(opcode, function), RET]


def test_function_that_is_one_jump_through_the_got() -> None:
    made = Made(
        {
            "main": caller("nap"),
            "nap": [NOP, To(JMP_SLOT, "sleep")],
            "sleep": [RET],
        }
    )
    assert made.between("main", "sleep") == ["nap+1"]


def test_plain_calls_change_nothing() -> None:
    made = Made({"main": caller("f"), "f": [NOP, To(JMP, "g")], "g": [RET]})
    assert made.between("main", "f") == []


def test_chain_of_jumps_is_told_whole() -> None:
    made = Made(
        {
            "main": caller("chain3", CALL_SLOT),
            "chain3": [NOP, NOP, To(JMP, "chain2")],
            "chain2": [NOP, To(JMP_SLOT, "nod")],
            "nod": [RET],
        }
    )
    assert made.between("main", "nod") == ["chain3+2", "chain2+1"]


def test_conditional_jump_and_a_switch() -> None:
    made = Made(
        {
            "main": caller("cond"),
            "cond": [SWITCH, To(JNE, "nap"), RET],
            "nap": [To(JMP, "sleep")],
            "sleep": [RET],
        }
    )
    # a jump at the very begin of a function cannot be told from the function
    assert made.between("main", "sleep") == ["cond+9", "nap"]


def test_of_several_paths_only_what_they_share_is_certain() -> None:
    functions: dict[str, list[bytes | To]] = {
        "main": caller("either"),
        "either": [To(JNE, "one"), To(JMP, "two")],
        "one": [NOP, To(JMP, "last")],
        "two": [NOP, To(JMP, "last")],
        "last": [NOP, To(JMP, "sleep")],
        "sleep": [RET],
    }
    made = Made(functions)
    assert made.between("main", "last") == ["either.."]
    assert made.between("main", "sleep") == ["either..", "last+1"]


def test_several_jumps_to_one_function_are_not_chosen_from() -> None:
    made = Made(
        {
            "main": caller("twice"),
            "twice": [NOP, To(JNE, "sleep"), NOP, To(JMP, "sleep")],
            "sleep": [RET],
        }
    )
    # without lines both say the same
    assert made.between("main", "sleep") == ["twice+1"]


@pytest.mark.parametrize("way", [VTABLE, To(JMP_SLOT, "variable")], ids=["vtable", "variable"])
def test_indirect_jump_leaves_a_gap(way: bytes | To) -> None:
    made = Made(
        {
            "main": caller("dyn"),
            "dyn": [NOP, way],
            "maybe": [NOP, To(JNE, "sleep"), NOP, way],
            "other": caller("maybe"),
            "sleep": [RET],
        }
    )
    assert made.between("main", "sleep") == ["dyn.."]
    assert made.between("other", "sleep") == ["maybe.."]


def test_callee_that_cannot_have_come_there_was_misread() -> None:
    made = Made(
        {"main": caller("f"), "f": [To(JMP, "g")], "g": [To(CALL, "sleep"), RET], "sleep": [RET]}
    )
    assert made.between("main", "sleep") == []


def test_circle_ends() -> None:
    made = Made(
        {
            "main": caller("ping"),
            "ping": [NOP, To(JNE, "pong"), NOP, To(JMP, "sleep")],
            "pong": [NOP, To(JMP, "ping")],
            "sleep": [RET],
        }
    )
    assert made.between("main", "sleep") == ["ping+8"]


def test_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"f{number}" for number in range(8)]
    functions: dict[str, list[bytes | To]] = {"main": caller("f0")}
    functions |= {one: [NOP, To(JMP, other)] for one, other in pairwise(names)}
    functions["f7"] = [RET]
    made = Made(functions)
    assert made.between("main", "f4") == ["f0+1", "f1+1", "f2+1", "f3+1"]
    assert made.between("main", "f6") == ["f0.."]
    monkeypatch.setattr(paths, "MOST_FUNCTIONS", 2)
    assert made.between("main", "f3") == ["f0.."]


def test_ways_that_do_not_lead_to_the_goal_are_not_walked() -> None:
    """Of a hundred functions that each jump to all others there are a hundred million."""
    crowd, goal = [Address(FIRST, number) for number in range(100)], Address(FIRST, 1000)
    jumps = [(one, other) for one in crowd for other in crowd if one != other]
    for more in ([], [(crowd[99], goal)]):
        near = paths._distances(goal, [*jumps, *more])
        onward = paths._onward([*jumps, *more])
        found = list(islice(paths._paths((crowd[0],), goal, onward, near), 65))
        assert len(found) == (65 if more else 0)


def test_short_jump() -> None:
    made = Made({"main": caller("f"), "f": [NOP, To(SHORT, "g")], "g": [RET], "h": [To(JMP, "f")]})
    assert made.between("main", "g") == ["f+1"]


IMMEDIATE = bytes.fromhex("ba05000000")
"""Its last bytes are like the ModRM byte and the distance of an operand relative to RIP."""
JUMP_RAX = bytes.fromhex("ffe0")


@pytest.mark.parametrize(
    ("code", "closed"),
    [
        (IMMEDIATE + JUMP_RAX, False),
        (bytes.fromhex("b8ffe00000"), True),  # a constant
        (bytes.fromhex("49634485004c01e89090ffe0"), True),  # a row and the table since long in r13
        (bytes.fromhex("49634485004c01e99090ffe0"), False),  # added to another register
        (bytes.fromhex("4c01e849634485009090ffe0"), False),
        (bytes.fromhex("ff24c500100000"), True),  # a table of addresses
        (bytes.fromhex("ff6018"), False),
        (bytes.fromhex("06"), False),  # no instruction
    ],
)
def test_jump_to_nobody_knows_where(code: bytes, closed: bool) -> None:
    made = Made({"main": caller("f"), "f": [NOP, To(JNE, "g"), code], "g": [RET]})
    assert made.between("main", "g") == (["f+1"] if closed else ["f.."])


def test_parts_of_a_function_and_signal_handlers_are_no_tail_calls() -> None:
    made = Made(
        {
            "main": caller("f"),
            "f": [NOP, VTABLE, To(JNE, "f.cold")],
            "f.cold": [RET],
            "restorer": [NOP, bytes.fromhex("48c7c00f0000000f05")],
        }
    )
    assert made.between("main", "f.cold") == []
    assert made.between("main", "restorer") == []


def test_no_call_before_the_address() -> None:
    made = Made({"main": [NOP * 8, RET], "f": [NOP, VTABLE], "g": [RET]})
    made.returns["main"] = TEXT + 8
    assert made.between("main", "g") == []
    made.returns["main"] = TEXT
    assert made.between("main", "g") == []


def test_indirect_calls_name_nobody() -> None:
    made = Made({"main": [NOP * 4, bytes.fromhex("ff5018"), RET], "f": [NOP, VTABLE], "g": [RET]})
    made.returns["main"] = TEXT + 7
    assert made.between("main", "g") == []


def test_aarch64() -> None:
    code = {"main": 0x94000000, "nap": 0x14000000}
    text = b""
    for index, word in enumerate(code.values()):  # BL or B to the next function
        text += struct.pack("<2I", 0xD503201F, word | SPACE // 4 - 1).ljust(SPACE, b"\0")
        assert len(text) == SPACE * (index + 1)
    symbols = [Sym(name, TEXT + SPACE * at, SPACE) for at, name in enumerate((*code, "sleep"))]
    data = elfbuild.elf(
        elfbuild.symbol_sections(symbols),
        text=text + struct.pack("<I", 0xD65F03C0).ljust(SPACE, b"\0"),
        machine=EM_AARCH64,
    )
    modules = {FIRST: loaded(data)}
    places = FIRST, TEXT + 7, FIRST, TEXT + 2 * SPACE
    (found,) = recovered.between(modules, TailCalls(modules), *places).functions
    assert found.offset == TEXT + SPACE + 4
    assert [frame.function for frame in found.frames] == ["nap"]


@settings(max_examples=60, deadline=None)
@given(
    st.binary(min_size=1, max_size=200),
    st.sampled_from([EM_X86_64, EM_AARCH64, 40]),
    st.integers(0, 200),
    st.integers(0, 200),
)
def test_hostile_code_is_an_answer(text: bytes, machine: int, call: int, inner: int) -> None:
    symbols = [Sym(f"f{at}", TEXT + at, 8) for at in range(0, len(text), 8)]
    data = elfbuild.elf(elfbuild.symbol_sections(symbols), text=text, machine=machine)
    modules = {FIRST: loaded(data)}
    places = FIRST, TEXT + call, FIRST, TEXT + inner
    found = recovered.between(modules, TailCalls(modules), *places)
    assert messages.encode(found) is not None


def test_place_of_another_module_is_not_mixed_up() -> None:
    one = Made({"main": caller("f"), "f": [NOP, VTABLE], "g": [RET]})
    other = Made({"f": [NOP, VTABLE], "main": caller("f"), "g": [RET]})
    tails = TailCalls({FIRST: one.loaded, SECOND: other.loaded})
    (step,) = tails.between(Address(FIRST, one.returns["main"]), Address(SECOND, other.starts["g"]))
    assert (step.module, step.start, step.gap) == (FIRST, one.starts["f"], True)
