"""Reads attribute values by their form, and knows how to step over each form.

The step over a value is a count of bytes, or one of the negative codes below where the bytes
themselves say how long it is. Source: DWARF 5, section 7.5.6.

Positions only grow, so none is ever negative, and reading one byte past the end is an IndexError:
``hud.symbols.dwarf.reader`` turns it into FormatError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw

if TYPE_CHECKING:
    from collections.abc import Iterable

Bytes: TypeAlias = "bytes | memoryview"
Value: TypeAlias = "int | bytes"

MASK64 = (1 << 64) - 1

STEP_ULEB, STEP_BLOCK, STEP_STRING = -1, -2, -3
STEP_BLOCK1, STEP_BLOCK2, STEP_BLOCK4, STEP_INDIRECT = -4, -5, -6, -7

_SIZES = {
    dw.DW_FORM_DATA1: 1,
    dw.DW_FORM_DATA2: 2,
    dw.DW_FORM_DATA4: 4,
    dw.DW_FORM_DATA8: 8,
    dw.DW_FORM_DATA16: 16,
    dw.DW_FORM_FLAG: 1,
    dw.DW_FORM_FLAG_PRESENT: 0,
    dw.DW_FORM_IMPLICIT_CONST: 0,
    dw.DW_FORM_REF1: 1,
    dw.DW_FORM_REF2: 2,
    dw.DW_FORM_REF4: 4,
    dw.DW_FORM_REF8: 8,
    dw.DW_FORM_REF_SIG8: 8,
    dw.DW_FORM_REF_SUP4: 4,
    dw.DW_FORM_REF_SUP8: 8,
    dw.DW_FORM_STRX1: 1,
    dw.DW_FORM_STRX2: 2,
    dw.DW_FORM_STRX3: 3,
    dw.DW_FORM_STRX4: 4,
    dw.DW_FORM_ADDRX1: 1,
    dw.DW_FORM_ADDRX2: 2,
    dw.DW_FORM_ADDRX3: 3,
    dw.DW_FORM_ADDRX4: 4,
}
_OFFSETS = frozenset(
    {
        dw.DW_FORM_STRP,
        dw.DW_FORM_SEC_OFFSET,
        dw.DW_FORM_LINE_STRP,
        dw.DW_FORM_STRP_SUP,
        dw.DW_FORM_REF_ADDR,
        dw.DW_FORM_GNU_REF_ALT,
        dw.DW_FORM_GNU_STRP_ALT,
    }
)
_STEPS = {
    dw.DW_FORM_UDATA: STEP_ULEB,
    dw.DW_FORM_SDATA: STEP_ULEB,
    dw.DW_FORM_REF_UDATA: STEP_ULEB,
    dw.DW_FORM_STRX: STEP_ULEB,
    dw.DW_FORM_ADDRX: STEP_ULEB,
    dw.DW_FORM_LOCLISTX: STEP_ULEB,
    dw.DW_FORM_RNGLISTX: STEP_ULEB,
    dw.DW_FORM_GNU_ADDR_INDEX: STEP_ULEB,
    dw.DW_FORM_GNU_STR_INDEX: STEP_ULEB,
    dw.DW_FORM_EXPRLOC: STEP_BLOCK,
    dw.DW_FORM_BLOCK: STEP_BLOCK,
    dw.DW_FORM_BLOCK1: STEP_BLOCK1,
    dw.DW_FORM_BLOCK2: STEP_BLOCK2,
    dw.DW_FORM_BLOCK4: STEP_BLOCK4,
    dw.DW_FORM_STRING: STEP_STRING,
    dw.DW_FORM_INDIRECT: STEP_INDIRECT,
}
_BLOCK_PREFIX = {STEP_BLOCK1: 1, STEP_BLOCK2: 2, STEP_BLOCK4: 4}


def uleb(data: Bytes, pos: int) -> tuple[int, int]:
    """(value, next position) of an unsigned LEB128 of at most ten bytes."""
    value = data[pos]
    if value < 128:
        return value, pos + 1
    value &= 127
    shift = 7
    while shift < 70:
        pos += 1
        byte = data[pos]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & MASK64, pos + 1
        shift += 7
    raise FormatError("dwarf: a LEB128 number longer than ten bytes")


def sleb(data: Bytes, pos: int) -> tuple[int, int]:
    """(value, next position) of a signed LEB128 of at most ten bytes."""
    value, end = uleb(data, pos)
    bits = 7 * (end - pos)
    if bits < 64 and value >> (bits - 1) & 1:
        value -= 1 << bits
    elif bits >= 64 and value >> 63:
        value -= 1 << 64
    return value, end


def fixed(data: Bytes, pos: int, size: int) -> int:
    """A little-endian unsigned number of 1 to 16 bytes."""
    chunk = data[pos : pos + size]
    if len(chunk) != size:
        raise FormatError("dwarf: a value reaches outside of its section")
    return int.from_bytes(chunk, "little")


def step_of(form: int, offset_size: int, address_size: int) -> int:
    """How to pass a value of a form; FormatError for a form that no standard defines."""
    size = _SIZES.get(form)
    if size is not None:
        return size
    if form in _OFFSETS:
        return offset_size
    if form == dw.DW_FORM_ADDR:
        return address_size
    step = _STEPS.get(form)
    if step is None:
        raise FormatError(f"dwarf: unknown form {form:#x}")
    return step


def merge_steps(steps: Iterable[int]) -> tuple[int, ...]:
    """The same steps with runs of byte counts added up."""
    merged: list[int] = []
    for step in steps:
        if step >= 0 and merged and merged[-1] >= 0:
            merged[-1] += step
        elif step:
            merged.append(step)
    return tuple(merged)


def skip(data: Bytes, pos: int, steps: tuple[int, ...], offset_size: int, address_size: int) -> int:
    """The position behind values that are passed by these steps."""
    for step in steps:
        if step >= 0:
            pos += step
        elif step == STEP_BLOCK:
            size, pos = uleb(data, pos)
            pos += size
        elif step == STEP_ULEB:
            while data[pos] > 127:
                pos += 1
            pos += 1
        elif step == STEP_STRING:
            pos = string_end(data, pos) + 1
        elif step == STEP_INDIRECT:
            form, pos = uleb(data, pos)
            if form in (dw.DW_FORM_INDIRECT, dw.DW_FORM_IMPLICIT_CONST):
                raise FormatError("dwarf: nested indirect form")
            inner = step_of(form, offset_size, address_size)
            pos = skip(data, pos, (inner,), offset_size, address_size)
        else:
            prefix = _BLOCK_PREFIX[step]
            pos += prefix + fixed(data, pos, prefix)
    return pos


def string_end(data: Bytes, pos: int) -> int:
    """Position of the NUL that ends the string at ``pos``."""
    if isinstance(data, bytes):
        end = data.find(b"\0", pos)
        if end >= 0:
            return end
    else:
        while pos < len(data):
            chunk = bytes(data[pos : pos + 256])
            end = chunk.find(b"\0")
            if end >= 0:
                return pos + end
            pos += len(chunk)
    raise FormatError("dwarf: a string without end")


def read(
    data: Bytes, pos: int, form: int, implicit: int, offset_size: int, address_size: int
) -> tuple[int, Value, int]:
    """(form, value, next position): numbers as int, blocks and inline strings as bytes.

    Offsets, indices and references stay as they are in the file. The form differs from the one
    given only for DW_FORM_indirect.
    """
    if form == dw.DW_FORM_IMPLICIT_CONST:
        return form, implicit, pos
    if form == dw.DW_FORM_FLAG_PRESENT:
        return form, 1, pos
    if form == dw.DW_FORM_SDATA:
        return (form, *sleb(data, pos))
    step = step_of(form, offset_size, address_size)
    if step >= 0:
        return form, fixed(data, pos, step), pos + step
    if step == STEP_ULEB:
        return (form, *uleb(data, pos))
    if step == STEP_INDIRECT:
        form, pos = uleb(data, pos)
        if form in (dw.DW_FORM_INDIRECT, dw.DW_FORM_IMPLICIT_CONST):
            raise FormatError("dwarf: nested indirect form")
        return read(data, pos, form, 0, offset_size, address_size)
    end = skip(data, pos, (step,), offset_size, address_size)
    if end > len(data):
        raise FormatError("dwarf: a value reaches outside of its section")
    if step == STEP_STRING:
        return form, bytes(data[pos : end - 1]), end
    return form, b"", end  # no block is ever looked at


def initial_length(data: Bytes, pos: int) -> tuple[int, int, int]:
    """(offset size, position of the contents, their end) of a unit or table; bounds-checked."""
    length = fixed(data, pos, 4)
    pos += 4
    offset_size = 4
    if length == 0xFFFFFFFF:
        length = fixed(data, pos, 8)
        pos += 8
        offset_size = 8
    elif length >= 0xFFFFFFF0:
        raise FormatError("dwarf: reserved unit length")
    if pos + length > len(data):
        raise FormatError("dwarf: a unit reaches outside of its section")
    return offset_size, pos, pos + length
