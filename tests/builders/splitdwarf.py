"""Split debug information: a program with a skeleton, its object, packages of several."""

from __future__ import annotations

import struct
from typing import NamedTuple

from hud.symbols.dwarf import constants as dw
from tests.builders import elfbuild as b
from tests.builders.elfbuild import GNU_ADDR, GNU_STR, TEXT, Die, Info, Sec

STRING, DATA1, DATA2, DATA4, DATA8, REF4 = 0x08, 0x0B, 0x05, 0x06, 0x07, 0x13
SEC_OFFSET, STRX1, ADDRX, RNGLISTX = 0x17, 0x25, 0x1B, 0x23

IDS = (0x1122334455667788, 0x99AABBCCDDEEFF00)
ADDRESSES = (TEXT, TEXT + 0x100, TEXT + 0x800)
LINES = b.line_program(
    b.sequence(TEXT, [(0, 10), (0x20, 20), (0x100, 30), (0x140, 40)], 0x1000),
    directories=["src"],
    files=[("main.rs", 1), ("lib.rs", 1)],
)
PLACES = (TEXT, TEXT + 0x44, TEXT + 0x38)
"""Addresses in outer, in inner, in outer again."""


class Made(NamedTuple):
    """A program whose only unit is a skeleton, and what its object has."""

    program: bytes
    parts: dict[str, bytes]


def _strings(*names: str) -> tuple[bytes, list[int]]:
    data, places = b"", []
    for name in names:
        places.append(len(data))
        data += name.encode() + b"\0"
    return data, places


def make(version: int, dwo_id: int = IDS[0], name: str = "outer") -> Made:
    """``name`` has [0, 0x100); in it ``inner`` is inlined at [0x20, 0x30) and [0x40, 0x50)."""
    old = version < 5
    skeleton = Info()
    attributes: list[tuple[int, int, int | str | bytes]] = [
        (dw.DW_AT_COMP_DIR, STRING, "/build"),
        (dw.DW_AT_STMT_LIST, SEC_OFFSET, 0),
        (dw.DW_AT_LOW_PC, 0x01, TEXT),
        (dw.DW_AT_HIGH_PC, DATA4, 0x1000),
        (dw.DW_AT_GNU_DWO_NAME if old else dw.DW_AT_DWO_NAME, STRING, f"{name}.dwo"),
        # the addresses before it are another unit's
        (dw.DW_AT_GNU_ADDR_BASE if old else dw.DW_AT_ADDR_BASE, SEC_OFFSET, 8),
    ]
    if old:
        attributes.append((dw.DW_AT_GNU_RANGES_BASE, SEC_OFFSET, 16))
        attributes.append((dw.DW_AT_GNU_DWO_ID, DATA8, dwo_id))
    tag, kinds = (0x11, (1, 1)) if old else (0x4A, (4, 5))
    skeleton.unit(Die(tag, attributes), version=version, kind=kinds[0], dwo_id=dwo_id)

    addr, strx = (GNU_ADDR, GNU_STR) if old else (ADDRX, STRX1)
    inner = Die(dw.DW_TAG_SUBPROGRAM, [(dw.DW_AT_LINKAGE_NAME, strx, 1)], label="inner")
    call = Die(
        dw.DW_TAG_INLINED_SUBROUTINE,
        [
            (dw.DW_AT_ABSTRACT_ORIGIN, REF4, "inner"),
            (dw.DW_AT_RANGES, SEC_OFFSET if old else RNGLISTX, 0),
            (dw.DW_AT_CALL_FILE, DATA1, 1),
            (dw.DW_AT_CALL_LINE, DATA2, 7),
        ],
    )
    outer = Die(
        dw.DW_TAG_SUBPROGRAM,
        [
            (dw.DW_AT_LINKAGE_NAME, strx, 0),
            (dw.DW_AT_LOW_PC, addr, 0),
            (dw.DW_AT_HIGH_PC, DATA4, 0x100),
        ],
        [call],
    )
    root = [(dw.DW_AT_LANGUAGE, DATA2, 0x1C), *([(dw.DW_AT_GNU_DWO_ID, DATA8, dwo_id)] * old)]
    split = Info()
    split.unit(Die(0x11, root, [inner, outer]), version=version, kind=kinds[1], dwo_id=dwo_id)

    strings, places = _strings(name, "inner")
    offsets = struct.pack(f"<{len(places)}I", *places)
    lists = struct.pack("<HBBI", 5, 8, 0, 1) + struct.pack("<I", 4)
    lists += b"\x04\x20\x30\x04\x40\x50\x00"
    if not old:
        offsets = struct.pack("<IHH", len(offsets) + 4, 5, 0) + offsets
    pairs = (*((0, 0),), *((0x20, 0x30), (0x40, 0x50), (0, 0)))
    sections = [
        *skeleton.sections(),
        Sec(".debug_addr", bytes(8) + struct.pack("<3Q", *ADDRESSES)),
        Sec(".debug_ranges", b"".join(struct.pack("<QQ", *pair) for pair in pairs)),
        Sec(".debug_line", LINES),
    ]
    parts = {
        ".debug_info.dwo": split.info,
        ".debug_abbrev.dwo": split.abbrev + b"\0",
        ".debug_str.dwo": strings,
        ".debug_str_offsets.dwo": offsets,
        ".debug_rnglists.dwo": struct.pack("<I", len(lists)) + lists,
    }
    return Made(b.elf(sections), parts)


def dwo(made: Made) -> bytes:
    return b.elf([Sec(*part) for part in made.parts.items()], kind=1)


COLUMNS = {1: ".debug_info.dwo", 3: ".debug_abbrev.dwo", 6: ".debug_str_offsets.dwo"}


def dwp(version: int, *made: Made, slots: int = 4) -> bytes:
    """A package; its strings are shared, so that only one of them may have any."""
    columns = dict(COLUMNS) | ({8: ".debug_rnglists.dwo"} if version >= 5 else {})
    whole: dict[str, bytes] = {}
    cuts: list[list[tuple[int, int]]] = []
    for one in made:
        cuts.append([])
        for name, data in one.parts.items():
            before = whole.get(name, b"")
            if name in columns.values():
                # something else's bytes lie before each contribution
                cuts[-1].append((len(before) + 16, len(data)))
                whole[name] = before + bytes(16) + data
            else:
                whole[name] = data
    order = [columns[kind] for kind in columns]
    names = [name for name in made[0].parts if name in order]
    table = [[row[names.index(name)] for name in order] for row in cuts]
    hashes, rows = [0] * slots, [0] * slots
    for number, dwo_id in enumerate(IDS[: len(made)], 1):
        slot = dwo_id & slots - 1
        while rows[slot]:
            slot = slot + (dwo_id >> 32 & slots - 1 | 1) & slots - 1
        hashes[slot], rows[slot] = dwo_id, number
    index = struct.pack("<IIII", 5 if version >= 5 else 2, len(order), len(made), slots)
    index += struct.pack(f"<{slots}Q", *hashes) + struct.pack(f"<{slots}I", *rows)
    index += struct.pack(f"<{len(order)}I", *columns)
    for place in (0, 1):
        index += b"".join(struct.pack("<I", cell[place]) for row in table for cell in row)
    return b.elf([*(Sec(*part) for part in whole.items()), Sec(".debug_cu_index", index)], kind=1)
