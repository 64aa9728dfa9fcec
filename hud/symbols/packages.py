"""Reads what the builders of a file wrote into it about its crates and its package.

cargo-auditable's section ``.dep-v0`` lists the crates: zlib over JSON, one row for each; it stays
where paths are trimmed and symbols stripped, and has crates without a panic location. Distributions
have their linkers add a package note: JSON with the package's name.

Sources: cargo-auditable's PARSING.md; systemd's "Package Metadata for Executable Files".
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hud.errors import FormatError
from hud.symbols.inference.panics import CRATE_LIMIT
from hud.symbols.names import RUNTIME_CRATES

if TYPE_CHECKING:
    from hud.symbols.elf.file import ElfFile
    from hud.symbols.inference.panics import Versions

LIST_LIMIT = 8 << 20
"""Bytes of JSON; cargo-auditable itself reads no more."""
NOTE_LIMIT = 4096
NT_PACKAGE = 0xCAFE1A7E
"""NT_FDO_PACKAGING_METADATA, of the owner FDO."""

_NAME = re.compile(r"[A-Za-z][\w-]{0,63}", re.ASCII)
_VERSION = re.compile(r"\d{1,5}\.\d{1,5}\.\d{1,9}(?:[-+][0-9A-Za-z.+-]{1,40})?", re.ASCII)
_WORD = re.compile(r"[\w.+~:-]{1,64}", re.ASCII)

_Json = TypeVar("_Json", bound=msgspec.Struct)


class _Crate(msgspec.Struct):
    name: str
    version: str = ""
    source: str = ""
    kind: str = "runtime"


class _List(msgspec.Struct):
    packages: list[_Crate]


class _Package(msgspec.Struct):
    type: str = ""
    name: str = ""
    version: str = ""


def listed(elf: ElfFile) -> Versions:
    """The crates in the file's list that are in the program and not of its own workspace.

    Empty without a list, and where it is damaged. Tokio counts wherever its source was.
    """
    try:
        packed = elf.section_data(".dep-v0")
        text = zlib.decompressobj().decompress(packed, LIST_LIMIT) if packed else b""
    except (FormatError, zlib.error):
        return {}
    rows = _decode(text, _List)
    found: Versions = {}
    for row in rows.packages if rows is not None else ():
        name = row.name.replace("-", "_")
        own = row.source == "local" and name not in RUNTIME_CRATES
        if row.kind == "build" or own or not _NAME.fullmatch(name):
            continue
        if name in found or len(found) < CRATE_LIMIT:
            version = row.version if _VERSION.fullmatch(row.version) else ""
            found.setdefault(name, set()).add(version)
    return found


def with_listed(found: Versions, more: Versions) -> Versions:
    """Crates found by their paths and, where those say no version or nothing, by the list."""
    known = {name: versions for name, versions in found.items() if versions - {""}}
    return {**found, **more, **known}


def package(elf: ElfFile) -> str:
    """``rpm ripgrep 14.1.0-3.fc40``, as the package note says; empty = it says nothing."""
    for kind, owner, payload in elf.elf_notes(NOTE_LIMIT):
        if kind == NT_PACKAGE and owner == b"FDO\0":
            found = _decode(payload.rstrip(b"\0"), _Package)
            words = (found.type, found.name, found.version) if found is not None else ("",)
            return " ".join(words) if all(map(_WORD.fullmatch, words)) else ""
    return ""


def _decode(text: bytes, kind: type[_Json]) -> _Json | None:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
