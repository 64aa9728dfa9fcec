"""CO-RE between two sets of types assembled by hand, and from hud's programs to real kernels."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import pytest

from hud.errors import KernelError, ObjectError
from hud.kernel import core, uapi
from hud.kernel.btf import ENUM, STRUCT, TYPEDEF, Btf
from hud.kernel.elf import parse_object
from hud.kernel.spec import CoreRelocation, ProgramSpec

OFFSET, SIZE, EXISTS, SIGNED, LEFT, RIGHT = range(6)
MOV = struct.pack("<BBhi", 0xB7, 1, 0, 0)
LOAD_4 = struct.pack("<BBhi", 0x61, 0x11, 0, 0)
LOAD_8 = struct.pack("<BBhi", 0x79, 0x11, 0, 0)
WIDE = struct.pack("<BBhiBBhi", 0x18, 1, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def types(btf_builder):
    """(local, target): the target has grown, moved fields into anonymous members, and lost one."""
    near, far = btf_builder(), btf_builder()
    n32, n64 = near.integer("u32", 4), near.integer("u64", 8)
    inner = near.composite("thread", 8, [("base", n64, 0)])
    near.composite(
        "task___old",
        64,
        [
            ("pid", n32, 0),
            ("thread", inner, 64),
            ("gone", n32, 128),
            ("slots", near.array(inner, 4), 192),
            ("time", n32, 32),
            ("signed", near.integer("s32", 4, signed=True), 448),
        ],
    )
    near.composite("flags", 4, [("wide", n32, 4 << 24)], flag=True)
    near.enum("state", [("RUNNING", 0), ("DEAD___v2", 1), ("NEVER", 2)])
    near.typedef("handle_t", n32)

    f8, f32, f64 = far.integer("u8", 1), far.integer("u32", 4), far.integer("u64", 8)
    far.add(7, "task", 0)  # a forward declaration of that name
    thread = far.composite("thread", 24, [("pad", f64, 0), ("base", f64, 128)])
    hidden = far.composite("", 16, [("pid", f32, 32), ("time", f64, 64)], union=False)
    far.composite(
        "task",
        256,
        [
            ("first", f8, 0),
            ("", hidden, 64),
            ("thread", thread, 256),
            ("slots", far.array(thread, 2), 512),
            ("signed", f64, 1024),
        ],
    )
    far.composite("flags", 8, [("a", f32, 30 << 24), ("wide", f32, 6 << 24 | 30)], flag=True)
    far.enum("state", [("RUNNING", 5), ("DEAD", 9)])
    return Btf(near.bytes(), "local"), Btf(far.bytes(), "target")


def ids(local: Btf) -> dict[str, int]:
    names = ("task___old", "flags", "state", "handle_t")
    return {name: local.named(name, (STRUCT, ENUM, TYPEDEF))[0] for name in names}


def resolve(types, name, access, kind):
    local, target = types
    relocation = CoreRelocation(0, kind, ids(local)[name], access)
    return core.resolve(relocation, local, target).value


@pytest.mark.parametrize(
    ("access", "kind", "value"),
    [
        ("0:0", OFFSET, 8 + 4),  # into an anonymous member
        ("0:0", SIZE, 4),
        ("0:0", EXISTS, 1),
        ("0:1:0", OFFSET, 32 + 16),
        ("0:1:0", SIZE, 8),
        ("0:2", EXISTS, 0),
        ("0:2", OFFSET, None),
        ("0:2", SIZE, None),
        ("0:3:1:0", OFFSET, 64 + 24 + 16),
        ("0:3:3:0", EXISTS, 0),  # beyond the target's array
        ("2:0", OFFSET, 2 * 256 + 12),
        ("0:4", SIZE, 8),
        ("0:4", SIGNED, 0),
        ("0:5", SIGNED, 0),  # signedness is the target's
        ("0:0", LEFT, 32),
        ("0:0", RIGHT, 32),
    ],
)
def test_fields(types, access, kind, value):
    local, _ = types
    assert "task___old" in ids(local)
    assert resolve(types, "task___old", access, kind) == value


def test_bit_field_across_its_unit(types):
    # bits 30 to 35: no aligned 4-byte load covers them, an 8-byte one does
    assert resolve(types, "flags", "0:0", OFFSET) == 0
    assert resolve(types, "flags", "0:0", SIZE) == 8
    assert resolve(types, "flags", "0:0", LEFT) == 64 - 36
    assert resolve(types, "flags", "0:0", RIGHT) == 64 - 6


def test_types_and_enumerators(types):
    local, target = types
    assert resolve(types, "task___old", "0", uapi.BPF_CORE_TYPE_EXISTS) == 1
    assert resolve(types, "task___old", "0", uapi.BPF_CORE_TYPE_SIZE) == 256
    assert resolve(types, "handle_t", "0", uapi.BPF_CORE_TYPE_EXISTS) == 0
    assert resolve(types, "handle_t", "0", uapi.BPF_CORE_TYPE_SIZE) is None
    found = resolve(types, "task___old", "0", uapi.BPF_CORE_TYPE_ID_TARGET)
    assert target.name(target.type(found).name_offset) == "task"
    assert target.type(found).size_or_type == 256
    own = resolve(types, "task___old", "0", uapi.BPF_CORE_TYPE_ID_LOCAL)
    assert own == ids(local)["task___old"]
    assert resolve(types, "state", "0", uapi.BPF_CORE_ENUMVAL_VALUE) == 5
    assert resolve(types, "state", "1", uapi.BPF_CORE_ENUMVAL_VALUE) == 9
    assert resolve(types, "state", "1", uapi.BPF_CORE_ENUMVAL_EXISTS) == 1
    assert resolve(types, "state", "2", uapi.BPF_CORE_ENUMVAL_EXISTS) == 0
    assert resolve(types, "state", "2", uapi.BPF_CORE_ENUMVAL_VALUE) is None


def relocated(types, code: bytes, access: str, kind: int = OFFSET, name: str = "task___old"):
    local, target = types
    relocation = CoreRelocation(0, kind, ids(local)[name], access)
    program = ProgramSpec("p", "raw_tp/x", 17, 0, "x", code, (), (relocation,))
    return core.relocate(program, local, target)


def test_instructions_take_the_value(types):
    assert relocated(types, MOV, "0:0") == (struct.pack("<BBhi", 0xB7, 1, 0, 12), {})
    assert relocated(types, LOAD_4, "0:0") == (struct.pack("<BBhi", 0x61, 0x11, 12, 0), {})
    code, _ = relocated(types, WIDE, "0:0")
    assert code == struct.pack("<BBhiBBhi", 0x18, 1, 0, 12, 0, 0, 0, 0)


def test_load_follows_a_grown_unsigned_field(types):
    # u32 time became u64: the load grows from 4 to 8 bytes
    assert relocated(types, LOAD_4, "0:4") == (struct.pack("<BBhi", 0x79, 0x11, 16, 0), {})


def test_load_cannot_follow_a_grown_signed_field(types):
    code, poisoned = relocated(types, LOAD_4, "0:5")
    assert code == struct.pack("<BBhi", 0x85, 0, 0, core.POISON)
    assert poisoned == {core.POISON: "task.signed"}


@pytest.mark.parametrize(
    ("code", "access", "name"),
    [(MOV, "0:2", "task.gone"), (LOAD_8, "0:3:3:0", "task.slots[3].base")],
)
def test_missing_field_is_poisoned_and_named(types, code, access, name):
    out, poisoned = relocated(types, code, access)
    assert out == struct.pack("<BBhi", 0x85, 0, 0, 0xBAD2310)
    assert poisoned == {0xBAD2310: name}


def test_wide_load_is_poisoned_in_both_halves(types):
    out, _ = relocated(types, WIDE, "0:2")
    assert out == struct.pack("<BBhi", 0x85, 0, 0, 0xBAD2310) * 2


@pytest.mark.parametrize("access", ["", "x", "0:77", "0:0:0", "-1", ":".join("0" * 40), "0:1:0:²"])
def test_senseless_accesses(types, access):
    with pytest.raises(ObjectError, match="program p: "):
        relocated(types, MOV, access)


def test_relocation_outside_the_program(types):
    local, target = types
    relocation = CoreRelocation(7, OFFSET, ids(local)["task___old"], "0:0")
    program = ProgramSpec("p", "raw_tp/x", 17, 0, "x", MOV, (), (relocation,))
    with pytest.raises(ObjectError, match="outside the program"):
        core.relocate(program, local, target)


def test_no_kernel_types(types):
    local, _ = types
    relocation = CoreRelocation(0, OFFSET, ids(local)["task___old"], "0:1:0")
    program = ProgramSpec("p", "raw_tp/x", 17, 0, "x", MOV, (), (relocation,))
    with pytest.raises(KernelError, match=r"needed for task\.thread\.base") as error:
        core.relocate(program, local, None)
    assert "--btf" in error.value.hint


def test_two_places_are_refused(types, btf_builder):
    local, _ = types
    twice = btf_builder()
    number = twice.integer("u32", 4)
    twice.composite("task", 8, [("pid", number, 0)])
    twice.composite("task", 8, [("pid", number, 32)])
    with pytest.raises(ObjectError, match=r"task\.pid has several places"):
        relocated((local, Btf(twice.bytes(), "twice")), MOV, "0:0")


ROOT = Path(__file__).resolve().parents[3]
KERNELS = sorted((ROOT / "tests" / "data" / "btf").glob("*.btf.xz"))
"""Cut down to what the programs use: tools/kernel_types, to be run when they use more."""
OBJECTS = {"amd64": "hud-x86_64.bpf.o", "arm64": "hud-aarch64.bpf.o"}


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda path: path.name.removesuffix(".btf.xz"))
def test_the_programs_fit_real_kernels(kernel: Path) -> None:
    """Only what another kernel has in its place is missing, and helpers only in old ones."""
    name, _, arch = kernel.name.removesuffix(".btf.xz").rpartition("-")
    release = tuple(int(part) for part in name.partition("-")[0].split("."))
    target = Btf(lzma.decompress(kernel.read_bytes()), kernel.name)
    spec = parse_object((ROOT / "prebuilt" / OBJECTS[arch]).read_bytes(), OBJECTS[arch])
    assert spec.btf is not None
    missing, helpers = set(), {}
    for program in spec.programs.values():
        missing |= set(core.relocate(program, spec.btf, target)[1].values())
        for relocation in program.core:
            if relocation.kind == uapi.BPF_CORE_ENUMVAL_EXISTS:
                helper = core.describe(relocation, spec.btf).rpartition("_FUNC_")[2]
                helpers[helper] = core.resolve(relocation, spec.btf, target).value
    assert missing == {"task_struct.state" if release >= (5, 14) else "task_struct.__state"}
    assert helpers == {
        "get_task_stack": release >= (5, 9),
        "get_current_task_btf": release >= (5, 11),
        "task_pt_regs": release >= (5, 15),
    }


def test_there_are_kernels_to_fit() -> None:
    assert {path.name.partition("-")[0] for path in KERNELS} >= {"5.10", "6.1", "6.12"}


@pytest.mark.parametrize(
    ("code", "last"),
    [(LOAD_4, 0x7FFF), (MOV, 0x7FFFFFFF), (struct.pack("<BBhi", 0xB4, 1, 0, 0), 0xFFFFFFFF)],
)
def test_a_value_that_an_instruction_cannot_take(code: bytes, last: int) -> None:
    """Cut off it would be another one, of another field."""
    taken = bytearray(code)
    assert core._patch(taken, 0, core.Resolved(last))
    assert taken != code
    refused = bytearray(code)
    assert not core._patch(refused, 0, core.Resolved(last + 1))
    assert refused == code


def test_a_load_of_another_width_is_no_load_of_the_field() -> None:
    refused = bytearray(LOAD_4)
    for outcome in (core.Resolved(8, 8, 4), core.Resolved(8, 4, 3), core.Resolved(8, 4, -1)):
        assert not core._patch(refused, 0, outcome)
    assert refused == LOAD_4
    assert core._patch(refused, 0, core.Resolved(8, 4, 8))
    assert refused[:4] == LOAD_8[:2] + bytes((8, 0))
