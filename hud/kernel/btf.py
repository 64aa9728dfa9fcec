"""Reads BTF, the type description of kernels and BPF objects (Documentation/bpf/btf.rst).

A type id numbers the type records from 1 (0 is void); a modifier is const, volatile, restrict,
typedef or a type tag. The kernel has some 130,000 records of varying length: they are indexed only
as far as somebody asks, and names are found by searching the string section, so that resolving a
handful of types costs about a millisecond. Every read is bounds-checked; a broken file ends in
FormatError.
"""

from __future__ import annotations

import os
import re
import struct
from array import array
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError, KernelError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

INT = 1
PTR = 2
ARRAY = 3
STRUCT = 4
UNION = 5
ENUM = 6
FWD = 7
TYPEDEF = 8
VOLATILE = 9
CONST = 10
RESTRICT = 11
FUNC = 12
FUNC_PROTO = 13
VAR = 14
DATASEC = 15
FLOAT = 16
DECL_TAG = 17
TYPE_TAG = 18
ENUM64 = 19

MODIFIERS = frozenset((TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG))
COMPOSITES = frozenset((STRUCT, UNION))
SIZED = frozenset((INT, STRUCT, UNION, ENUM, DATASEC, FLOAT, ENUM64))
ENUMS = frozenset((ENUM, ENUM64))

MAGIC = 0xEB9F
HEADER = struct.Struct("<HBBIIIII")
MOST_BYTES = 128 << 20
MOST_TYPES = 4 << 20
MOST_SAME_NAME = 64
DEEPEST = 32
"""How many modifiers or arrays may follow one another."""

INT_SIGNED = 1
"""Bit of the encoding byte of an INT record."""

# Length of a record in 32-bit words: a fixed part by kind, and a part per member.
_FIXED = [3] * 256
_EACH = [0] * 256
for _flag in (0, 0x80):
    for _kind, _words in ((INT, 4), (ARRAY, 6), (VAR, 4), (DECL_TAG, 4)):
        _FIXED[_flag | _kind] = _words
    for _kind, _words in (
        (STRUCT, 3),
        (UNION, 3),
        (ENUM, 2),
        (FUNC_PROTO, 2),
        (DATASEC, 3),
        (ENUM64, 3),
    ):
        _EACH[_flag | _kind] = _words

INDEX_STEP = 4096
"""Words by which the index grows at least."""


class Type(NamedTuple):
    """``struct btf_type``; ``at`` is the record's offset in words."""

    id: int
    kind: int
    name_offset: int
    vlen: int
    flag: bool
    size_or_type: int
    at: int


class Member(NamedTuple):
    """``struct btf_member``; ``bit_size`` is 0 unless it is a bit field."""

    name_offset: int
    type_id: int
    bit_offset: int
    bit_size: int


VOID = Type(0, 0, 0, 0, False, 0, -1)


class Btf:
    """The types in ``data``; ``origin`` names it in errors."""

    def __init__(self, data: bytes, origin: str) -> None:
        self.origin = origin
        if len(data) > MOST_BYTES:
            raise self._broken("larger than 128 MiB")
        if len(data) < HEADER.size:
            raise self._broken("truncated header")
        magic, version, _, header, type_at, type_size, name_at, name_size = HEADER.unpack_from(data)
        if magic != MAGIC or version != 1:
            raise self._broken("not little-endian BTF of version 1")
        if (
            header < HEADER.size
            or header + type_at + type_size > len(data)
            or header + name_at + name_size > len(data)
            or type_size % 4
        ):
            raise self._broken("sections outside the file")
        self._data = data
        self._types_at = header + type_at
        self._types_end = self._types_at + type_size
        self._names_at = header + name_at
        self._names_end = self._names_at + name_size
        self._words = memoryview(data)[self._types_at : self._types_end].cast("I")
        self._starts = array("I")
        self._indexed = 0
        self._named: dict[tuple[str, frozenset[int]], list[int]] = {}

    def _broken(self, what: str) -> FormatError:
        return FormatError(f"BTF of {self.origin}: {what}")

    # ------------------------------------------------------------------- records

    def _index(self, until: int) -> None:
        """Note the start of every record that begins before word ``until``."""
        words, end = self._words, len(self._words)
        at, until = self._indexed, min(until, end)
        fixed, each = _FIXED, _EACH
        starts = array("I")
        while at < until:
            if at + 3 > end:
                raise self._broken("truncated type")
            starts.append(at)
            head = words[at + 1]
            at += fixed[head >> 24] + each[head >> 24] * (head & 0xFFFF)
        if at > end:
            raise self._broken("truncated type")
        if len(self._starts) + len(starts) > MOST_TYPES:
            raise self._broken("too many types")
        self._starts += starts
        self._indexed = at

    def type(self, type_id: int) -> Type:
        """The record of ``type_id``; FormatError if there is none."""
        if type_id == 0:
            return VOID
        while len(self._starts) < type_id:
            if self._indexed >= len(self._words):
                raise self._broken(f"no type {type_id}")
            self._index(self._indexed + INDEX_STEP)
        at = self._starts[type_id - 1]
        name_offset, head, size_or_type = self._words[at : at + 3]
        return Type(
            type_id,
            head >> 24 & 0x1F,
            name_offset,
            head & 0xFFFF,
            bool(head >> 31),
            size_or_type,
            at,
        )

    def _tail(self, record: Type, each: int) -> Iterator[tuple[int, ...]]:
        words, at = self._words, record.at + 3
        for start in range(at, at + record.vlen * each, each):
            yield tuple(words[start : start + each])

    def members(self, record: Type) -> Iterator[Member]:
        """The members of a struct or union."""
        for name_offset, type_id, offset in self._tail(record, 3):
            if record.flag:
                yield Member(name_offset, type_id, offset & 0xFFFFFF, offset >> 24)
            else:
                yield Member(name_offset, type_id, offset, 0)

    def member(self, record: Type, number: int) -> Member:
        """Member ``number`` of a struct or union; FormatError if it has fewer."""
        if not 0 <= number < record.vlen:
            raise self._broken(f"type {record.id} has no member {number}")
        at = record.at + 3 + 3 * number
        return next(self.members(record._replace(at=at - 3, vlen=1)))

    def enumerators(self, record: Type) -> Iterator[tuple[int, int]]:
        """(name offset, value) of an enum; the value as an unsigned 64-bit pattern if negative."""
        if record.kind == ENUM64:
            for name_offset, low, high in self._tail(record, 3):
                yield name_offset, high << 32 | low
        else:
            for name_offset, value in self._tail(record, 2):
                negative = record.flag and value >> 31
                yield name_offset, value | 0xFFFFFFFF00000000 if negative else value

    def variables(self, record: Type) -> Iterator[tuple[int, int, int]]:
        """(type id of the VAR, offset, size) of a DATASEC."""
        for type_id, offset, size in self._tail(record, 3):  # noqa: UP028
            yield type_id, offset, size

    def array(self, record: Type) -> tuple[int, int]:
        """(type id of an element, number of elements)."""
        element, _, count = self._words[record.at + 3 : record.at + 6]
        return element, count

    def is_signed(self, record: Type) -> bool:
        """Of an INT or enum."""
        if record.kind == INT:
            return bool(self._words[record.at + 3] >> 24 & INT_SIGNED)
        return record.flag

    # ------------------------------------------------------------------- derived

    def bare(self, type_id: int) -> Type:
        """The type behind every modifier."""
        for _ in range(DEEPEST):
            record = self.type(type_id)
            if record.kind not in MODIFIERS:
                return record
            type_id = record.size_or_type
        raise self._broken("modifiers without end")

    def size(self, type_id: int) -> int:
        """Bytes that a value takes; FormatError for void and functions. Pointers take 8."""
        factor = 1
        for _ in range(DEEPEST):
            record = self.bare(type_id)
            if record.kind in SIZED:
                return factor * record.size_or_type
            if record.kind == PTR:
                return factor * 8
            if record.kind == VAR:
                type_id = record.size_or_type
            elif record.kind == ARRAY:
                type_id, count = self.array(record)
                factor *= count
            else:
                raise self._broken(f"type {type_id} has no size")
        raise self._broken("arrays without end")

    @property
    def data(self) -> bytes:
        """All that it was made of."""
        return self._data

    def loadable(self) -> bytes:
        """The bytes with every DATASEC filled in, which clang leaves to the loader.

        The kernel checks only that the variables lie inside the section, in order: their real
        places matter to maps that are made with types, and hud makes none.
        """
        data = bytearray(self._data)
        self._index(len(self._words))
        for type_id in range(1, len(self._starts) + 1):
            record = self.type(type_id)
            if record.kind != DATASEC:
                continue
            at, end = self._types_at + 4 * record.at, 0
            for number, (variable, _, size) in enumerate(self.variables(record)):
                struct.pack_into("<III", data, at + 12 + 12 * number, variable, end, size)
                end += size
            struct.pack_into("<I", data, at + 8, end)
        return bytes(data)

    # ------------------------------------------------------------------- names

    def name(self, offset: int) -> str:
        """The string at ``offset`` of the string section."""
        start = self._names_at + offset
        if not self._names_at <= start < self._names_end:
            raise self._broken("a name outside the strings")
        end = self._data.find(b"\0", start, self._names_end)
        if end < 0:
            raise self._broken("a name without end")
        return self._data[start:end].decode("utf-8", "replace")

    def is_name(self, offset: int, name: bytes) -> bool:
        """Whether the string at ``offset`` is ``name``; much cheaper than :meth:`name`."""
        return self._data.startswith(name + b"\0", self._names_at + offset, self._names_end)

    def _find_name(self, name: bytes) -> Iterator[int]:
        """Where ``name`` is in the string section: once where the strings are deduplicated."""
        pattern, at = b"\0" + name + b"\0", self._names_at
        for _ in range(MOST_SAME_NAME):
            at = self._data.find(pattern, at, self._names_end)
            if at < 0:
                return
            at += 1
            yield at - self._names_at

    def named(self, name: str, kinds: Collection[int]) -> list[int]:
        """Ids of the types of one of ``kinds`` called ``name``, ascending."""
        if not name:
            return []
        asked = name, frozenset(kinds)
        known = self._named.get(asked)
        if known is None:
            known = self._named[asked] = self._search(name.encode(), kinds)
        return list(known)

    def _search(self, name: bytes, kinds: Collection[int]) -> list[int]:
        places = {
            place for offset in self._find_name(name) for place in self._places(offset, kinds)
        }
        found = []
        for place in sorted(places):
            self._index(place + 1)
            number = bisect_left(self._starts, place)
            if number < len(self._starts) and self._starts[number] == place:
                found.append(number + 1)
        return found

    def _places(self, name_offset: int, kinds: Collection[int]) -> Iterator[int]:
        """Words that may begin a record of that name: the name, then a head of a fitting kind."""
        heads = bytes(kind | flag for kind in kinds for flag in (0, 0x80))
        pattern = re.compile(
            re.escape(struct.pack("<I", name_offset)) + b"..\\0[" + re.escape(heads) + b"]",
            re.DOTALL,
        )
        at = self._types_at
        while found := pattern.search(self._data, at, self._types_end):
            word, rest = divmod(found.start() - self._types_at, 4)
            if not rest:
                yield word
            at = found.start() + 1


# --------------------------------------------------------------------------- where BTF is found

KERNEL_BTF = Path("/sys/kernel/btf/vmlinux")
VMLINUX_PATHS = (
    "boot/vmlinux-{release}",
    "lib/modules/{release}/vmlinux",
    "lib/modules/{release}/vmlinux-{release}",
    "lib/modules/{release}/build/vmlinux",
    "usr/lib/modules/{release}/kernel/vmlinux",
    "usr/lib/debug/boot/vmlinux-{release}",
    "usr/lib/debug/boot/vmlinux-{release}.debug",
    "usr/lib/debug/lib/modules/{release}/vmlinux",
)
HINT = (
    "give a BTF file of this kernel with --btf FILE, install the kernel's debug package, "
    "or run a kernel built with CONFIG_DEBUG_INFO_BTF=y"
)


def read(path: Path) -> Btf:
    """BTF from a raw file or from the .BTF section of an ELF file; FormatError or OSError."""
    with path.open("rb") as file:
        if file.read(4) == b"\x7fELF":
            from hud.kernel.elftables import section_of_file

            data = section_of_file(file, ".BTF", MOST_BYTES)
            if data is None:
                raise FormatError(f"BTF of {path}: the file has no .BTF section")
        elif os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise FormatError(f"BTF of {path}: larger than 128 MiB")
        else:
            file.seek(0)
            data = file.read()
    return Btf(data, str(path))


def kernel_btf(
    path: Path | None = None, *, root: Path = Path("/"), release: str | None = None
) -> Btf:
    """The running kernel's types: ``path`` if given, else the first usable known path.

    KernelError, with the remedy, if there is none.
    """
    if path is not None:
        try:
            return read(path)
        except OSError as error:
            raise KernelError(
                f"read {path}: {(error.strerror or str(error)).lower()}", hint=HINT
            ) from error
        except FormatError as error:
            raise KernelError(error.message, hint=HINT) from error
    release = release or os.uname().release
    paths = [root / KERNEL_BTF.relative_to("/")]
    paths += [root / known.format(release=release) for known in VMLINUX_PATHS]
    refused = []
    for known in paths:
        try:
            return read(known)
        except FileNotFoundError:  # noqa: PERF203
            continue
        except (OSError, FormatError) as error:
            refused.append(f"{known}: {error}")
    raise KernelError(
        "kernel types (BTF) not found: this kernel does not describe itself",
        hint=HINT,
        detail="\n".join(refused or [f"looked at {known}" for known in paths]),
    )
