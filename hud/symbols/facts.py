"""The values that leave the library of readers: what a file is and has, as plain data.

All of hud.symbols that a process with privileges may import: nothing here reads a byte of a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import msgspec

from hud.model import Frame


class TlsSegment(NamedTuple):
    """The PT_TLS header: the initial image of each thread's block."""

    vaddr: int
    filesz: int
    memsz: int
    align: int


class Slot(NamedTuple):
    """One word that the loader fills (hud.symbols.elf.tls); of a DESCRIPTOR the second of two."""

    kind: int
    vaddr: int
    offset: int
    """Of the variable in the module's block."""


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """What one file is and has; addresses are vaddrs, sizes bytes."""

    name: str
    build_id: str
    """Lower-case hex; empty = none."""
    machine: str
    """``x86_64``, ``aarch64`` or ``machine N``."""
    pie: bool
    """ET_DYN: loaded with a bias (shared objects as well)."""
    segments: tuple[tuple[int, int, int, int], ...]
    """(p_vaddr, p_offset, p_filesz, p_flags) of each PT_LOAD."""
    tls: TlsSegment | None
    """(vaddr, filesz, memsz, align) of PT_TLS."""
    tls_symbols: tuple[tuple[str, int, int], ...]
    """(raw name, offset in the TLS segment, size) of those of Tokio's CONTEXT
    (``hud.symbols.module.CONTEXT_NAMES``)."""
    has_symtab: bool
    has_dwarf: bool
    dwarf_versions: tuple[int, ...]
    has_eh_frame: bool
    debuglink: str
    """File name of a separate debug file; empty = none."""
    notes: tuple[str, ...]
    """Sentences about what cannot be read."""
    tls_slots: tuple[Slot, ...] = ()
    """Where the loader says which thread-local block is this file's; of shared objects."""
    context_members: tuple[dict[str, int], ...] = ()
    """Member -> offset of Tokio's Context, where debug info has types; of each copy. Before 1.22 of
    the Core of each scheduler."""
    package: str = ""
    """``rpm ripgrep 14.1.0-3.fc40``, as the file itself says; empty = nothing."""
    has_mini_debug: bool = False
    """No symbol table, but the names of functions in ``.gnu_debugdata``."""

    @property
    def has_names(self) -> bool:
        """Of its functions."""
        return self.has_symtab or self.has_mini_debug


@dataclass(frozen=True, slots=True)
class UnwindTable:
    """One module's unwind rules; `hud.symbols.unwind.table` describes ``rows`` and ``buckets``."""

    base: int
    """Lowest PT_LOAD vaddr, rounded down to a page."""
    rows: bytes
    buckets: bytes
    count: int
    """Rows."""
    functions: int
    """FDEs that gave rows."""
    unsupported: int
    """Rows with the rule UNSUPPORTED, and FDEs that could not be read."""


class Role(str, Enum):
    """What happens at a point."""

    RUNNING = "running"
    """``State::transition_to_running``: a poll begins."""
    IDLE = "idle"
    """``State::transition_to_idle``: it ends, the task goes on later."""
    COMPLETE = "complete"
    """``State::transition_to_complete``: it ends with the task."""
    POLL = "poll"
    """``raw::poll``, the entry of each type's vtable: a poll begins, and ends with its return."""


class Point(NamedTuple):
    """One instruction that may be probed (hud.symbols.machine.probes)."""

    role: Role
    vaddr: int
    offset: int
    """In the file."""
    content: bytes
    """The file's bytes from there, at most ``hud.symbols.machine.probes.CHECKED``."""
    emulated: bool


class Recovered(msgspec.Struct, frozen=True, array_like=True):
    """A function that a tail call removed from a stack."""

    module: int
    offset: int
    """File offset of its jump, or of its start."""
    frames: tuple[Frame, ...]


class Between(msgspec.Struct, frozen=True, array_like=True):
    """What tail calls removed between a caller and the function that the next inner frame is in."""

    start: int
    end: int
    """File offsets of that function: the same holds for every pc in it."""
    functions: list[Recovered]
    """Innermost first."""
