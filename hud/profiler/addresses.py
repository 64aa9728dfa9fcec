"""The target's address space: which module an address is in, its unwind rules, its names.

Terms: a *module* is one mapped file (or the vdso), known to the symbol resolver by a number; a
*site* is what is looked up for a frame, as one number: twice its address, plus one for the
innermost frame. Of a caller the byte before the return address is looked up: the call itself.

Most new stacks differ from known ones in the innermost frame only, so that the frames of all
callers together are kept too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import NamedTuple

from hud.errors import HudError
from hud.model import Frame, Mapping, Stack
from hud.probe.probe import RawStack
from hud.probe.unwind import Segment, UnwindTables
from hud.profiler import remembered
from hud.profiler.cache import Cache
from hud.profiler.debugfiles import Place
from hud.profiler.debuginfo import DebugInfo, Identity
from hud.profiler.names import KeptNames
from hud.symbols.client import (
    DebugReply,
    FactsReply,
    FailedReply,
    FramesReply,
    Reply,
    Resolver,
    UnwindReply,
)
from hud.target.mappings import Mappings

PAGE = os.sysconf("SC_PAGE_SIZE")
"""Alignment of file offsets in mappings."""

MOST_MODULES = 1000
MOST_CALLERS = 20_000
MOST_NAMED = 200_000
"""Sites whose frames are kept; beyond it the cache starts anew."""
MOST_HOMELESS = 1000
MOST_IN_QUESTION = 64
MOST_TRIES = 16
"""How often frames are asked for again while more of their debug information is found."""

FileId = tuple[str, int, str]
"""Device, inode, path: what tells one mapped file from another."""

Open = Callable[[Mapping], int]

_rest = attrgetter(*(field.name for field in fields(Frame)[1:]))
"""What a frame has besides its address."""


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


class Resolved(NamedTuple):
    """A stack whose frames are known now."""

    key: int
    stack: Stack


class Question(NamedTuple):
    """Frames that the resolver was asked for."""

    module: Module
    sites: list[int]
    offsets: list[int]
    """In the file, one for each site."""
    tries: int = 0
    """How often they were asked for before."""


class Addresses:
    """Keeps the resolver and the kernel's unwind tables in step with the target's mappings."""

    def __init__(
        self,
        resolver: Resolver,
        open_mapping: Open,
        read_mappings: Callable[[], list[Mapping]],
        cache: Cache | None = None,
        debug: DebugInfo | None = None,
    ) -> None:
        self._resolver = resolver
        self._open = open_mapping
        self._read = read_mappings
        self._cache = cache or Cache(None)
        self._debug = debug
        self._tables: UnwindTables | None = None
        self._modules: dict[FileId, Module | None] = {}
        self._by_number: dict[int, Module] = {}
        self._mappings = Mappings([])
        self._executable: list[Mapping] = []
        self._unwind_requests: dict[int, Module] = {}
        self._unwind_replies: list[tuple[Module, bytes, bytes]] = []
        self._frame_requests: dict[int, Question] = {}
        self._frames: dict[int, tuple[Frame, ...]] = {}
        self._callers: dict[tuple[int, ...], tuple[Frame, ...]] = {}
        self._asked: set[int] = set()
        self._wanted: dict[int, None] = {}
        self._kept = KeptNames(self._cache, self._places)
        self._waiting: dict[int, tuple[RawStack, set[int]]] = {}
        self._homeless: dict[int, RawStack] = {}
        """Stacks with an address outside every mapping: a library that was loaded since."""
        self.notes: list[str] = []
        """What cannot be seen, a sentence each."""
        self.unnamed = 0
        """Stacks given up because the resolver died or refused."""
        self.improved = False
        """Debug information came late: stacks that were named before may be named better now."""

    # ------------------------------------------------------------------- mappings

    @property
    def text_bytes(self) -> int:
        """Size of the executable mappings."""
        return sum(mapping.end - mapping.start for mapping in self._executable)

    @property
    def pending_unwind(self) -> int:
        """Modules whose unwind table has not come yet."""
        return len(self._unwind_requests)

    @property
    def pending_stacks(self) -> int:
        """Stacks whose names have not come yet."""
        return len(self._waiting)

    def refresh(self) -> None:
        """Read the mappings again; new modules are handed to the resolver."""
        mappings = self._read()
        executable = [mapping for mapping in mappings if mapping.executable]
        if executable == self._executable or not executable:
            # without any it is gone: what is known of it stays
            return
        gone = set(self._executable) - set(executable)
        self._executable = executable
        self._mappings = Mappings(mappings)
        for mapping in executable:
            identity = _identity(mapping)
            if identity is None or identity in self._modules:
                continue
            if len(self._modules) >= MOST_MODULES:
                self.notes.append(f"more than {MOST_MODULES} files mapped: not all have names")
                break
            self._modules[identity] = self._add(mapping)
        self._show()
        homeless, self._homeless = self._homeless, {}
        if gone or homeless:
            # another module may be at the same addresses now, or one where none was
            self._forget_names(homeless)

    def locate(self, address: int) -> tuple[Module, int] | None:
        """The module at an address and the offset in its file; None where no file is known."""
        mapping = self._mappings.find(address)
        identity = _identity(mapping)
        module = self._modules.get(identity) if identity else None
        if mapping is None or module is None:
            return None
        return module, address - mapping.start + mapping.offset

    def module_of(self, path: str) -> int | None:
        """The resolver's number of the module mapped from this path."""
        for identity, module in self._modules.items():
            if identity[2] == path and module is not None:
                return module.number
        return None

    def files(self) -> list[tuple[int, str]]:
        """The resolver's number and the path of every module that is a file."""
        found = [module for module in self._modules.values() if module is not None]
        return [(one.number, one.path) for one in found if one.path.startswith("/")]

    def _add(self, mapping: Mapping) -> Module | None:
        try:
            descriptor = self._open(mapping)
        except HudError as error:
            self.notes.append(str(error))
            return None
        try:
            module = Module(self._resolver.add_module(descriptor, mapping.path), mapping.path)
            module.key = self._cache.key(descriptor)
            module.built_ns = os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)
        self._by_number[module.number] = module
        known = remembered.load_unwind(self._cache, module.key)
        if known is not None:
            self._use_unwind(module, known)
        else:
            self._unwind_requests[self._resolver.request_unwind(module.number)] = module
        return module

    def with_tls(self, least: int) -> list[tuple[int, str]]:
        """(number, path) of the modules with at least so many bytes of thread-locals."""
        found = (module for module in self._modules.values() if module is not None)
        return [(module.number, module.path) for module in found if module.tls >= least]

    def mappings_of(self, number: int) -> list[Mapping]:
        """What is mapped of a module now, by address."""
        files = {file for file, module in self._modules.items() if module is not None
                 and module.number == number}  # fmt: skip
        return [mapping for mapping in self._mappings.all if _identity(mapping) in files]

    def is_begun(self, number: int) -> bool:
        """Has the resolver all that is at hand of a module, its debug files included?"""
        return all(module.number != number for module in self._unwind_requests.values())

    def known_facts(self, number: int) -> FactsReply | None:
        """A module's facts from the cache; for one that ``is_begun``."""
        key = self._by_number[number].key
        return remembered.load_facts(self._cache, key, self._places(number))

    def keep_facts(self, number: int, reply: FactsReply) -> None:
        """Let the cache have a module's facts."""
        key = self._by_number[number].key
        remembered.store_facts(self._cache, key, self._places(number), reply)

    def _places(self, number: int) -> tuple[Place, ...]:
        return self._debug.places(number) if self._debug is not None else ()

    def keep_names(self) -> None:
        """Let the cache have the names that were looked up."""
        self._kept.store()

    def use_tables(self, tables: UnwindTables) -> None:
        """From now on unwind tables go to the kernel, those that came before included."""
        self._tables = tables
        arrived, self._unwind_replies = self._unwind_replies, []
        for module, rows, buckets in arrived:
            self._add_table(tables, module, rows, buckets)
        self._show()

    def _add_table(self, tables: UnwindTables, module: Module, rows: bytes, buckets: bytes) -> bool:
        fits = tables.add(module.number, rows, buckets)
        if not fits:
            self.notes.append(f"{module.path}: no room for its unwind rules")
        return fits

    def _show(self) -> None:
        if self._tables is None:
            return
        segments = []
        for mapping in self._executable:
            identity = _identity(mapping)
            module = self._modules.get(identity) if identity else None
            if module is None or module.number not in self._tables:
                continue
            vaddr = _vaddr(mapping.offset, module.segments)
            if vaddr is not None:
                bias = mapping.start - vaddr + module.base
                segments.append(Segment(mapping.start, mapping.end, bias, module.number))
        self._tables.show(segments)

    def clear(self) -> None:
        """The target runs another image: forget everything."""
        self._kept.store()
        self._kept.forget()
        if self._tables is not None:
            self._tables.clear()
        self._modules.clear()
        self._executable = []
        self._mappings = Mappings([])
        self._waiting.clear()
        self._wanted.clear()
        self._homeless.clear()
        self._unwind_requests.clear()
        self._unwind_replies.clear()
        self._forget_names({})
        if self._debug is not None:
            self._debug.clear()

    # ------------------------------------------------------------------- names

    def want(self, key: int, raw: RawStack, *, ask: bool = True) -> Stack:
        """The stack as far as it is known now; its names come through ``take``.

        ``ask`` False leaves the question to the next ``ask_wanted``: one for many stacks.
        """
        if raw.stop and len(self._homeless) < MOST_HOMELESS and not self.knows(raw.addresses):
            self._homeless[key] = raw
        if raw.addresses[1:] in self._callers:
            sites = [raw.addresses[0] << 1 | 1]
        else:
            sites = sites_of(raw.addresses)
        missing = {site for site in sites if site not in self._frames}
        if not missing:
            return self._stack(raw)
        self._waiting[key] = raw, missing
        self._wanted.update(dict.fromkeys(site for site in sites if site in missing))
        if ask:
            self.ask_wanted()
        return Stack(raw.addresses, not raw.stop, raw.stop)

    def ask_wanted(self) -> None:
        """Ask the resolver for everything that was wanted and not asked for yet.

        In the order in which it was wanted, and in questions of a bounded size: the first stacks
        have names while the resolver still reads debug information for the others.
        """
        wanted, self._wanted = [site for site in self._wanted if site not in self._asked], {}
        for at in range(0, len(wanted), MOST_IN_QUESTION):
            self._ask(wanted[at : at + MOST_IN_QUESTION])

    def knows(self, addresses: Iterable[int]) -> bool:
        """Is each of them inside a mapping read before?"""
        return all(self._mappings.find(address) is not None for address in addresses)

    def is_code(self, address: int) -> bool:
        """Is it inside an executable mapping read before?"""
        mapping = self._mappings.find(address)
        return mapping is not None and mapping.executable

    def module_at(self, address: int) -> tuple[int, int] | None:
        """The resolver's number of the module at an address, and the offset in its file."""
        mapping = self._mappings.find(address)
        identity = _identity(mapping)
        module = self._modules.get(identity) if identity else None
        if mapping is None or module is None:
            return None
        return module.number, address - mapping.start + mapping.offset

    def _ask(self, sites: list[int]) -> None:
        places: dict[int, list[int]] = {}
        offsets: dict[int, list[int]] = {}
        for site in sorted(sites):
            address = _looked_up(site)
            mapping = self._mappings.find(address)
            identity = _identity(mapping) if mapping else None
            module = self._modules.get(identity) if identity else None
            if mapping is None:
                self._name(site, (Frame(0),))
                continue
            offset = address - mapping.start + mapping.offset
            if module is None:
                self._name(site, (Frame(0, module=mapping.path, offset=offset),))
                continue
            known = self._kept.find(module.number, module.key, module.path, offset)
            if known is not None:
                self._name(site, known)
                continue
            places.setdefault(module.number, []).append(site)
            offsets.setdefault(module.number, []).append(offset)
        for number, wanted in places.items():
            self._put(Question(self._by_number[number], wanted, offsets[number]))
            self._asked.update(wanted)

    def _put(self, question: Question) -> None:
        request = self._resolver.request_frames(question.module.number, question.offsets)
        self._frame_requests[request] = question

    def _name(self, site: int, frames: tuple[Frame, ...]) -> None:
        address = site >> 1
        self._frames[site] = tuple(Frame(address, *_rest(frame)) for frame in frames)

    def _forget_names(self, again: dict[int, RawStack]) -> None:
        """Start anew; the stacks that wait, and those given, are asked for again."""
        again = again | {key: raw for key, (raw, _) in self._waiting.items()}
        self._frames.clear()
        self._callers.clear()
        self._asked.clear()
        self._frame_requests.clear()
        self._waiting.clear()
        self._wanted.clear()
        for key, raw in again.items():
            self.want(key, raw)

    def take(self, replies: Sequence[Reply]) -> list[Resolved]:
        """Use the resolver's answers; returns the stacks that are named by them."""
        named = False
        tables_came = False
        better = False
        if self._debug is not None:
            self._debug.poll()
        for reply in replies:
            if isinstance(reply, FramesReply) and reply.request in self._frame_requests:
                named |= self._take_frames(self._frame_requests.pop(reply.request), reply)
            elif isinstance(reply, UnwindReply):
                tables_came |= self._take_unwind(reply)
            elif isinstance(reply, FailedReply):
                named |= self._take_failure(reply)
            if isinstance(reply, DebugReply | FailedReply) and self._debug is not None:
                better |= self._debug.take(reply)
        if tables_came:
            self._show()
        if self._debug is not None:
            self.notes += self._debug.notes
            self._debug.notes.clear()
        if better and (self._frames or self._frame_requests):
            self.improved = True
            self._kept.forget()
            self._forget_names({})
        done = self._finished() if named or self._waiting else []
        if len(self._frames) >= MOST_NAMED:
            self._forget_names({})
        return done

    def _take_frames(self, question: Question, reply: FramesReply) -> bool:
        """False: asked for again, now that the resolver has more of the debug information."""
        module, sites, offsets, tries = question
        if (
            reply.objects
            and tries < MOST_TRIES
            and self._debug is not None
            and self._debug.fetch_objects(module.number, reply.objects, tries)
        ):
            self._put(question._replace(tries=tries + 1))
            return False
        self._name_nothing(module, sites, offsets)
        for site, frames in zip(sites, reply.frames, strict=False):
            self._name(site, frames)
        if not reply.objects:
            self._kept.add(module.number, offsets, reply.frames)
        self._asked.difference_update(sites)
        return True

    def _take_unwind(self, reply: UnwindReply) -> bool:
        module = self._unwind_requests.pop(reply.request, None)
        if module is None:
            return False
        remembered.store_unwind(self._cache, module.key, reply)
        return self._use_unwind(module, reply)

    def _use_unwind(self, module: Module, reply: UnwindReply) -> bool:
        """Begin with a module whose unwind table has come; True where the kernel has it now."""
        if self._debug is not None:
            about = reply.build_id, reply.debuglink, reply.has_dwarf
            self._debug.begin(module.number, Identity(module.path, *about))
        table = reply.table
        if reply.note and (table is None or table.unsupported * 100 > table.count):
            self.notes.append(f"{module.path}: {reply.note}")
        module.segments = tuple(reply.segments)
        module.tls = reply.tls
        if table is None:
            return False
        module.base = table.base
        if self._tables is None:
            self._unwind_replies.append((module, table.rows, table.buckets))
            return False
        return self._add_table(self._tables, module, table.rows, table.buckets)

    def _take_failure(self, reply: FailedReply) -> bool:
        module = self._unwind_requests.pop(reply.request, None)
        if module is not None:
            self.notes.append(f"{module.path}: {reply.message}")
            return False
        asked = self._frame_requests.pop(reply.request, None)
        if asked is None:
            return False
        module, sites, offsets, _ = asked
        self.notes.append(f"{module.path}: {reply.message}")
        self.unnamed += 1
        self._name_nothing(module, sites, offsets)
        self._asked.difference_update(sites)
        return True

    def _name_nothing(self, module: Module, sites: list[int], offsets: list[int]) -> None:
        for site, offset in zip(sites, offsets, strict=True):
            self._name(site, (Frame(0, module=module.path, offset=offset),))

    def _finished(self) -> list[Resolved]:
        done = []
        for key, (raw, missing) in list(self._waiting.items()):
            missing.difference_update([site for site in missing if site in self._frames])
            if not missing:
                del self._waiting[key]
                done.append(Resolved(key, self._stack(raw)))
        return done

    def _stack(self, raw: RawStack) -> Stack:
        first, callers = raw.addresses[0], raw.addresses[1:]
        outer = self._callers.get(callers)
        if outer is None:
            found = (self._frames.get(address << 1) or (Frame(address),) for address in callers)
            outer = tuple(frame for frames in found for frame in frames)
            if len(self._callers) < MOST_CALLERS:
                self._callers[callers] = outer
        inner = self._frames.get(first << 1 | 1) or (Frame(first),)
        return Stack(raw.addresses, not raw.stop, raw.stop, inner + outer)


def sites_of(addresses: Sequence[int]) -> list[int]:
    """The sites of a stack, innermost first."""
    return [address << 1 | (not index) for index, address in enumerate(addresses)]


def _looked_up(site: int) -> int:
    return (site >> 1) - (not site & 1)


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
