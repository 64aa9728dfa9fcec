"""Finds the crates and versions a binary was built from by the paths of its panic locations.

The path of a ``core::panic::Location`` lies in read-only data, without an end mark, next to others.
Cargo's paths are ``.../registry/src/<index>/<crate>-<version>/...``,
``.../git/checkouts/<repository>-<hash>/<commit>/...`` and ``vendor/<crate>/...``; a remapped prefix
leaves ``<crate>-<version>/src/...``. A stripped binary keeps them all. A crate without a panic
location in the binary is not found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.symbols.elf.file import ElfFile

SCAN_LIMIT = 256 << 20
"""Bytes of read-only data that are looked at."""
MATCH_LIMIT = 1 << 20
CRATE_LIMIT = 4096
_NAME_LIMIT = 64
"""Longest crate name of the registry, characters."""

Versions: TypeAlias = "dict[str, set[str]]"
"""Crate name, as in Rust paths (``_`` for ``-``) -> its versions; empty = version unknown."""

_STD_PARTS = b"/rust/deps/"  # crates that std was built from are std
_VERSION = re.compile(rb"-(\d{1,5}\.\d{1,5}\.\d{1,9}(?:[-+][0-9A-Za-z.+-]{1,40})?)/")
_NAME_BEFORE = re.compile(rb"(?:^|[/\\]|\.rs|[^\w.-])([A-Za-z]\w*(?:-\w+)*)\Z", re.ASCII)
_FILE_AFTER = re.compile(rb"[\w./-]{1,200}?\.rs", re.ASCII)
_VENDORED = re.compile(rb"\bvendor/([A-Za-z][\w-]{0,63})/(?:src|lib\.rs)", re.ASCII)
_CHECKOUT = re.compile(
    rb"git/checkouts/([\w.-]{1,100})-[0-9a-f]{16}/[0-9a-f]{7,40}/((?:[\w.-]{1,64}/){0,6}?)src/",
    re.ASCII,
)


def scan(elf: ElfFile) -> Versions:
    """Every crate that the panic locations of a module name; never raises, bounded."""
    found: Versions = {}
    for _, data in elf.data_pieces(SCAN_LIMIT, writable=False):
        for name, version in _crates_in(data):
            if name in found or len(found) < CRATE_LIMIT:
                found.setdefault(name, set()).add(version)
    for versions in found.values():
        if len(versions) > 1:
            versions.discard("")
    return found


def crates(source: ElfFile | Versions) -> dict[str, str]:
    """Crate -> version, by name; an empty version where it is unknown or there are several."""
    found = source if isinstance(source, dict) else scan(source)
    return {
        name: next(iter(versions)) if len(versions) == 1 else ""
        for name, versions in sorted(found.items())
    }


def tokio_versions(source: ElfFile | Versions) -> tuple[str, ...]:
    """The versions of Tokio in a module, oldest first; usually one, or none."""
    found = source if isinstance(source, dict) else scan(source)
    return tuple(sorted(found.get("tokio", set()) - {""}, key=_order))


def _order(version: str) -> tuple[tuple[int, ...], bool, str]:
    numbers, _, pre = version.partition("-")
    parts = tuple(int(part) for part in numbers.partition("+")[0].split("."))
    return parts, not pre, version


def _crates_in(data: memoryview) -> Iterator[tuple[str, str]]:
    for count, match in enumerate(_VERSION.finditer(data)):
        if count >= MATCH_LIMIT:
            break
        start, end = match.start(), match.end()
        before = bytes(data[max(0, start - _NAME_LIMIT - len(_STD_PARTS)) : start])
        name = _NAME_BEFORE.search(before.rpartition(b"/")[2] if b"/" in before else before)
        if before.rpartition(b"/")[0].endswith(_STD_PARTS[:-1]):
            continue
        if name and _FILE_AFTER.match(data, end):
            yield _text(name[1]), _text(match[1], as_crate=False)
    for pattern in (_VENDORED, _CHECKOUT):
        for count, match in enumerate(pattern.finditer(data)):
            if count >= MATCH_LIMIT:
                break
            inner = match[2].rstrip(b"/").rpartition(b"/")[2] if pattern is _CHECKOUT else b""
            yield _text(inner or match[1]), ""


def _text(name: bytes, *, as_crate: bool = True) -> str:
    text = name.decode("ascii", "replace")
    return text.replace("-", "_") if as_crate else text
