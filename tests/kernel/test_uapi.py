"""The transcribed structures against the running kernel's own description of them."""

from __future__ import annotations

import ctypes

import pytest

from hud.kernel import btf, uapi

pytestmark = pytest.mark.kernel

# The kernel has two members of this name, in structures of their own.
RENAMED = {"multi_flags": "flags"}
NAMED_MEMBER = {
    "bpf_attr_batch": "batch",
    "bpf_attr_raw_tracepoint": "raw_tracepoint",
    "bpf_attr_link_create": "link_create",
    "bpf_attr_link_create_uprobe_multi": "link_create",
    "bpf_attr_enable_stats": "enable_stats",
    "bpf_attr_info": "info",
}


@pytest.fixture(scope="module")
def kernel(need):
    need(btf.KERNEL_BTF.exists(), "/sys/kernel/btf/vmlinux")
    return btf.kernel_btf()


def offsets(kernel, type_id, base=0):
    """Every name in a structure or union -> {(byte offset, size)}, anonymous members included."""
    found: dict[str, set[tuple[int, int]]] = {}
    for member in kernel.members(kernel.bare(type_id)):
        at = base + member.bit_offset // 8
        name = kernel.name(member.name_offset)
        inner = kernel.bare(member.type_id)
        if name:
            found.setdefault(name, set()).add((at, kernel.size(member.type_id)))
        if inner.kind in btf.COMPOSITES:
            for other, places in offsets(kernel, inner.id, at).items():
                found.setdefault(other, set()).update(places)
    return found


STRUCTURES = [
    cls
    for name, cls in vars(uapi).items()
    if isinstance(cls, type) and issubclass(cls, ctypes.Structure)
]


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda cls: cls.__name__)
def test_layout(kernel, structure):
    name = structure.__name__
    if name.startswith("bpf_attr"):
        (type_id,) = kernel.named("bpf_attr", (btf.UNION,))
    else:
        (type_id,) = kernel.named(name, (btf.STRUCT,))
    inside = NAMED_MEMBER.get(name)
    if inside:
        record = kernel.bare(type_id)
        type_id = next(
            member.type_id
            for member in kernel.members(record)
            if kernel.name(member.name_offset) == inside
        )
    there = offsets(kernel, type_id)
    for field, *_ in structure._fields_:
        mine = getattr(structure, field)
        if name == "perf_event_attr" and field == "flags":
            assert mine.offset == 40  # the word of bit fields behind read_format
            assert {(40, 8)} <= there["disabled"]
            continue
        known = RENAMED.get(field, field)
        if known not in there:
            assert field.startswith("__reserved"), field
            continue
        assert (mine.offset, mine.size) in there[known], field


def enum_values(kernel, name):
    (type_id,) = kernel.named(name, btf.ENUMS)
    return {kernel.name(at): value for at, value in kernel.enumerators(kernel.type(type_id))}


@pytest.mark.parametrize(
    "enum",
    [
        "bpf_cmd",
        "bpf_map_type",
        "bpf_prog_type",
        "bpf_attach_type",
        "bpf_core_relo_kind",
        "perf_type_id",
        "perf_sw_ids",
    ],
)
def test_enumerators(kernel, enum):
    values = enum_values(kernel, enum)
    compared = {name: value for name, value in vars(uapi).items() if name in values}
    assert compared
    assert compared == {name: values[name] for name in compared}


def test_every_command_and_type_is_known(kernel):
    known: dict[str, int] = {}
    for enum in ("bpf_cmd", "bpf_map_type", "bpf_prog_type", "bpf_core_relo_kind", "perf_sw_ids"):
        known |= enum_values(kernel, enum)
    prefixes = ("BPF_MAP_TYPE_", "BPF_PROG_TYPE_", "BPF_CORE_", "PERF_COUNT_SW_")
    mine = {name for name in vars(uapi) if name.startswith(prefixes)}
    assert mine <= set(known)
