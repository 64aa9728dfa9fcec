"""CO-RE: adapts a program to the types of the running kernel (libbpf's relo_core rules).

A local type is in the object's BTF, a target type in the kernel's; a flavour is what follows
``___`` in a local name and is not compared (``task_struct___old``). An access is a path of member
and element numbers. An instruction whose field the kernel lacks is poisoned: replaced by a call
that no kernel knows, which is harmless as long as the verifier finds it unreachable behind a
field-exists check.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError, KernelError, ObjectError
from hud.kernel import uapi
from hud.kernel.btf import (
    ARRAY,
    COMPOSITES,
    ENUMS,
    FLOAT,
    FWD,
    INT,
    PTR,
    Btf,
    Type,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.kernel.spec import CoreRelocation, ProgramSpec

POISON = 195896080
"""0xbad2310, libbpf's number for "bad relocation"; the relocation's number is added."""

DEEPEST = 16
"""How deep anonymous members may nest, and how long an access may be."""

FIELD_KINDS = range(uapi.BPF_CORE_FIELD_BYTE_OFFSET, uapi.BPF_CORE_FIELD_RSHIFT_U64 + 1)
EXISTENCE = frozenset(
    (uapi.BPF_CORE_FIELD_EXISTS, uapi.BPF_CORE_TYPE_EXISTS, uapi.BPF_CORE_ENUMVAL_EXISTS)
)
BYTE_SIZES = {uapi.BPF_B: 1, uapi.BPF_H: 2, uapi.BPF_W: 4, uapi.BPF_DW: 8}
SIZE_BITS = {size: bits for bits, size in BYTE_SIZES.items()}


class AccessStep(NamedTuple):
    """One step of an access: into the member ``name``, or to element ``number`` if it is empty."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Field:
    """Where an access ends."""

    btf: Btf
    type_id: int
    bit_offset: int
    bit_size: int
    """0 unless it is a bit field."""

    def offset_and_size(self) -> tuple[int, int]:
        """(byte offset, bytes) to load: for a bit field the aligned unit that covers it."""
        size = self.btf.size(self.type_id)
        if not self.bit_size:
            return self.bit_offset // 8, size
        if size not in SIZE_BITS:
            raise FormatError("a bit field of no integer type")
        offset = self.bit_offset // 8 // size * size
        while self.bit_offset + self.bit_size > (offset + size) * 8:
            if size >= 8:
                raise FormatError("a bit field that no load covers")
            size *= 2
            offset = self.bit_offset // 8 // size * size
        return offset, size

    def value(self, kind: int) -> int:
        """What a relocation of ``kind`` asks about it."""
        if kind == uapi.BPF_CORE_FIELD_EXISTS:
            return 1
        if kind == uapi.BPF_CORE_FIELD_SIGNED:
            record = self.btf.bare(self.type_id)
            return int(record.kind in (INT, *ENUMS) and self.btf.is_signed(record))
        offset, size = self.offset_and_size()
        if kind == uapi.BPF_CORE_FIELD_BYTE_OFFSET:
            return offset
        if kind == uapi.BPF_CORE_FIELD_BYTE_SIZE:
            return size
        bits = self.bit_size or size * 8
        if kind == uapi.BPF_CORE_FIELD_LSHIFT_U64:
            return 64 - (self.bit_offset + bits - offset * 8)
        return 64 - bits


class Resolved(NamedTuple):
    """The value for an instruction; None = the kernel has no such thing: poison."""

    value: int | None
    local_size: int = 0
    size: int = 0
    """Bytes of the field here and in the kernel, for the width of a load; 0 = leave it."""


def relocate(program: ProgramSpec, local: Btf, target: Btf | None) -> tuple[bytes, dict[int, str]]:
    """``program``'s instructions for the kernel described by ``target``.

    Returns them with what was poisoned: the number in the poisoned call -> a name for people.
    ObjectError if a relocation makes no sense, KernelError if it needs a target and there is none.
    """
    code = bytearray(program.instructions)
    poisoned: dict[int, str] = {}
    known: dict[tuple[int, int, str], Resolved] = {}
    for number, relocation in enumerate(program.core):
        what = relocation.kind, relocation.type_id, relocation.access
        try:
            outcome = known.get(what)
            if outcome is None:
                outcome = known[what] = resolve(relocation, local, target)
            if outcome.value is None or not _patch(code, relocation.index, outcome):
                poisoned[POISON + number] = describe(relocation, local)
                _poison(code, relocation.index, POISON + number)
        except FormatError as error:
            raise ObjectError(f"program {program.name}: {error.message}") from error
    return bytes(code), poisoned


def essential(name: str) -> str:
    """``name`` without its flavour."""
    at = name.find("___")
    return name if at <= 0 else name[:at]


def describe(relocation: CoreRelocation, local: Btf) -> str:
    """The field, type or enumerator that it is about: ``task_struct.thread.fsbase``."""
    record = local.type(relocation.type_id)
    name = essential(local.name(record.name_offset))
    if relocation.kind in FIELD_KINDS:
        steps, _ = _local_access(local, relocation)
        parts = "".join(f".{step.name}" if step.name else f"[{step.number}]" for step in steps[1:])
        return f"{name}{parts}"
    if relocation.kind in (uapi.BPF_CORE_ENUMVAL_EXISTS, uapi.BPF_CORE_ENUMVAL_VALUE):
        return f"{name}::{_enumerator(local, relocation)[0]}"
    return name


def resolve(relocation: CoreRelocation, local: Btf, target: Btf | None) -> Resolved:
    """The value that ``relocation`` has on the target."""
    kind = relocation.kind
    if kind == uapi.BPF_CORE_TYPE_ID_LOCAL:
        return Resolved(relocation.type_id)
    if target is None:
        raise KernelError(
            f"kernel types (BTF) needed for {describe(relocation, local)}",
            hint="give a BTF file of this kernel with --btf FILE",
        )
    record = local.type(relocation.type_id)
    name = essential(local.name(record.name_offset))
    if not name:
        raise FormatError("a relocation of a type without a name")
    kinds = ENUMS if record.kind in ENUMS else (record.kind,)
    candidates = target.named(name, kinds)
    if kind in FIELD_KINDS:
        return _field(relocation, local, target, candidates)
    if kind in (uapi.BPF_CORE_ENUMVAL_EXISTS, uapi.BPF_CORE_ENUMVAL_VALUE):
        wanted = essential(_enumerator(local, relocation)[0]).encode()
        values = {
            value
            for candidate in candidates
            for offset, value in target.enumerators(target.type(candidate))
            if target.is_name(offset, wanted)
        }
        return _only(kind, name, {1} if values and kind in EXISTENCE else values)
    if kind == uapi.BPF_CORE_TYPE_EXISTS:
        return Resolved(int(bool(candidates)))
    if kind == uapi.BPF_CORE_TYPE_SIZE:
        return _only(kind, name, {target.size(candidate) for candidate in candidates})
    if kind == uapi.BPF_CORE_TYPE_ID_TARGET:
        return Resolved(candidates[0] if candidates else None)
    raise FormatError(f"CO-RE relocation of kind {kind} not supported")


def _only(kind: int, name: str, values: set[int]) -> Resolved:
    if len(values) > 1:
        raise FormatError(f"{name} means several things in this kernel")
    if values:
        return Resolved(values.pop())
    return Resolved(0 if kind in EXISTENCE else None)


# --------------------------------------------------------------------------- accesses


def _numbers(access: str) -> list[int]:
    parts = access.split(":")
    if len(parts) > DEEPEST or not all(p.isascii() and p.isdecimal() for p in parts):
        raise FormatError(f"access {access[:40]!r} not understood")
    return [int(part[:10]) for part in parts]


def _enumerator(local: Btf, relocation: CoreRelocation) -> tuple[str, int]:
    record = local.type(relocation.type_id)
    (number,) = _numbers(relocation.access)[:1]
    if record.kind not in ENUMS or number >= record.vlen:
        raise FormatError("a relocation of an enumerator that is not there")
    for position, (offset, value) in enumerate(local.enumerators(record)):
        if position == number:
            return local.name(offset), value
    raise AssertionError


def _local_access(local: Btf, relocation: CoreRelocation) -> tuple[list[AccessStep], Field]:
    """Names along an access, anonymous members left out, and where it ends in the object."""
    first, *numbers = _numbers(relocation.access)
    steps = [AccessStep("", first)]
    type_id = relocation.type_id
    bits, width = (first * local.size(type_id) * 8 if first else 0), 0
    for number in numbers:
        record = local.bare(type_id)
        if record.kind in COMPOSITES and number < record.vlen:
            member = local.member(record, number)
            name = local.name(member.name_offset)
            if name:
                steps.append(AccessStep(name, 0))
            bits, width, type_id = bits + member.bit_offset, member.bit_size, member.type_id
        elif record.kind == ARRAY:
            type_id, _ = local.array(record)
            steps.append(AccessStep("", number))
            bits, width = bits + number * local.size(type_id) * 8, 0
        else:
            raise FormatError(f"access {relocation.access[:40]!r} leads nowhere")
    return steps, Field(local, type_id, bits, width)


def _field(relocation: CoreRelocation, local: Btf, target: Btf, candidates: list[int]) -> Resolved:
    steps, here = _local_access(local, relocation)
    kind = relocation.kind
    outcomes = set()
    for candidate in candidates:
        there = _follow(target, candidate, steps, here)
        if there is None:
            continue
        if kind == uapi.BPF_CORE_FIELD_BYTE_OFFSET and not (here.bit_size or there.bit_size):
            outcomes.add(
                Resolved(there.value(kind), here.offset_and_size()[1], _width(here, there))
            )
        else:
            outcomes.add(Resolved(there.value(kind)))
    if len(outcomes) > 1:
        raise FormatError(f"{describe(relocation, local)} has several places in this kernel")
    return outcomes.pop() if outcomes else Resolved(0 if kind in EXISTENCE else None)


def _width(here: Field, there: Field) -> int:
    """Bytes that a load of the field may take in the kernel; -1 = a load cannot follow the change.

    Only pointers and unsigned integers survive a change of size.
    """
    old, new = here.offset_and_size()[1], there.offset_and_size()[1]
    if old == new:
        return new
    kinds = []
    for field in (here, there):
        record = field.btf.bare(field.type_id)
        kinds.append((record.kind, record.kind == INT and field.btf.is_signed(record)))
    return new if kinds in ([(PTR, False)] * 2, [(INT, False)] * 2) else -1


def _follow(target: Btf, type_id: int, steps: list[AccessStep], here: Field) -> Field | None:
    """The same path by names in the target; None where it has no such field."""
    first = steps[0].number
    bits, width = (first * target.size(type_id) * 8 if first else 0), 0
    for step in steps[1:]:
        record = target.bare(type_id)
        if step.name:
            found = (
                _member(target, record, step.name.encode(), 0)
                if record.kind in COMPOSITES
                else None
            )
            if found is None:
                return None
            offset, width, type_id = found
            bits += offset
        else:
            if record.kind != ARRAY:
                return None
            type_id, count = target.array(record)
            if count and step.number >= count:
                return None
            bits, width = bits + step.number * target.size(type_id) * 8, 0
    if not _compatible(here.btf, here.type_id, target, type_id):
        return None
    return Field(target, type_id, bits, width)


def _member(btf: Btf, record: Type, name: bytes, depth: int) -> tuple[int, int, int] | None:
    """(bit offset, bit size, type id) of a member, searched inside anonymous ones too."""
    if depth > DEEPEST:
        raise FormatError("anonymous members nested too deep")
    nested = []
    for member in btf.members(record):
        if btf.is_name(member.name_offset, name):
            return member.bit_offset, member.bit_size, member.type_id
        if not member.name_offset:
            nested.append(member)
    for member in nested:
        inner = btf.bare(member.type_id)
        if inner.kind in COMPOSITES:
            found = _member(btf, inner, name, depth + 1)
            if found:
                return member.bit_offset + found[0], found[1], found[2]
    return None


def _compatible(local: Btf, local_id: int, target: Btf, target_id: int) -> bool:
    """Whether a field may stand for another: the same sort of thing, whatever its size."""
    for _ in range(DEEPEST):
        here, there = local.bare(local_id), target.bare(target_id)
        if here.kind in COMPOSITES and there.kind in COMPOSITES:
            return True
        if here.kind in ENUMS and there.kind in ENUMS:
            return _same_name(local, here, target, there)
        if here.kind != there.kind:
            return False
        if here.kind in (PTR, FLOAT, INT):
            return True
        if here.kind == FWD:
            return _same_name(local, here, target, there)
        if here.kind != ARRAY:
            return False
        local_id, target_id = local.array(here)[0], target.array(there)[0]
    raise FormatError("arrays nested too deep")


def _same_name(local: Btf, here: Type, target: Btf, there: Type) -> bool:
    """A name on one side only does not count."""
    names = [
        essential(btf.name(record.name_offset)) for btf, record in ((local, here), (target, there))
    ]
    return not all(names) or names[0] == names[1]


# --------------------------------------------------------------------------- instructions


def _patch(code: bytearray, index: int, outcome: Resolved) -> bool:
    """Put the value in; False if the instruction cannot take it and must be poisoned."""
    at = index * 8
    if at + 8 > len(code) or outcome.value is None:
        raise FormatError("a CO-RE relocation outside the program")
    value = outcome.value
    opcode = code[at]
    group = opcode & 0x07
    if group in (uapi.BPF_ALU, uapi.BPF_ALU64) and not opcode & 0x08:
        if value > 0xFFFFFFFF or (group == uapi.BPF_ALU64 and value > 0x7FFFFFFF):
            return False
        struct.pack_into("<I", code, at + 4, value)
    elif group in (uapi.BPF_LDX, uapi.BPF_ST, uapi.BPF_STX):
        if outcome.size < 0 or value > 0x7FFF:
            return False
        width = BYTE_SIZES[opcode & 0x18]
        if outcome.size and outcome.size != outcome.local_size:
            if width != outcome.local_size or outcome.size not in SIZE_BITS:
                return False
            code[at] = opcode & ~0x18 | SIZE_BITS[outcome.size]
        struct.pack_into("<h", code, at + 2, value)
    elif opcode == uapi.BPF_LD | uapi.BPF_DW | uapi.BPF_IMM and at + 16 <= len(code):
        struct.pack_into("<I", code, at + 4, value & 0xFFFFFFFF)
        struct.pack_into("<I", code, at + 12, value >> 32)
    else:
        raise FormatError("a CO-RE relocation of an instruction without a place for it")
    return True


def _poison(code: bytearray, index: int, number: int) -> None:
    if index * 8 + 8 > len(code):
        raise FormatError("a CO-RE relocation outside the program")
    for at in tuple(_instruction_slots(code, index)):
        struct.pack_into("<BBhi", code, at, uapi.BPF_JMP | uapi.BPF_CALL, 0, 0, number)


def _instruction_slots(code: bytearray, index: int) -> Iterator[int]:
    yield index * 8
    if code[index * 8] == uapi.BPF_LD | uapi.BPF_DW | uapi.BPF_IMM and index * 8 + 16 <= len(code):
        yield index * 8 + 8
