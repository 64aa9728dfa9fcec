"""Gives the files mapped into the target to the resolver, and their unwind tables to the kernel.

A module is one mapped file (or the vdso), known to the symbol resolver by a number. It is ready
when its unwind table came, and with it the build id and debuglink that lead to its debug files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from hud.errors import HudError
from hud.model import Mapping
from hud.probe.unwind import MappedCode, UnwindTables
from hud.process.mappings import Mappings
from hud.profiler.naming import cache_entries
from hud.profiler.naming.cache import Cache
from hud.profiler.naming.cached_types import CachedTypes
from hud.profiler.naming.debugfiles import FileState
from hud.profiler.naming.debuginfo import DebugInfo, Identity
from hud.profiler.notes import Notes
from hud.resolver.client import Resolver
from hud.resolver.messages import AskUnwind, Facts, Failed, Unwind

PAGE = os.sysconf("SC_PAGE_SIZE")
"""Alignment of file offsets in mappings."""

MOST_BEFORE = 256 << 20
"""Bytes of read-only data, of all files together, behind which unwind tables find code."""
MOST_MODULES = 1000
FileId = tuple[str, int, str]
"""Device, inode and path of a mapped file."""

Open = Callable[[Mapping], int]


@dataclass(slots=True)
class Module:
    """One mapped file as the resolver knows it."""

    number: int
    path: str
    segments: tuple[tuple[int, int, int], ...] = ()
    """(p_vaddr, p_offset, p_filesz), once its unwind table came."""
    base: int = 0
    key: str = ""
    """Of its entries in the cache."""
    built_ns: int = 0
    """When the file was written, CLOCK_REALTIME."""
    tls: int = 0
    """Bytes of thread-locals in each thread, once its unwind table came."""
    ready: bool = False
    """The resolver has all that is at hand of it, its debug files included."""
    waiting: list[Callable[[], None]] = field(default_factory=list)
    """What is to be done as soon as it is ready."""


class Modules:
    """Those of one program, in step with its mappings; ``notes`` gets what cannot be seen."""

    def __init__(
        self,
        resolver: Resolver,
        open_mapping: Open,
        read_mappings: Callable[[], list[Mapping]],
        *,
        cache: Cache,
        debug: DebugInfo | None,
        notes: Notes,
    ) -> None:
        self._resolver = resolver
        self._open = open_mapping
        self._read = read_mappings
        self._cache = cache
        self._debug = debug
        self._notes = notes
        self._tables: UnwindTables | None = None
        self._by_file: dict[FileId, Module | None] = {}
        self._by_number: dict[int, Module] = {}
        self._mappings = Mappings([])
        self._executable: list[Mapping] = []
        self.types = CachedTypes(cache)
        self._arrived: list[tuple[Module, bytes, bytes]] = []
        """Unwind tables that cannot be loaded into the kernel yet."""
        self._unshown = False
        """The kernel has tables that it does not use yet."""

    @property
    def text_bytes(self) -> int:
        """Size of the executable mappings."""
        return sum(mapping.end - mapping.start for mapping in self._executable)

    @property
    def span_bytes(self) -> int:
        """That and what stands before the code in each file, MOST_BEFORE at most: unwind tables
        count from a file's first byte on."""
        before: dict[str, int] = {}
        for mapping in self._executable:
            before[mapping.path] = max(mapping.offset, before.get(mapping.path, 0))
        return self.text_bytes + min(sum(before.values()), MOST_BEFORE)

    @property
    def count(self) -> int:
        """How many files were seen mapped."""
        return len(self._by_file)

    @property
    def pending_unwind(self) -> int:
        """Modules whose unwind table has not come yet."""
        return self._resolver.pending(self)

    # ------------------------------------------------------------------- mappings

    def refresh(self) -> tuple[bool, bool]:
        """Read the mappings again; new files are handed to the resolver.

        Returns whether the executable ones are others than before, and whether some are gone.
        """
        mappings = self._read()
        executable = [mapping for mapping in mappings if mapping.executable]
        if executable == self._executable or not executable:
            # without any it is gone: what is known of it stays
            return False, False
        gone = set(self._executable) - set(executable)
        self._executable = executable
        self._mappings = Mappings(mappings)
        for mapping in executable:
            identity = _identity(mapping)
            if identity is None or identity in self._by_file:
                continue
            if len(self._by_file) >= MOST_MODULES:
                self._notes.add(f"more than {MOST_MODULES} files mapped: not all have names")
                break
            self._by_file[identity] = self._add(mapping)
        self.show()
        return True, bool(gone)

    def find(self, address: int) -> tuple[Mapping | None, Module | None]:
        """The mapping at an address, and the module that it is of; None where there is none."""
        mapping = self._mappings.find(address)
        identity = _identity(mapping)
        return mapping, self._by_file.get(identity) if identity else None

    def knows(self, addresses: Iterable[int]) -> bool:
        """Is each of them inside a mapping read before?"""
        return all(self._mappings.find(address) is not None for address in addresses)

    def is_code(self, address: int) -> bool:
        """Is it inside an executable mapping read before?"""
        mapping = self._mappings.find(address)
        return mapping is not None and mapping.executable

    def locate(self, address: int) -> tuple[Module, int] | None:
        """The module at an address and the offset in its file; None where no file is known."""
        mapping, module = self.find(address)
        if mapping is None or module is None:
            return None
        return module, address - mapping.start + mapping.offset

    def module_of(self, path: str) -> int | None:
        """The resolver's number of the module mapped from this path."""
        for identity, module in self._by_file.items():
            if identity[2] == path and module is not None:
                return module.number
        return None

    def files(self) -> list[tuple[int, str]]:
        """The resolver's number and the path of every module that is a file."""
        found = [module for module in self._by_file.values() if module is not None]
        return [(one.number, one.path) for one in found if one.path.startswith("/")]

    def _add(self, mapping: Mapping) -> Module | None:
        try:
            descriptor = self._open(mapping)
        except HudError as error:
            self._notes.add(str(error))
            return None
        try:
            module = Module(self._resolver.add_module(descriptor, mapping.path), mapping.path)
            module.key = self._cache.key(descriptor)
            module.built_ns = os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)
        self._by_number[module.number] = module
        known = cache_entries.load_unwind(self._cache, module.key)
        if known is not None:
            self._begin(module, known)
        else:
            self._resolver.ask(
                AskUnwind(module.number), partial(self._take_unwind, module), owner=self
            )
        return module

    def with_tls(self, least: int) -> list[tuple[int, str]]:
        """(number, path) of the modules with at least so many bytes of thread-locals."""
        found = (module for module in self._by_file.values() if module is not None)
        return [(module.number, module.path) for module in found if module.tls >= least]

    def mappings_of(self, number: int) -> list[Mapping]:
        """What is mapped of a module now, by address."""
        files = {file for file, module in self._by_file.items() if module is not None
                 and module.number == number}  # fmt: skip
        return [mapping for mapping in self._mappings.all if _identity(mapping) in files]

    def address_of(self, number: int, offset: int) -> int:
        """Where the code at an offset in a module's file is mapped; 0 = it is not any more."""
        for mapping in self.mappings_of(number):
            if mapping.executable and 0 <= offset - mapping.offset < mapping.end - mapping.start:
                return mapping.start + offset - mapping.offset
        return 0

    def key(self, number: int) -> str:
        """Of a module's entries in the cache; empty = it is not cached."""
        return self._by_number[number].key

    def state(self, number: int) -> str:
        """A module with its debug files as they are now; empty = it is not cached."""
        return cache_entries.state(self.key(number), self.debug_files(number))

    def numbers(self) -> list[int]:
        """Of all modules."""
        return list(self._by_number)

    def is_ready(self, number: int) -> bool:
        """Has the resolver all that is at hand of a module, its debug files included?"""
        return self._by_number[number].ready

    def when_ready(self, number: int, then: Callable[[], None]) -> None:
        """Do something as soon as that is so: now, or when its unwind table comes."""
        module = self._by_number[number]
        if module.ready:
            then()
        else:
            module.waiting.append(then)

    def known_facts(self, number: int) -> Facts | None:
        """A module's facts from the cache; for one that ``is_ready``."""
        key = self._by_number[number].key
        return cache_entries.load_facts(self._cache, key, self.debug_files(number))

    def keep_facts(self, number: int, answer: Facts) -> None:
        """Store a module's facts in the cache."""
        key = self._by_number[number].key
        cache_entries.store_facts(self._cache, key, self.debug_files(number), answer)

    def debug_files(self, number: int) -> tuple[FileState, ...]:
        """Of a module's debug files."""
        return self._debug.debug_files(number) if self._debug is not None else ()

    # ------------------------------------------------------------------- unwind tables

    def use_tables(self, tables: UnwindTables) -> None:
        """From now on unwind tables go to the kernel, those that came before included."""
        self._tables = tables
        arrived, self._arrived = self._arrived, []
        for module, rows, buckets in arrived:
            self._add_table(tables, module, rows, buckets)
        self.show()

    def _add_table(self, tables: UnwindTables, module: Module, rows: bytes, buckets: bytes) -> bool:
        fits = tables.add(module.number, rows, buckets)
        if not fits:
            self._notes.add(f"{module.path}: no room for its unwind rules")
        return fits

    def show_new(self) -> None:
        """Have the kernel use the tables that have come since the last time."""
        if self._unshown:
            self.show()

    def show(self) -> None:
        """Have the kernel use its tables for what is mapped now."""
        self._unshown = False
        if self._tables is None:
            return
        segments = []
        for mapping in self._executable:
            identity = _identity(mapping)
            module = self._by_file.get(identity) if identity else None
            if module is None or module.number not in self._tables:
                continue
            vaddr = _vaddr(mapping.offset, module.segments)
            if vaddr is not None:
                bias = mapping.start - vaddr + module.base
                segments.append(MappedCode(mapping.start, mapping.end, bias, module.number))
        self._tables.show(segments)

    def _take_unwind(self, module: Module, answer: Unwind | Failed) -> None:
        if isinstance(answer, Failed):
            self._notes.add(f"{module.path}: {answer.message}")
        else:
            cache_entries.store_unwind(self._cache, module.key, answer)
        self._begin(module, answer)

    def _begin(self, module: Module, answer: Unwind | Failed) -> None:
        """Offer its debug files, and give its table to the kernel."""
        if isinstance(answer, Unwind):
            if self._debug is not None:
                about = answer.build_id, answer.debuglink, answer.has_dwarf
                self._debug.begin(module.number, Identity(module.path, *about))
            self._use_unwind(module, answer)
        module.ready = True
        waiting, module.waiting = module.waiting, []
        for then in waiting:
            then()

    def _use_unwind(self, module: Module, answer: Unwind) -> None:
        table = answer.table
        if answer.note and (table is None or table.unsupported * 100 > table.count):
            self._notes.add(f"{module.path}: {answer.note}")
        module.segments = tuple(answer.segments)
        module.tls = answer.tls
        if table is None:
            return
        module.base = table.base
        if self._tables is None:
            self._arrived.append((module, table.rows, table.buckets))
        else:
            self._unshown |= self._add_table(self._tables, module, table.rows, table.buckets)

    def clear(self) -> None:
        """The target runs another image: forget everything."""
        if self._tables is not None:
            self._tables.clear()
        self._by_file.clear()
        self._executable = []
        self._mappings = Mappings([])
        self._resolver.drop(self)
        self._arrived.clear()


def _vaddr(offset: int, segments: Sequence[tuple[int, int, int]]) -> int | None:
    """The vaddr at a file offset that begins a mapping.

    Segments are mapped by whole pages, so that two of them may share a page of the file: the one
    whose first page it is comes first.
    """
    found = None
    for p_vaddr, p_offset, p_filesz in segments:
        first = p_offset & -PAGE
        if first == offset or (found is None and first < offset < p_offset + p_filesz):
            found = p_vaddr + offset - p_offset
    return found


def _identity(mapping: Mapping | None) -> FileId | None:
    if mapping is None or not mapping.path or (not mapping.inode and mapping.path != "[vdso]"):
        return None
    return mapping.device, mapping.inode, mapping.path
