"""BPF objects and BTF assembled in Python, byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

MOV_0 = struct.pack("<BBhi", 0xB7, 0, 0, 0)
EXIT = struct.pack("<BBhi", 0x95, 0, 0, 0)


class BtfBuilder:
    """Adds records, each method returning the new type's id."""

    def __init__(self) -> None:
        self.strings = b"\0"
        self.records: list[bytes] = []

    def name(self, text: str) -> int:
        if not text:
            return 0
        at = self.strings.find(b"\0" + text.encode() + b"\0")
        if at >= 0:
            return at + 1
        offset = len(self.strings)
        self.strings += text.encode() + b"\0"
        return offset

    def add(
        self,
        kind: int,
        name: str,
        value: int,
        words: Sequence[int] = (),
        vlen: int = 0,
        flag: int = 0,
    ) -> int:
        head = struct.pack("<III", self.name(name), flag << 31 | kind << 24 | vlen, value)
        self.records.append(head + struct.pack(f"<{len(words)}I", *words))
        return len(self.records)

    def integer(self, name: str, size: int, signed: bool = False) -> int:
        return self.add(1, name, size, [signed << 24 | size * 8])

    def pointer(self, to: int) -> int:
        return self.add(2, "", to)

    def array(self, of: int, count: int, index: int = 1) -> int:
        return self.add(3, "", 0, [of, index, count])

    def composite(
        self,
        name: str,
        size: int,
        members: Sequence[tuple[str, int, int]],
        *,
        union: bool = False,
        flag: bool = False,
    ) -> int:
        """Members are (name, type id, bit offset; with ``flag`` the bit size in the top byte)."""
        words = [w for label, kind, at in members for w in (self.name(label), kind, at)]
        return self.add(5 if union else 4, name, size, words, len(members), int(flag))

    def enum(self, name: str, values: Sequence[tuple[str, int]], size: int = 4) -> int:
        words = [w for label, value in values for w in (self.name(label), value & 0xFFFFFFFF)]
        return self.add(6, name, size, words, len(values))

    def typedef(self, name: str, to: int) -> int:
        return self.add(8, name, to)

    def const(self, to: int) -> int:
        return self.add(10, "", to)

    def variable(self, name: str, of: int) -> int:
        return self.add(14, name, of, [1])

    def section(self, name: str, variables: Sequence[tuple[int, int, int]]) -> int:
        return self.add(15, name, 0, [w for row in variables for w in row], len(variables))

    def bytes(self) -> bytes:
        types = b"".join(self.records)
        return (
            struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(self.strings))
            + types
            + self.strings
        )


@pytest.fixture
def btf_builder() -> type[BtfBuilder]:
    return BtfBuilder


class ObjectBuilder:
    """An ELF object for BPF; symbols are (name, type, global, section name, value, size)."""

    def __init__(self) -> None:
        self.sections: list[tuple[str, int, int, bytes, int, int]] = []
        self.symbols: list[tuple[str, int, bool, str, int, int]] = []
        self.relocations: dict[str, list[tuple[int, str, int]]] = {}

    def section(self, name: str, data: bytes, kind: int = 1, flags: int = 2) -> ObjectBuilder:
        self.sections.append((name, kind, flags, data, 0, 0))
        return self

    def code(self, name: str, data: bytes) -> ObjectBuilder:
        return self.section(name, data, flags=6)

    def function(
        self, name: str, section: str, slot: int, slots: int, shared: bool = True
    ) -> ObjectBuilder:
        self.symbols.append((name, 2, shared, section, slot * 8, slots * 8))
        return self

    def variable(self, name: str, section: str, offset: int, size: int) -> ObjectBuilder:
        self.symbols.append((name, 1, True, section, offset, size))
        return self

    def relocate(self, section: str, slot: int, symbol: str, kind: int) -> ObjectBuilder:
        self.relocations.setdefault(section, []).append((slot * 8, symbol, kind))
        return self

    def bytes(self) -> bytes:
        sections = [("", 0, 0, b"", 0, 0), *self.sections]
        numbers = {row[0]: at for at, row in enumerate(sections)}
        strings, table = b"\0", bytes(24)
        order = {}
        for name, kind, shared, home, value, size in self.symbols:
            order[name] = len(order) + 1
            table += struct.pack(
                "<IBBHQQ", len(strings), shared << 4 | kind, 0, numbers.get(home, 0), value, size
            )
            strings += name.encode() + b"\0"
        symtab = len(sections) + len(self.relocations)
        for home, rows in self.relocations.items():
            data = b"".join(struct.pack("<QQ", at, order[n] << 32 | k) for at, n, k in rows)
            sections.append((f".rel{home}", 9, 0, data, symtab, numbers[home]))
        sections.append((".symtab", 2, 0, table, symtab + 1, 1))
        sections.append((".strtab", 3, 0, strings, 0, 0))
        names = b"\0"
        offsets = []
        for row in [*sections, (".shstrtab",)]:
            offsets.append(len(names))
            names += row[0].encode() + b"\0"
        sections.append((".shstrtab", 3, 0, names, 0, 0))
        body, headers = b"", b""
        for at, (_, kind, flags, data, link, info) in zip(offsets, sections, strict=True):
            entry = {2: 24, 9: 16}.get(kind, 0)
            place = 64 + len(body)
            headers += struct.pack(
                "<IIQQQQIIQQ", at, kind, flags, 0, place, len(data), link, info, 8, entry
            )
            body += data + bytes(-len(data) % 8)
        head = b"\x7fELF\x02\x01\x01" + bytes(9)
        head += struct.pack("<HHIQQQ", 1, 247, 1, 0, 0, 64 + len(body))
        head += struct.pack("<IHHHHHH", 0, 64, 0, 0, 64, len(sections), len(sections) - 1)
        return head + body + headers


@pytest.fixture
def object_builder() -> type[ObjectBuilder]:
    return ObjectBuilder


@pytest.fixture
def small_object() -> bytes:
    """Two programs, a subprogram called by one of them, a map, constants and a counter."""
    types = BtfBuilder()
    u32 = types.integer("u32", 4)
    u64 = types.integer("u64", 8)
    events = types.composite(
        "",
        16,
        [
            ("type", types.pointer(types.array(u32, 27)), 0),
            ("max_entries", types.pointer(types.array(u32, 8192)), 64),
        ],
    )
    table = types.composite(
        "",
        32,
        [
            ("type", types.pointer(types.array(u32, 1)), 0),
            ("key", types.pointer(u32), 64),
            ("value", types.pointer(types.typedef("stamp_t", types.const(u64))), 128),
            ("max_entries", types.pointer(types.array(u32, 10)), 192),
        ],
    )
    names = [types.variable("events", events), types.variable("table", table)]
    types.section(".maps", [(names[0], 0, 16), (names[1], 16, 32)])
    load = struct.pack("<BBhiBBhi", 0x18, 1, 0, 0, 0, 0, 0, 0)
    load_8 = struct.pack("<BBhiBBhi", 0x18, 1, 0, 8, 0, 0, 0, 0)
    call = struct.pack("<BBhi", 0x85, 0x10, 0, -1)
    return (
        ObjectBuilder()
        .code(".text", MOV_0 + EXIT + MOV_0 + load + EXIT)
        .code("raw_tp/sched_switch", load + call + EXIT)
        .code("tracepoint/sched/sched_wakeup", load_8 + MOV_0 + EXIT)
        .section(".maps", bytes(48), flags=3)
        .section(".rodata", bytes(8) + struct.pack("<Q", 7))
        .section("license", b"GPL\0", flags=3)
        .section(".BTF", types.bytes(), flags=0)
        .function("unused", ".text", 0, 2, shared=False)
        .function("helper", ".text", 2, 4, shared=False)
        .function("first", "raw_tp/sched_switch", 0, 4)
        .function("second", "tracepoint/sched/sched_wakeup", 0, 4)
        .variable("events", ".maps", 0, 16)
        .variable("table", ".maps", 16, 32)
        .variable("limit", ".rodata", 8, 8)
        .variable("target", ".rodata", 0, 4)
        .relocate(".text", 3, "table", 1)
        .relocate("raw_tp/sched_switch", 0, "events", 1)
        .relocate("raw_tp/sched_switch", 2, "helper", 10)
        .relocate("tracepoint/sched/sched_wakeup", 0, "target", 1)
        .bytes()
    )


@pytest.fixture(scope="session")
def prebuilt_object(need: Callable[[object, str], None]) -> bytes:
    """The object that ships, as an example of what clang writes."""
    path = Path(__file__).parents[3] / "prebuilt" / "hud-x86_64.bpf.o"
    need(path.exists(), "prebuilt/hud-x86_64.bpf.o")
    return path.read_bytes()
