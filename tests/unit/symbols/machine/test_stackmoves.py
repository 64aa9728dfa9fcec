"""Instructions by their bytes: lengths as capstone has them, and what they do to the stack."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.symbols.elf.file import EM_X86_64, ElfFile
from hud.symbols.machine import stackmoves as moves
from hud.symbols.machine.stackmoves import is_padding, move_at

DEMO = Path(__file__).resolve().parents[4] / "prebuilt" / "demo-server-x86_64"


@pytest.mark.parametrize(
    ("code", "kind", "value"),
    [
        ("55", moves.PUSH_FP, 0),
        ("4155", moves.PUSH, 0),
        ("ff7508", moves.PUSH, 0),
        ("6801020304", moves.PUSH, 0),
        ("5d", moves.POP_FP, 0),
        ("415f", moves.POP, 0),
        ("5c", moves.LOST, 0),
        ("415c", moves.POP, 0),
        ("4883ec18", moves.ADD, -24),
        ("4883ec80", moves.ADD, 128),
        ("4881c400010000", moves.ADD, 256),
        ("488d642408", moves.LEA_SP, 8),
        ("488da42400ffffff", moves.LEA_SP, -256),
        ("4889e5", moves.LEA_FP, 0),
        ("488bec", moves.LEA_FP, 0),
        ("488d6c2410", moves.LEA_FP, 16),
        ("488d65d8", moves.SP_FROM_FP, -40),
        ("4889ec", moves.SP_FROM_FP, 0),
        ("c9", moves.LEAVE, 0),
        ("31ed", moves.ZERO_FP, 0),
        ("4831ed", moves.ZERO_FP, 0),
        ("4883e4f0", moves.LOST, 0),
        ("4829c4", moves.LOST, 0),
        ("488b2424", moves.LOST, 0),
        ("e810000000", moves.CALL, 21),
        ("666648e810000000", moves.CALL, 24),
        ("41ffd1", moves.CALL_ANY, 0),
        ("ff1501020304", moves.CALL_ANY, 0),
        ("7405", moves.BRANCH, 7),
        ("0f8400010000", moves.BRANCH, 262),
        ("ebfe", moves.JUMP, 0),
        ("e900000000", moves.JUMP, 5),
        ("ffe0", moves.JUMP_ANY, 0),
        ("f2ff2501020304", moves.JUMP_ANY, 0),
        ("c3", moves.RET, 0),
        ("f3c3", moves.RET, 0),
        ("0f0b", moves.STOP, 0),
        ("f4", moves.STOP, 0),
        ("0f05", moves.PLAIN, 0),
        ("83ec18", moves.PLAIN, 0),
        ("66c70424ffff", moves.PLAIN, 0),
        ("48b80102030405060708", moves.PLAIN, 0),
        ("c5f877", moves.PLAIN, 0),
        ("62f17c48100424", moves.PLAIN, 0),
        ("f30f1efa", moves.PLAIN, 0),
    ],
)
def test_each_move(code: str, kind: str, value: int) -> None:
    data = bytes.fromhex(code)
    found = move_at(data + bytes(16), 0)
    assert found == (kind, len(data), value)


@pytest.mark.parametrize("code", ["0618", "48", ""])
def test_what_is_no_instruction(code: str) -> None:
    assert move_at(bytes.fromhex(code), 0) is None


def test_padding() -> None:
    for code in ("90", "6690", "660f1f440000", "662e0f1f840000000000", "cc"):
        data = bytes.fromhex(code)
        found = move_at(data, 0)
        assert found is not None
        assert is_padding(data, 0, found)
    found = move_at(b"\x55", 0)
    assert found is not None
    assert not is_padding(b"\x55", 0, found)


@pytest.mark.skipif(not DEMO.exists(), reason="no prebuilt demo server")
def test_lengths_are_capstones() -> None:
    capstone = pytest.importorskip("capstone")
    machine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    for path in (DEMO, Path(sys.executable)):
        with path.open("rb") as file, ElfFile(file.fileno(), "code") as elf:
            section = elf.section(".text")
            if elf.machine_id != EM_X86_64 or section is None:
                continue
            code = bytes(elf.read(section.addr, min(section.size, 1 << 16)))
        for at, size, name, operands in machine.disasm_lite(code, 0):
            found = move_at(code, at)
            assert found is not None, (name, operands)
            assert found.size == size, (name, operands)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_end(code: bytes) -> None:
    found = move_at(code, 0)
    assert found is None or 0 < found.size <= len(code)
