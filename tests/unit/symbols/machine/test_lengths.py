"""How long instructions are: held to capstone's word, on bytes of every kind."""

from __future__ import annotations

import capstone
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hud.symbols.machine.lengths import BEYOND, LONGEST, shape

FORMS = """
90  c3  c20800  cc  f4  0f0b  f30f1efa  6690  660f1f840000000000  0f1f4000
55  4157  6a10  6800100000  b801000000  48b80102030405060708  66b80100  41b701
e800000000  e9fbffffff  ebfe  75f0  0f8510000000  e3f0  ff15f0000000  ff25f0000000  ffe0
ff24c500100000  488d3d10000000
488d0c8500000000  8b0425f0000000  488b442408  488b8424f0000000  488b4510  8b05f0000000
807f1100  f6471101  f6d0  f7d8  f7c001000000  66f7c00100  83f803  4881ec58020000  80bf5001000003
0fb64711  0fb68650010000  0fbae003  0fa4c105  660f70c0e4  660f3a0fc108  660f3800c1  f20f1005f0000000
c5f877  c5f96ec0  c5fd70c0e4  c4e3fd00c0d8  c4e27918c0  62f17c4810042504000000  62f3fd4800c0d8
48a10102030405060708  c8100001  d9c0  dd442408  9b  f3a4  f0480fb10f  6569c010000000  6665678b4010
"""
MACHINE = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)


@pytest.mark.parametrize("form", FORMS.split())
def test_every_form_is_as_long_as_it_is(form: str) -> None:
    code = bytes.fromhex(form)
    size, opcode, modrm = shape(code + bytes(LONGEST), 0)
    assert size == len(code) == next(MACHINE.disasm_lite(code, 0))[1]
    assert modrm < size
    assert opcode <= BEYOND


@pytest.mark.parametrize(
    ("form", "opcode", "modrm"),
    [
        ("0fb64711", 0x0FB6, 2),
        ("410fb64711", 0x0FB6, 3),
        ("488d3d10000000", 0x8D, 2),
        ("0f8510000000", 0x0F85, -1),
        ("ff15f0000000", 0xFF, 1),
        ("c5fd70c0e4", BEYOND, 3),
    ],
)
def test_opcode_and_operands_are_found(form: str, opcode: int, modrm: int) -> None:
    assert shape(bytes.fromhex(form) + bytes(LONGEST), 0)[1:] == (opcode, modrm)


@pytest.mark.parametrize("form", ["06", "62000000", "8fe8", "d6", "0f04", "66" * 20])
def test_what_is_no_instruction_has_no_size(form: str) -> None:
    assert shape(bytes.fromhex(form) + bytes(LONGEST), 0)[0] == 0


PREFIXES = bytes((0x26, 0x2E, 0x36, 0x3E, *range(0x40, 0x50), *range(0x64, 0x68), 0xF0, 0xF2, 0xF3))


@settings(max_examples=2000, deadline=None)
@given(st.binary(min_size=1, max_size=LONGEST))
@example(bytes.fromhex("0f2061"))
@example(bytes.fromhex("6749bc0900a7"))
def test_any_bytes_that_capstone_knows(code: bytes) -> None:
    code = code.ljust(LONGEST, b"\0")
    size = shape(code + bytes(8), 0)[0]
    assert 0 <= size <= LONGEST + 8
    found = next(MACHINE.disasm_lite(code, 0), None)
    assume(found is not None and code[0] not in (0x62, 0x8F))
    assume(found is None or found[2] not in ("ud0", "ud1"))  # without operands, says capstone
    before = code[: len(code) - len(code.lstrip(PREFIXES))]
    assume(not set(before) & {0x66, 0xF2, 0xF3})
    assert found is None or size in (found[1], 0)
