"""Puts a program and the subprograms it calls into one run of instructions.

A function is a run of instructions in a code section; positions count 8-byte slots. Only what is
called is appended: the verifier refuses instructions that nothing reaches.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.kernel import uapi
from hud.kernel.spec import CoreRelocation, MapReference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hud.kernel.btfext import CoreRecord

MOST_INSTRUCTIONS = 1_000_000
"""BPF_COMPLEXITY_LIMIT_INSNS of the kernel."""

CALL = uapi.BPF_JMP | uapi.BPF_CALL
LOAD_64 = uapi.BPF_LD | uapi.BPF_DW | uapi.BPF_IMM


class Function(NamedTuple):
    name: str
    start: int
    length: int
    local: bool


class CallSite(NamedTuple):
    """A call whose target a relocation gives."""

    section: int
    start: int


@dataclass(frozen=True, slots=True)
class CodeSection:
    name: str
    data: bytes
    functions: Mapping[int, Function]
    """By their first slot."""
    references: Mapping[int, MapReference | CallSite]
    """By slot in the section."""
    core: Mapping[int, list[CoreRecord]]
    """By slot in the section."""
    types: Mapping[int, int]
    """Type ids of the functions, by their first slot."""


class Linked(NamedTuple):
    instructions: bytes
    references: tuple[MapReference, ...]
    core: tuple[CoreRelocation, ...]
    functions: tuple[tuple[int, int], ...]


def link(sections: Mapping[int, CodeSection], section: int, entry: Function) -> Linked:
    """``entry`` of ``sections[section]`` with everything it calls; FormatError if a call leads
    nowhere."""
    code = bytearray()
    places = {(section, entry.start): 0}
    todo = [(section, entry)]
    calls: list[tuple[int, int, int]] = []
    references: list[MapReference] = []
    core: list[CoreRelocation] = []
    for home, function in todo:
        source = sections[home]
        base = places[home, function.start] = len(code) // 8
        code += source.data[function.start * 8 : (function.start + function.length) * 8]
        if len(code) // 8 > MOST_INSTRUCTIONS:
            raise FormatError("more than a million instructions")
        for slot in _slots(source.data, function):
            at = base + slot - function.start
            reference = source.references.get(slot)
            if isinstance(reference, MapReference):
                references.append(MapReference(at, reference.map, reference.offset))
            elif source.data[slot * 8] == LOAD_64:
                if source.data[slot * 8 + 1] >> 4:
                    raise FormatError(f"a 64-bit load in {function.name} names a descriptor")
            else:
                called = reference or _local_call(source.data, home, slot)
                if called is not None:
                    key = called.section, called.start
                    if key not in places:
                        places[key] = -1
                        todo.append((called.section, _function_at(sections, called)))
                    calls.append((at, *key))
            core += [CoreRelocation(at, *record) for record in source.core.get(slot, ())]
    for at, home, start in calls:
        struct.pack_into("<i", code, at * 8 + 4, places[home, start] - at - 1)
    typed = sorted((at, sections[home].types.get(start, 0)) for (home, start), at in places.items())
    functions = tuple(typed) if all(type_id for _, type_id in typed) else ()
    return Linked(bytes(code), tuple(references), tuple(core), functions)


def _slots(data: bytes, function: Function) -> list[int]:
    """First slots of the instructions: a 64-bit load takes two."""
    slots = []
    slot, end = function.start, function.start + function.length
    while slot < end:
        slots.append(slot)
        slot += 2 if data[slot * 8] == LOAD_64 else 1
    if slot > end:
        raise FormatError(f"function {function.name} ends inside an instruction")
    return slots


def _local_call(data: bytes, section: int, slot: int) -> CallSite | None:
    """clang writes no relocation for a call inside one section."""
    code, registers, _, value = struct.unpack_from("<BBhi", data, slot * 8)
    if code == CALL and registers >> 4 == uapi.BPF_PSEUDO_CALL:
        return CallSite(section, slot + 1 + value)
    return None


def _function_at(sections: Mapping[int, CodeSection], call: CallSite) -> Function:
    home = sections.get(call.section)
    function = home.functions.get(call.start) if home else None
    if function is None:
        where = _nearest(home, call.start) if home else f"section {call.section}"
        raise FormatError(f"a call leads to no function ({where})")
    return function


def _nearest(home: CodeSection, start: int) -> str:
    starts = sorted(home.functions)
    number = bisect_right(starts, start)
    name = home.functions[starts[number - 1]].name if number else home.name
    return f"inside {name}"
