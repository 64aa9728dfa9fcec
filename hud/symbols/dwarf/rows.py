"""Runs the opcodes of one sequence of a line program.

Sources: DWARF 4 and 5, section 6.2.5.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import NamedTuple

from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.forms import fixed, sleb, uleb

LINE_BITS = 32
LINE_MASK = (1 << LINE_BITS) - 1


class Opcodes(NamedTuple):
    """What the header says about opcodes; the steps are indexed by special opcode."""

    lengths: bytes
    """How many numbers follow each standard opcode, from 1 on."""
    min_step: int
    address_steps: list[int]
    line_steps: list[int]


class Rows(NamedTuple):
    """One decoded sequence: a row covers the addresses up to the next row, the last up to end."""

    addresses: array[int]
    places: array[int]
    """file << LINE_BITS | line."""
    end: int

    def lookup(self, vaddr: int) -> tuple[int, int] | None:
        row = bisect_right(self.addresses, vaddr) - 1
        if row < 0 or vaddr >= self.end:
            return None
        place = self.places[row]
        return place >> LINE_BITS, place & LINE_MASK


def decode(data: bytes, pos: int, opcodes: Opcodes) -> Rows:
    """Run the opcodes of one sequence; a row that repeats the place before it is left out.

    Raises FormatError or IndexError where it does not end.
    """
    lengths, min_step, address_steps, line_steps = opcodes
    opcode_base = len(lengths) + 1
    addresses: array[int] = array("Q")
    places: array[int] = array("Q")
    address, line, file_bits = 0, 1, 1 << LINE_BITS
    last_place, last_address = -1, 0
    in_order = True
    while True:
        op = data[pos]
        pos += 1
        if op >= opcode_base:
            address += address_steps[op]
            line += line_steps[op]
        elif op == dw.DW_LNS_SET_COLUMN:
            while data[pos] > 127:
                pos += 1
            pos += 1
            continue
        elif op == dw.DW_LNS_ADVANCE_LINE:
            step, pos = sleb(data, pos)
            line = line + step & LINE_MASK
            continue
        elif op == dw.DW_LNS_ADVANCE_PC:
            step, pos = uleb(data, pos)
            address += step * min_step
            continue
        elif op == dw.DW_LNS_CONST_ADD_PC:
            address += address_steps[255]
            continue
        elif op == dw.DW_LNS_SET_FILE:
            number, pos = uleb(data, pos)
            file_bits = (number & LINE_MASK) << LINE_BITS
            continue
        elif op == dw.DW_LNS_FIXED_ADVANCE_PC:
            address += fixed(data, pos, 2)
            pos += 2
            continue
        elif op == 0:
            size, pos = uleb(data, pos)
            if size and data[pos] == dw.DW_LNE_SET_ADDRESS:
                address = fixed(data, pos + 1, min(size - 1, 8))
            elif size and data[pos] == dw.DW_LNE_END_SEQUENCE:
                break
            pos += size
            continue
        elif op != dw.DW_LNS_COPY:
            for _ in range(lengths[op - 1]):
                _, pos = uleb(data, pos)
            continue
        place = file_bits | line & LINE_MASK
        if place != last_place:
            if address < last_address:
                in_order = False
            addresses.append(address)
            places.append(place)
            last_place, last_address = place, address
    if not in_order:
        order = sorted(range(len(addresses)), key=addresses.__getitem__)
        addresses = array("Q", [addresses[index] for index in order])
        places = array("Q", [places[index] for index in order])
        address = max(address, addresses[-1])
    return Rows(addresses, places, address)
