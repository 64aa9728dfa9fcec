"""Map declarations: the variables of ``.maps`` by their BTF, and data sections as arrays.

In ``__uint(max_entries, 64)`` the number is the length of an array type behind a pointer, in
``__type(key, u32)`` the type is what a pointer points to (libbpf's bpf_helpers.h conventions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.kernel import uapi
from hud.kernel.btf import ARRAY, DATASEC, PTR, STRUCT, VAR, Btf, Member
from hud.kernel.spec import MapSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = ("type", "key_size", "value_size", "max_entries", "map_flags")
TYPES = {"key": "key_size", "value": "value_size"}
"""Member of the declaration that names a type -> the number it stands for."""

MOST_MEMBERS = 32
MOST_SIZE = 1 << 28


def declared(btf: Btf) -> Iterator[MapSpec]:
    """The maps that ``.maps`` declares; FormatError for what hud cannot create."""
    for section_id in btf.named(".maps", (DATASEC,)):
        for variable_id, _, _ in btf.variables(btf.type(section_id)):
            variable = btf.type(variable_id)
            if variable.kind != VAR:
                raise FormatError(".maps: holds something that is no variable")
            yield _map(btf, btf.name(variable.name_offset), variable.size_or_type)


def data_map(name: str, contents: bytes, size: int) -> MapSpec:
    """The array of one element that stands for a data section (.bss comes without contents)."""
    read_only = name.startswith(".rodata")
    return MapSpec(
        name=name,
        type=uapi.BPF_MAP_TYPE_ARRAY,
        key_size=4,
        value_size=size,
        max_entries=1,
        flags=uapi.BPF_F_MMAPABLE | (uapi.BPF_F_RDONLY_PROG if read_only else 0),
        contents=contents.ljust(size, b"\0"),
        read_only=read_only,
    )


def _map(btf: Btf, name: str, type_id: int) -> MapSpec:
    record = btf.bare(type_id)
    if record.kind != STRUCT or record.vlen > MOST_MEMBERS:
        raise FormatError(f"map {name}: not declared as a structure")
    numbers = dict.fromkeys(NUMBERS, 0)
    for member in btf.members(record):
        label = btf.name(member.name_offset)
        if label in numbers:
            numbers[label] = _number(btf, name, member)
        elif label in TYPES:
            pointer = btf.bare(member.type_id)
            if pointer.kind != PTR:
                raise FormatError(f"map {name}: {label} is not a pointer to a type")
            numbers[TYPES[label]] = btf.size(pointer.size_or_type)
        else:
            raise FormatError(f"map {name}: {label} not supported")
    if not numbers["type"]:
        raise FormatError(f"map {name}: declared without a type")
    if numbers["type"] == uapi.BPF_MAP_TYPE_PROG_ARRAY:
        numbers["key_size"] = numbers["value_size"] = 4
    if max(numbers["key_size"], numbers["value_size"]) > MOST_SIZE:
        raise FormatError(f"map {name}: keys or values larger than 256 MiB")
    return MapSpec(
        name=name,
        type=numbers["type"],
        key_size=numbers["key_size"],
        value_size=numbers["value_size"],
        max_entries=numbers["max_entries"],
        flags=numbers["map_flags"],
    )


def _number(btf: Btf, name: str, member: Member) -> int:
    pointer = btf.bare(member.type_id)
    array = btf.bare(pointer.size_or_type) if pointer.kind == PTR else pointer
    if pointer.kind != PTR or array.kind != ARRAY:
        raise FormatError(f"map {name}: a number is not declared as one")
    return btf.array(array)[1]
