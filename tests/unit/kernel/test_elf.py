"""Objects: what is read from well-formed ones, and that broken ones end in ObjectError."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hud.errors import ObjectError
from hud.kernel.elf import parse_object
from hud.kernel.spec import MapReference, MapSpec, Variable

LOAD = struct.pack("<BBhiBBhi", 0x18, 1, 0, 0, 0, 0, 0, 0)
MOV_0 = struct.pack("<BBhi", 0xB7, 0, 0, 0)
EXIT = struct.pack("<BBhi", 0x95, 0, 0, 0)


def test_programs_maps_and_variables(small_object):
    spec = parse_object(small_object, "small")
    assert spec.license == "GPL"
    assert list(spec.programs) == ["first", "second"]
    first, second = spec.programs.values()
    assert (first.type, first.target, first.section) == (17, "sched_switch", "raw_tp/sched_switch")
    assert (second.type, second.target) == (5, "sched/sched_wakeup")
    assert spec.maps["events"] == MapSpec("events", 27, 0, 0, 8192)
    assert spec.maps["table"] == MapSpec("table", 1, 4, 8, 10)
    rodata = spec.maps[".rodata"]
    assert rodata.contents == bytes(8) + struct.pack("<Q", 7)
    assert rodata.read_only
    assert rodata.flags == 1 << 7 | 1 << 10
    assert spec.variables == {
        "limit": Variable("limit", ".rodata", 8, 8),
        "target": Variable("target", ".rodata", 0, 4),
    }


def test_called_subprogram_is_appended_and_uncalled_left_out(small_object):
    first = parse_object(small_object, "small").programs["first"]
    # load (2), call, exit; then helper: mov, load (2), exit
    assert len(first.instructions) == 8 * 8
    assert struct.unpack_from("<i", first.instructions, 2 * 8 + 4) == (4 - 2 - 1,)
    assert first.references == (MapReference(0, "events", None), MapReference(5, "table", None))


def test_addend_of_a_data_reference(small_object):
    second = parse_object(small_object, "small").programs["second"]
    assert second.references == (MapReference(0, ".rodata", 8),)


def test_call_inside_one_section_has_no_relocation(object_builder):
    call = struct.pack("<BBhi", 0x85, 0x10, 0, 1)
    data = (
        object_builder()
        .code("raw_tp/x", call + EXIT + MOV_0 + EXIT)
        .function("entry", "raw_tp/x", 0, 2)
        .function("inner", "raw_tp/x", 2, 2, shared=False)
        .bytes()
    )
    spec = parse_object(data, "object")
    assert list(spec.programs) == ["entry"]
    assert spec.programs["entry"].instructions == call + EXIT + MOV_0 + EXIT


def test_recursion_is_linked_once(object_builder):
    call = struct.pack("<BBhi", 0x85, 0x10, 0, -1)
    data = (
        object_builder().code("raw_tp/x", call + EXIT).function("entry", "raw_tp/x", 0, 2).bytes()
    )
    assert parse_object(data, "o").programs["entry"].instructions == call + EXIT


def broken_objects(builder):
    code = MOV_0 + EXIT
    yield "not a little-endian", b""
    yield "not a little-endian", b"\x7fELF\x02\x02" + bytes(100)
    yield "of no known kind", builder().code("fentry/x", code).bytes()
    yield "not whole instructions", builder().code("raw_tp/x", code[:-3]).bytes()
    yield (
        "outside raw_tp/x",
        builder().code("raw_tp/x", code).function("f", "raw_tp/x", 1, 2).bytes(),
    )
    extern = builder().code("raw_tp/x", LOAD + EXIT).function("f", "raw_tp/x", 0, 3)
    extern.symbols.append(("bpf_missing", 0, True, "", 0, 0))
    yield "extern bpf_missing", extern.relocate("raw_tp/x", 0, "bpf_missing", 1).bytes()
    unknown = builder().code("raw_tp/x", LOAD + EXIT).function("f", "raw_tp/x", 0, 3)
    unknown.section(".data", bytes(8)).variable("v", ".data", 0, 8)
    yield "unknown relocation 77", unknown.relocate("raw_tp/x", 0, "v", 77).bytes()
    lost = builder().code("raw_tp/x", LOAD + EXIT).function("f", "raw_tp/x", 0, 3)
    lost.section(".maps", bytes(8)).section(".BTF", b"").variable("m", ".maps", 0, 8)
    yield "truncated header", lost.relocate("raw_tp/x", 0, "m", 1).bytes()
    wild = builder().code("raw_tp/x", struct.pack("<BBhi", 0x85, 0x10, 0, 500) + EXIT)
    yield "leads to no function", wild.function("f", "raw_tp/x", 0, 2).bytes()
    forged = LOAD[:1] + b"\x11" + LOAD[2:]
    yield (
        "names a descriptor",
        builder().code("raw_tp/x", forged + EXIT).function("f", "raw_tp/x", 0, 3).bytes(),
    )
    split = builder().code("raw_tp/x", LOAD + EXIT).function("f", "raw_tp/x", 0, 1)
    yield "ends inside an instruction", split.bytes()
    pointers = builder().code("raw_tp/x", code).function("f", "raw_tp/x", 0, 2)
    pointers.section(".data", bytes(8)).variable("v", ".data", 0, 8)
    yield "pointers inside .data", pointers.relocate(".data", 0, "v", 2).bytes()


def test_broken_objects_say_what_is_wrong(object_builder):
    for expected, data in broken_objects(object_builder):
        with pytest.raises(ObjectError, match=expected):
            parse_object(data, "broken")


def test_undeclared_map(object_builder, btf_builder):
    data = (
        object_builder()
        .code("raw_tp/x", LOAD + EXIT)
        .function("f", "raw_tp/x", 0, 3)
        .section(".maps", bytes(8))
        .section(".BTF", btf_builder().bytes(), flags=0)
        .variable("ghost", ".maps", 0, 8)
        .relocate("raw_tp/x", 0, "ghost", 1)
        .bytes()
    )
    with pytest.raises(ObjectError, match=r"map ghost used at .* is not declared"):
        parse_object(data, "o")


def test_pinned_map_refused(object_builder, btf_builder):
    types = btf_builder()
    number = types.pointer(types.array(types.integer("int", 4), 1))
    declaration = types.composite("", 8, [("type", number, 0), ("pinning", number, 64)])
    types.section(".maps", [(types.variable("kept", declaration), 0, 8)])
    data = object_builder().section(".maps", bytes(8)).section(".BTF", types.bytes(), flags=0)
    with pytest.raises(ObjectError, match="map kept: pinning not supported"):
        parse_object(data.bytes(), "o")


def test_endless_types_refused(object_builder, btf_builder):
    types = btf_builder()
    types.typedef("loop", 1)
    types.section(".maps", [(types.variable("m", 1), 0, 8)])
    data = object_builder().section(".maps", bytes(8)).section(".BTF", types.bytes(), flags=0)
    with pytest.raises(ObjectError, match="modifiers without end"):
        parse_object(data.bytes(), "o")


def spec_or_error(data: bytes) -> None:
    started = time.monotonic()
    try:
        spec = parse_object(data, "fuzzed")
    except ObjectError as error:
        assert "fuzzed" in str(error)
    else:
        for program in spec.programs.values():
            assert len(program.instructions) % 8 == 0
            for reference in program.references:
                assert reference.map in spec.maps
    assert time.monotonic() - started < 20


FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=6,
)


def changed(data: bytes, changes: list[tuple[float, bytes]]) -> bytes:
    out = bytearray(data)
    for where, new in changes:
        at = int(where * len(data))
        out[at : at + len(new)] = new
    return bytes(out[: len(data)])


@FUZZ
@given(changes=CHANGES)
def test_mutated_small_object(small_object, changes):
    spec_or_error(changed(small_object, changes))


@FUZZ
@given(changes=CHANGES)
def test_mutated_real_object(prebuilt_object, changes):
    spec_or_error(changed(prebuilt_object, changes))


@FUZZ
@given(share=st.floats(0, 1))
def test_truncated_objects(prebuilt_object, small_object, share):
    for data in (prebuilt_object, small_object):
        cut = data[: int(len(data) * share)]
        if len(cut) < len(data):
            with pytest.raises(ObjectError):
                parse_object(cut, "cut")


@FUZZ
@given(data=st.binary(max_size=400))
def test_noise_behind_a_good_head(small_object, data):
    spec_or_error(small_object[:64] + data)


@FUZZ
@given(
    section=st.integers(0, 14),
    field=st.sampled_from([0, 4, 8, 24, 32, 40, 44, 56]),
    value=st.sampled_from([0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 20]),
)
def test_hostile_section_headers(small_object, section, field, value):
    data = bytearray(small_object)
    (table,) = struct.unpack_from("<Q", data, 40)
    at = table + section * 64 + field
    if at + 4 <= len(data):
        struct.pack_into("<I", data, at, value)
    spec_or_error(bytes(data))


def test_specs_are_pure(prebuilt_object):
    first = parse_object(prebuilt_object, "hud")
    second = parse_object(prebuilt_object, "hud")
    assert first.programs == second.programs
    assert first.maps == second.maps
    assert first.variables == second.variables
