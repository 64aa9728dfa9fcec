"""BTF: records, names, sizes, and hostile bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hud.errors import FormatError, KernelError
from hud.kernel import btf
from hud.kernel.btf import Btf


@pytest.fixture
def sample(btf_builder):
    types = btf_builder()
    u32 = types.integer("u32", 4)
    s64 = types.integer("s64", 8, signed=True)
    numbers = types.array(u32, 6)
    types.composite("pair", 32, [("left", u32, 0), ("", s64, 64), ("many", numbers, 128)])
    types.composite("bits", 8, [("low", u32, 3 << 24), ("high", u32, 5 << 24 | 3)], flag=True)
    types.enum("colour", [("RED", 1), ("BLUE", -2)])
    # The word after this name looks like another record's head.
    types.typedef("pair", 4)
    types.typedef("btf_trace_x", types.pointer(types.add(13, "", 0, [0, u32, 0, s64], 2)))
    return types.bytes()


def test_names_lead_to_types(sample):
    read = Btf(sample, "sample")
    assert read.named("pair", (btf.STRUCT,)) == [4]
    assert read.named("pair", (btf.TYPEDEF,)) == [7]
    assert read.named("pair", (btf.STRUCT, btf.TYPEDEF)) == [4, 7]
    assert read.named("left", (btf.STRUCT,)) == []
    assert read.named("nowhere", (btf.STRUCT,)) == []
    assert read.named("", (btf.STRUCT,)) == []


def test_members_bits_sizes_and_enumerators(sample):
    read = Btf(sample, "sample")
    pair = read.type(4)
    assert [(read.name(m.name_offset), m.type_id, m.bit_offset) for m in read.members(pair)] == [
        ("left", 1, 0),
        ("", 2, 64),
        ("many", 3, 128),
    ]
    assert read.member(pair, 2).bit_offset == 128
    bits = [(m.bit_offset, m.bit_size) for m in read.members(read.type(5))]
    assert bits == [(0, 3), (3, 5)]
    assert read.size(3) == 24
    assert read.size(7) == 32
    assert read.is_signed(read.type(2))
    assert not read.is_signed(read.type(1))
    colours = read.type(6)
    assert [value for _, value in read.enumerators(colours)] == [1, 0xFFFFFFFE]


def test_unknown_ids_and_names_are_refused(sample):
    read = Btf(sample, "sample")
    with pytest.raises(FormatError, match="no type 99"):
        read.type(99)
    with pytest.raises(FormatError, match="has no member 3"):
        read.member(read.type(4), 3)
    with pytest.raises(FormatError, match="outside the strings"):
        read.name(1 << 20)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated header"),
        (bytes(24), "little-endian"),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 4, 4, 100), "outside the file"),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 4, 0, 0, 0, 0), "outside the file"),
    ],
)
def test_broken_headers(data, message):
    with pytest.raises(FormatError, match=message):
        Btf(data, "broken")


def test_last_type_cut_short(btf_builder):
    types = btf_builder()
    types.composite("pair", 8, [("a", 1, 0)])
    types.records[0] = types.records[0][:4] + struct.pack("<I", 4 << 24 | 2) + types.records[0][8:]
    read = Btf(types.bytes(), "cut")
    with pytest.raises(FormatError, match="truncated type"):
        read.named("pair", (btf.STRUCT,))
    with pytest.raises(FormatError, match="truncated type"):
        read.type(1)


def test_arrays_of_themselves_end(btf_builder):
    types = btf_builder()
    types.array(1, 2)
    with pytest.raises(FormatError, match="arrays without end"):
        Btf(types.bytes(), "loop").size(1)


def visit(data: bytes) -> None:
    """Ask for everything; only FormatError may come out."""
    try:
        read = Btf(data, "fuzzed")
        read.named("pair", (btf.STRUCT,))
        for type_id in range(1, 16):
            record = read.type(type_id)
            read.name(record.name_offset)
            if record.kind in btf.COMPOSITES:
                list(read.members(record))
            elif record.kind in btf.ENUMS:
                list(read.enumerators(record))
            read.size(type_id)
    except FormatError as error:
        assert "fuzzed" in str(error)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 60),
)
def test_mutated_bytes(sample, changes, cut):
    data = bytearray(sample)
    for at, value in changes:
        data[at % len(data)] = value
    visit(bytes(data[: len(data) - cut]))


def test_sources_are_tried_in_order(tmp_path, sample):
    with pytest.raises(KernelError, match="BTF") as nothing:
        btf.kernel_btf(root=tmp_path, release="6.1.0")
    assert "--btf FILE" in nothing.value.hint
    assert str(tmp_path / "boot/vmlinux-6.1.0") in nothing.value.detail

    debug = tmp_path / "usr/lib/debug/boot"
    debug.mkdir(parents=True)
    (debug / "vmlinux-6.1.0").write_bytes(sample)
    assert btf.kernel_btf(root=tmp_path, release="6.1.0").origin.endswith(
        "debug/boot/vmlinux-6.1.0"
    )

    live = tmp_path / "sys/kernel/btf"
    live.mkdir(parents=True)
    (live / "vmlinux").write_bytes(b"broken")
    assert "debug" in btf.kernel_btf(root=tmp_path, release="6.1.0").origin
    (live / "vmlinux").write_bytes(sample)
    assert btf.kernel_btf(root=tmp_path, release="6.1.0").origin == str(live / "vmlinux")


def test_explicit_path_wins_and_its_errors_count(tmp_path, sample, object_builder):
    raw = tmp_path / "raw"
    raw.write_bytes(sample)
    assert btf.kernel_btf(raw, root=tmp_path).named("pair", (btf.STRUCT,)) == [4]
    image = tmp_path / "vmlinux"
    image.write_bytes(object_builder().section(".BTF", sample).bytes())
    assert btf.kernel_btf(image, root=tmp_path).named("pair", (btf.STRUCT,)) == [4]
    image.write_bytes(object_builder().bytes())
    with pytest.raises(KernelError, match=r"no \.BTF section"):
        btf.kernel_btf(image, root=tmp_path)
    with pytest.raises(KernelError, match="no such file"):
        btf.kernel_btf(tmp_path / "absent", root=tmp_path)
