"""Checks what a file with debug information is, and whether it belongs to a module.

The linker's build id, a hash of the program, decides; else the debug link, the name and CRC-32 of
the separate debug file, which ``objcopy --add-gnu-debuglink`` writes into the program.
"""

from __future__ import annotations

import zlib
from enum import Enum
from typing import TYPE_CHECKING

from hud.errors import FormatError

if TYPE_CHECKING:
    from hud.symbols.elf.file import ElfFile

_STEP = 4 << 20


class Part(Enum):
    """What a file has."""

    WHOLE = "separate debug information"
    SPLIT = "split units: a .dwo or .dwp file"


def part_of(file: ElfFile) -> Part:
    """What a file has; FormatError where it is of no use."""
    if file.section(".debug_info.dwo") is not None:
        return Part.SPLIT
    if all(file.section(name) is None for name in (".debug_info", ".symtab")):
        raise FormatError(f"{file.name}: neither debug information nor symbols")
    return Part.WHOLE


def require_same_build(main: ElfFile, debug: ElfFile) -> None:
    """FormatError with the reason unless a debug file was made from the same build.

    The build ids decide; where one is missing, the debug link's CRC-32 does.
    """
    ours, theirs = main.build_id(), debug.build_id()
    if main.machine_id != debug.machine_id:
        raise FormatError(f"{debug.name}: for {debug.machine}, not {main.machine}")
    if ours and theirs:
        if ours != theirs:
            raise FormatError(f"{debug.name}: of another build (build id {theirs}, not {ours})")
        return
    link = main.debuglink()
    if link is None:
        raise FormatError(f"{debug.name}: no build id and no debug link to compare")
    found = crc32(debug)
    if found != link[1]:
        raise FormatError(f"{debug.name}: of another build (CRC {found:08x}, not {link[1]:08x})")


def crc32(file: ElfFile) -> int:
    """The CRC-32 of a whole file, its pages given back as it goes."""
    value = 0
    for at in range(0, len(file.data), _STEP):
        value = zlib.crc32(file.data[at : at + _STEP], value)
        file.release()
    return value
