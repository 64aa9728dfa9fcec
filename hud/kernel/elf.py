"""Reads a BPF object file into an :class:`~hud.kernel.spec.ObjectSpec`; asks the kernel nothing.

A code section holds functions; one named after a program kind (``tp_btf/NAME`` ...) holds programs,
``.text`` holds subprograms. ``.maps`` declares maps through BTF (libbpf's conventions,
Documentation/bpf/libbpf). Whatever the bytes, the end is a spec or an ObjectError, in time and
memory bounded by the size of the object.
"""

from __future__ import annotations

import struct
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError, ObjectError
from hud.kernel import mapdefs, uapi
from hud.kernel.btf import Btf
from hud.kernel.btfext import CoreRecord, core_records, function_records
from hud.kernel.elftables import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHT_NOBITS,
    SHT_PROGBITS,
    SHT_REL,
    STT_FUNC,
    STT_OBJECT,
    STT_SECTION,
    Section,
    Symbol,
    read_tables,
)
from hud.kernel.link import CallSite, CodeSection, Function, link
from hud.kernel.spec import MapReference, MapSpec, ObjectSpec, ProgramSpec, Variable

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_RELOCATIONS = 1 << 18
MOST_LINKED = 32 << 20
"""Bytes of all programs together, subprograms counted wherever they are appended."""

REL = struct.Struct("<QQ")
R_BPF_64_64 = 1
R_BPF_64_32 = 10
LOAD_64 = uapi.BPF_LD | uapi.BPF_DW | uapi.BPF_IMM
CALL = uapi.BPF_JMP | uapi.BPF_CALL


class SectionKind(NamedTuple):
    """What a section name says about its programs."""

    type: int
    attach_type: int = 0


KINDS = {
    "tracepoint": SectionKind(uapi.BPF_PROG_TYPE_TRACEPOINT),
    "tp": SectionKind(uapi.BPF_PROG_TYPE_TRACEPOINT),
    "raw_tracepoint": SectionKind(uapi.BPF_PROG_TYPE_RAW_TRACEPOINT),
    "raw_tp": SectionKind(uapi.BPF_PROG_TYPE_RAW_TRACEPOINT),
    "tp_btf": SectionKind(uapi.BPF_PROG_TYPE_TRACING, uapi.BPF_TRACE_RAW_TP),
    "perf_event": SectionKind(uapi.BPF_PROG_TYPE_PERF_EVENT),
    "uprobe": SectionKind(uapi.BPF_PROG_TYPE_KPROBE),
    "uretprobe": SectionKind(uapi.BPF_PROG_TYPE_KPROBE),
    "kprobe": SectionKind(uapi.BPF_PROG_TYPE_KPROBE),
    "socket": SectionKind(uapi.BPF_PROG_TYPE_SOCKET_FILTER),
}
"""The part of a section's name before the first slash."""

DATA_PREFIXES = (".rodata", ".data", ".bss")


def parse_object(data: bytes, name: str) -> ObjectSpec:
    """Read the object ``data``; ``name`` stands for it in errors. ObjectError if it is unusable."""
    try:
        return _Reader(data, name).spec()
    except FormatError as error:
        raise ObjectError(f"object {name}: {error.message}") from error


class _Reader:
    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.sections, self.symbols = read_tables(data, name)
        self.by_name = {section.name: section for section in reversed(self.sections)}
        types = self.by_name.get(".BTF")
        self.btf = Btf(types.data, f"object {name}") if types else None

    def _bad(self, what: str) -> ObjectError:
        return ObjectError(f"object {self.name}: {what}")

    # ------------------------------------------------------------------- the spec

    def spec(self) -> ObjectSpec:
        maps = self._maps()
        licence = self.by_name.get("license")
        text = licence.data.split(b"\0")[0].decode("ascii", "replace") if licence else ""
        return ObjectSpec(
            name=self.name,
            license=text,
            programs=self._programs(maps),
            maps=maps,
            variables=self._variables(maps),
            btf=self.btf,
        )

    def _maps(self) -> dict[str, MapSpec]:
        maps: dict[str, MapSpec] = {}
        if ".maps" in self.by_name:
            if self.btf is None:
                raise self._bad("maps without BTF (compile with -g)")
            for spec in mapdefs.declared(self.btf):
                maps[spec.name] = spec
        patched = {section.info for section in self.sections if section.type == SHT_REL}
        for number, section in enumerate(self.sections):
            if _is_data(section) and section.size:
                if number in patched:
                    raise self._bad(f"pointers inside {section.name} not supported")
                maps[section.name] = mapdefs.data_map(section.name, section.data, section.size)
        return maps

    def _variables(self, maps: dict[str, MapSpec]) -> dict[str, Variable]:
        found = {}
        for symbol in self.symbols:
            if symbol.type != STT_OBJECT or not 0 < symbol.section < len(self.sections):
                continue
            section = self.sections[symbol.section]
            if not _is_data(section) or section.name not in maps:
                continue
            if symbol.value + symbol.size > section.size:
                raise self._bad(f"variable {symbol.name} outside {section.name}")
            found[symbol.name] = Variable(symbol.name, section.name, symbol.value, symbol.size)
        return found

    def _programs(self, maps: dict[str, MapSpec]) -> dict[str, ProgramSpec]:
        code = {
            number: self._code(number, maps)
            for number, section in enumerate(self.sections)
            if section.type == SHT_PROGBITS and section.flags & SHF_EXECINSTR and section.size
        }
        programs = {}
        total = 0
        for number, section in code.items():
            head, _, target = section.name.partition("/")
            kind = KINDS.get(head)
            if kind is None:
                if section.name != ".text":
                    raise self._bad(f"program section {section.name!r} is of no known kind")
                continue
            for function in section.functions.values():
                if function.local:
                    continue
                try:
                    linked = link(code, number, function)
                except FormatError as error:
                    raise self._bad(f"program {function.name}: {error.message}") from error
                total += len(linked.instructions)
                if total > MOST_LINKED:
                    raise self._bad("programs larger than 32 MiB together")
                programs[function.name] = ProgramSpec(
                    name=function.name,
                    section=section.name,
                    type=kind.type,
                    attach_type=kind.attach_type,
                    target=target,
                    instructions=linked.instructions,
                    references=linked.references,
                    core=linked.core,
                    functions=linked.functions,
                )
        return programs

    # ------------------------------------------------------------------- code sections

    def _code(self, number: int, maps: dict[str, MapSpec]) -> CodeSection:
        section = self.sections[number]
        if section.size % 8:
            raise self._bad(f"section {section.name}: not whole instructions")
        functions = {}
        for symbol in self.symbols:
            if symbol.section == number and symbol.type == STT_FUNC:
                start, length = divmod(symbol.value, 8)[0], symbol.size // 8
                if symbol.value % 8 or symbol.size % 8 or symbol.value + symbol.size > section.size:
                    raise self._bad(f"function {symbol.name} outside {section.name}")
                if length:
                    functions[start] = Function(symbol.name, start, length, symbol.local)
        references: dict[int, MapReference | CallSite] = {}
        for index, symbol, kind in self._relocations(number):
            references[index] = self._reference(section, index, symbol, kind, maps)
        return CodeSection(
            section.name,
            section.data,
            functions,
            references,
            self._core.get(section.name, {}),
            self._types.get(section.name, {}),
        )

    def _relocations(self, number: int) -> Iterator[tuple[int, Symbol, int]]:
        seen = 0
        target = self.sections[number]
        for section in self.sections:
            if section.type != SHT_REL or section.info != number:
                continue
            whole = len(section.data) // REL.size * REL.size
            for offset, what in REL.iter_unpack(section.data[:whole]):
                seen += 1
                if seen > MOST_RELOCATIONS:
                    raise self._bad("too many relocations")
                index, rest = divmod(offset, 8)
                if rest or offset >= target.size:
                    raise self._bad(f"relocation outside {target.name}")
                if what >> 32 >= len(self.symbols):
                    raise self._bad(f"relocation in {target.name} to a symbol that is not there")
                yield index, self.symbols[what >> 32], what & 0xFFFFFFFF

    def _reference(
        self, section: Section, index: int, symbol: Symbol, kind: int, maps: dict[str, MapSpec]
    ) -> MapReference | CallSite:
        where = f"{section.name}+{index * 8:#x}"
        if not 0 < symbol.section < len(self.sections):
            raise self._bad(f"extern {symbol.name or '?'} at {where} not supported")
        code, _, _, value = struct.unpack_from("<BBhi", section.data, index * 8)
        home = self.sections[symbol.section]
        if kind == R_BPF_64_32 and code == CALL:
            # A section symbol leaves the place in the instruction, a function symbol has it.
            start, rest = divmod(symbol.value, 8)
            if rest:
                raise self._bad(f"call at {where} into the middle of an instruction")
            return CallSite(symbol.section, start + value + 1)
        if kind == R_BPF_64_64 and code == LOAD_64:
            if index * 8 + 16 > section.size:
                raise self._bad(f"truncated 64-bit load at {where}")
            if home.name == ".maps":
                return MapReference(index, self._map_at(symbol, where, maps), None)
            if home.name in maps and _is_data(home):
                offset = symbol.value + value
                if not 0 <= offset <= home.size:
                    raise self._bad(f"address outside {home.name} at {where}")
                return MapReference(index, home.name, offset)
            if home.flags & SHF_EXECINSTR:
                raise self._bad(f"callback at {where} not supported")
            raise self._bad(f"relocation at {where} to section {home.name!r} not supported")
        raise self._bad(f"unknown relocation {kind} at {where}")

    def _map_at(self, symbol: Symbol, where: str, maps: dict[str, MapSpec]) -> str:
        if symbol.type == STT_SECTION:
            named = (
                other
                for other in self.symbols
                if other.section == symbol.section
                and other.type == STT_OBJECT
                and other.value == symbol.value
            )
            symbol = next(named, symbol)
        if symbol.name not in maps:
            raise self._bad(f"map {symbol.name or '?'} used at {where} is not declared")
        return symbol.name

    @cached_property
    def _core(self) -> dict[str, dict[int, list[CoreRecord]]]:
        section = self.by_name.get(".BTF.ext")
        if section is None or self.btf is None:
            return {}
        return core_records(section.data, self.btf)

    @cached_property
    def _types(self) -> dict[str, dict[int, int]]:
        section = self.by_name.get(".BTF.ext")
        if section is None or self.btf is None:
            return {}
        return function_records(section.data, self.btf)


def _is_data(section: Section) -> bool:
    return bool(
        section.type in (SHT_PROGBITS, SHT_NOBITS)
        and section.flags & SHF_ALLOC
        and section.name.startswith(DATA_PREFIXES)
    )
