"""Finds the calls at an address of one mapped file, and what else its symbols say.

Beside the file that is mapped there may be a separate file with its debug information (the same
addresses), and .dwo and .dwp files with what the compiler left out of both
(`hud.symbols.dwarf.split`). Addresses are vaddrs of the file, without the bias it is loaded with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.demangle import demangle
from hud.symbols.dwarf.members import structures_with
from hud.symbols.dwarf.reader import Dwarf, RawFrame
from hud.symbols.elf.file import ET_DYN, PT_GNU_EH_FRAME, STT_TLS
from hud.symbols.elf.symtab import Symtab
from hud.symbols.elf.tls import tls_slots
from hud.symbols.facts import ModuleFacts
from hud.symbols.inference.coroutines import Coroutines
from hud.symbols.inference.locations import Locations
from hud.symbols.names import ASYNC, is_closure
from hud.symbols.packages import package

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hud.symbols.elf.file import ElfFile
    from hud.symbols.elf.symtab import FoundSymbol
    from hud.symbols.facts import Slot

__all__ = ["CONTEXT_NAMES", "Module", "RawFrame"]

CONTEXT_NAMES = (
    rb"5tokio(?:7runtime7context7CONTEXT|4coop7CURRENT|7runtime5enter7ENTERED"
    rb"|7runtime(?:11thread_pool6worker|15basic_scheduler)7CURRENT3FOO"
    rb"|7runtime9scheduler(?:12multi_thread6worker|14current_thread)7CURRENT3FOO)"
)
"""Tokio's thread-local ``tokio::runtime::context::CONTEXT``, and those that were what it is now
before 1.22: legacy and v0 mangling agree here."""
MAX_TLS_SYMBOLS = 64
MAX_NOTES = 16


class Module:
    """The symbols of one file. Only opening an ElfFile raises; damage here costs names."""

    def __init__(
        self, elf: ElfFile, debug: ElfFile | None = None, splits: Sequence[ElfFile] = ()
    ) -> None:
        self.elf = elf
        self.debug = debug
        self.locations = Locations(elf)
        self.coroutines = Coroutines(elf, self.locations)
        self._notes: list[str] = []
        self._symtabs = [Symtab(file) for file in (elf, debug) if file is not None]
        self._has_symtab = any(found.table == ".symtab" for found in self._symtabs)
        mini = None if self._has_symtab else self._mini_debug()
        self._has_mini_debug = mini is not None
        if mini is not None:
            self._symtabs.append(Symtab(mini))
        self._symtabs.sort(key=lambda found: found.table != ".symtab")
        self._dwarf = self._open_dwarf()
        for file in splits:
            self.add_split(file)

    def _mini_debug(self) -> ElfFile | None:
        try:
            return self.elf.mini_debug()
        except FormatError as why:
            self._note(str(why))
            return None

    def _open_dwarf(self) -> Dwarf | None:
        for file in (self.debug, self.elf):
            if file is None or file.section(".debug_info") is None:
                continue
            try:
                dwarf = Dwarf(file, self.elf.code_ranges())
            except FormatError as why:
                self._note(str(why))
                continue
            if len(dwarf.units.info):
                return dwarf
        return None

    def add_split(self, file: ElfFile) -> str:
        """Use one .dwo or .dwp file; why not, or empty."""
        if self._dwarf is None:
            return "no debug info that it could belong to"
        return self._dwarf.add_split(file)

    def take_wanted(self) -> list[str]:
        """Paths of .dwo files that frames missed since the last call; relative ones stay so."""
        return self._dwarf.splits.take_wanted() if self._dwarf is not None else []

    def _note(self, text: str) -> None:
        if text not in self._notes and len(self._notes) < MAX_NOTES:
            self._notes.append(text)

    def frames(self, vaddr: int) -> tuple[RawFrame, ...]:
        """The calls at a vaddr, innermost first: from DWARF, else the symbol table, else none.

        For a caller's frame pass the return address - 1.
        """
        frames = self._dwarf_frames(vaddr)
        if frames and _is_named(frames[-1]):
            return tuple(frames)
        symbol = self.symbol(vaddr)
        if symbol is None or (frames and frames[-1].name and demangle(symbol[0]) is None):
            return tuple(frames)
        name, start, size = symbol
        if not frames:
            return (RawFrame(name, self.kind(symbol), "", 0, False, start, size),)
        own = frames[-1].name
        own = own if own.startswith("{") else "" if own else self.kind(symbol)
        named = frames[-1]._replace(name_raw=name, name=own)
        return tuple(
            frame._replace(
                symbol_start=frame.symbol_start or start, symbol_size=frame.symbol_size or size
            )
            for frame in (*frames[:-1], named)
        )

    def _dwarf_frames(self, vaddr: int) -> list[RawFrame]:
        if self._dwarf is None:
            return []
        try:
            return self._dwarf.frames(vaddr)
        except FormatError as why:
            self._note(str(why))
            return []

    def own_name(self, vaddr: int) -> str:
        """What DWARF calls the function at a vaddr, its generics included; empty = nothing."""
        if self._dwarf is None:
            return ""
        try:
            return self._dwarf.own_name(vaddr)
        except FormatError as why:
            self._note(str(why))
            return ""

    def kind(self, symbol: tuple[str, int, int]) -> str:
        """ASYNC where a symbol, as ``symbol`` gives it, is the body of an async fn or block by its
        code; empty = a closure, another function, or not known.
        """
        name, start, size = symbol
        return ASYNC if is_closure(name) and self.coroutines.is_body(start, size) else ""

    def symbol(self, vaddr: int) -> tuple[str, int, int] | None:
        """(raw name, start, size) of the function at a vaddr, by the symbol tables alone."""
        for symtab in self._symtabs:
            try:
                found = symtab.lookup(vaddr)
            except FormatError as why:
                self._note(str(why))
                continue
            if found is not None:
                return found
        return None

    def function_starts(self) -> set[int]:
        """Where the functions of the symbol tables begin."""
        return {start for symtab in self._symtabs for start in self._starts_of(symtab)}

    def _starts_of(self, symtab: Symtab) -> Iterable[int]:
        try:
            return symtab.starts()
        except FormatError as why:
            self._note(str(why))
            return ()

    def defined(self, name_regex: bytes) -> list[tuple[str, int, int]]:
        """(raw name, vaddr, size) of the defined symbols whose name the pattern is found in."""
        return sorted({(s.name, s.value, s.size) for s in self._find(name_regex)})

    def _find(self, name_regex: bytes) -> list[FoundSymbol]:
        return [found for symtab in self._symtabs for found in self._find_in(symtab, name_regex)]

    def _find_in(self, symtab: Symtab, name_regex: bytes) -> list[FoundSymbol]:
        try:
            return symtab.find(name_regex)
        except FormatError as why:
            self._note(str(why))
            return []

    def facts(self) -> ModuleFacts:
        elf = self.elf
        contexts = {(s.name, s.value, s.size) for s in self._tls_symbols()}
        link = elf.debuglink()
        versions = self._dwarf.versions() if self._dwarf is not None else ()
        debug_notes = self.debug.notes if self.debug is not None else []
        dwarf_notes = self._dwarf.notes if self._dwarf is not None else []
        notes = dict.fromkeys([*elf.notes, *debug_notes, *dwarf_notes, *self._notes])
        return ModuleFacts(
            name=elf.name,
            build_id=elf.build_id(),
            machine=elf.machine,
            pie=elf.type == ET_DYN,
            segments=tuple((s.vaddr, s.offset, s.filesz, s.flags) for s in elf.loads),
            tls=elf.tls,
            tls_symbols=tuple(sorted(contexts)[:MAX_TLS_SYMBOLS]),
            has_symtab=self._has_symtab,
            has_dwarf=self._dwarf is not None,
            dwarf_versions=versions,
            has_eh_frame=elf.segment(PT_GNU_EH_FRAME) is not None
            or elf.section(".eh_frame") is not None,
            debuglink=link[0] if link is not None else "",
            notes=tuple(notes)[:MAX_NOTES],
            tls_slots=self._tls_slots(),
            context_members=self._context_members(contexts) if contexts else (),
            package=package(elf),
            has_mini_debug=self._has_mini_debug,
        )

    def _tls_slots(self) -> tuple[Slot, ...]:
        try:
            return tls_slots(self.elf)
        except FormatError as why:
            self._note(str(why))
            return ()

    def _context_members(
        self, contexts: Iterable[tuple[str, int, int]]
    ) -> tuple[dict[str, int], ...]:
        if self._dwarf is None:
            return ()
        apart = any("4coop7CURRENT" in name for name, _, _ in contexts)
        names = ("lifo_slot", "unhandled_panic") if apart else ("current_task_id",)
        beside = "tick" if apart else "budget"
        found = (one for name in names for one in structures_with(self._dwarf.units, name))
        return tuple(one for one in found if beside in one)[:MAX_TLS_SYMBOLS]

    def _tls_symbols(self) -> list[FoundSymbol]:
        return [symbol for symbol in self._find(CONTEXT_NAMES) if symbol.type == STT_TLS]


def _is_named(frame: RawFrame) -> bool:
    """By itself; line tables alone have only the last part of a path, and a symbol says more."""
    bare = frame.file.endswith(".rs") and "::" not in frame.name
    return bool(frame.name_raw or (frame.name and not bare))
