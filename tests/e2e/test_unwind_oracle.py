"""Every row of real modules against pyelftools' decoder.

Known difference: pyelftools raises on DW_CFA_GNU_args_size (0x2e) and others that it does not know
(a ValueError from its own message); such functions are counted and left out.
"""

from __future__ import annotations

import ctypes.util
import platform
import re
import shutil
import struct
import sys
from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.common.exceptions import DWARFError
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile

from hud.symbols.elf.file import ElfFile
from hud.symbols.unwind import cfi
from hud.symbols.unwind.table import unwind_table

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.e2e

RSP, RBP, RIP = 7, 6, 16
STEP = {"python": 3, "rust": 11, "libc": 1, "libcrypto": 3}


def _module(name: str) -> Path | None:
    if name == "python":
        shared = re.search(r"/\S+/libpython3\.\d+\.so\S*", Path("/proc/self/maps").read_text())
        return Path(shared[0] if shared else sys.executable).resolve()
    if name == "rust":
        found = shutil.which("ruff", path=str(Path(sys.executable).parent))
        return Path(found) if found else None
    soname = ctypes.util.find_library({"libc": "c", "libcrypto": "crypto"}[name])
    places = [Path("/lib/x86_64-linux-gnu"), Path("/usr/lib/x86_64-linux-gnu"), Path("/lib64")]
    return next((p / soname for p in places if soname and (p / soname).exists()), None)


def _expected(row: dict[object, object], *, signal: bool) -> int:
    """The u32 rule of one of pyelftools' rows."""
    ra, fp, cfa = row.get(RIP), row.get(RBP), row["cfa"]
    if signal:
        return cfi.SIGNAL
    if ra is not None and ra.type == "UNDEFINED":
        return cfi.END
    if cfa.expr is not None:
        block = bytes(cfa.expr)
        if block[6:7] in (b"\x3a", b"\x3b") and len(block) == 11:
            return cfi.PLT | (block[6] - 0x30) << 4
        if (
            len(block) in (5, 6)
            and block[:1] == b"\x77"
            and block[-3:] == b"\x06\x23\x08"
            and not block[-4] & 0x40
        ):
            assert fp is None or fp.type == "OFFSET"
            offset = int.from_bytes(block[1:-3], "little")
            if len(block) == 6:
                offset = (block[1] & 127) | (block[2] & 127) << 7
            return cfi.SP_DEREF | offset // 8 << 4 | (-fp.arg // 8 << 20 if fp else 0)
        return cfi.UNSUPPORTED
    if ra is None or ra.type != "OFFSET" or ra.arg != -8 or cfa.reg not in (RSP, RBP):
        return cfi.UNSUPPORTED
    slot = 0
    if fp is not None and fp.type != "SAME_VALUE" and fp.type != "UNDEFINED":
        if fp.type != "OFFSET":
            return cfi.UNSUPPORTED
        slot = -fp.arg // 8
    if cfa.offset % 8 or cfa.offset < 0 or slot < 0:
        return cfi.UNSUPPORTED
    return (cfi.SP if cfa.reg == RSP else cfi.FP) | cfa.offset // 8 << 4 | slot << 20


@pytest.mark.parametrize("name", list(STEP))
def test_rows_equal_pyelftools(name: str, need: Callable[[object, str], None]) -> None:
    need(platform.machine() == "x86_64", "x86_64")
    path = _module(name)
    need(path is not None, f"{name} to read")
    assert path is not None
    with path.open("rb") as file:
        with ElfFile(file.fileno(), str(path)) as elf:
            table = unwind_table(elf)
        assert table is not None
        entries = ELFFile(file).get_dwarf_info().EH_CFI_entries()
    rows = list(struct.iter_unpack("<II", table.rows))
    pcs = [pc for pc, _ in rows]
    compared = undecodable = 0
    differences = []
    functions = [e for e in entries if isinstance(e, FDE) and e.header["address_range"]]
    assert table.functions == len(functions)
    for entry in functions[:: STEP[name]]:
        start = entry.header["initial_location"]
        stop = start + entry.header["address_range"]
        signal = b"S" in entry.cie.header["augmentation"]
        try:
            decoded = entry.get_decoded().table
        except (DWARFError, ValueError):
            undecodable += 1
            continue
        for row, following in zip(decoded, [*decoded[1:], None], strict=True):
            end = following["pc"] if following else stop
            if end <= row["pc"]:
                continue
            want = _expected(row, signal=signal)
            for pc in {row["pc"], end - 1}:
                got = rows[bisect_right(pcs, pc - table.base) - 1][1]
                compared += 1
                if got != want:
                    differences.append((hex(pc), hex(got), hex(want)))
    print(f"{name}: {compared} compared, {undecodable} undecodable, {len(differences)} differ")
    assert differences == []
    assert compared > 1000
    assert undecodable <= len(functions) // 100
