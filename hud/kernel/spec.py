"""What an object asks for, as plain values: the same bytes give the same spec on any machine.

A program is an entry function with every subprogram it calls appended; a data map is an array of
one element that holds .rodata, .data or .bss; a variable is a piece of a data map. Indices count
8-byte instruction slots from the program's first one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hud.kernel.btf import Btf


@dataclass(frozen=True, slots=True)
class MapReference:
    """A 64-bit load that names a map, or an address inside a data map."""

    index: int
    map: str
    offset: int | None
    """None: the map itself; else the byte offset inside its first value."""


@dataclass(frozen=True, slots=True)
class CoreRelocation:
    """``struct bpf_core_relo``: an instruction that depends on the running kernel's types."""

    index: int
    kind: int
    """``enum bpf_core_relo_kind``."""
    type_id: int
    """In the object's own BTF."""
    access: str
    """``0:1:2``: member and element numbers from that type down."""


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """One program, ready but for descriptors, constants and the kernel's types."""

    name: str
    section: str
    type: int
    """``enum bpf_prog_type``."""
    attach_type: int
    """``enum bpf_attach_type`` it is loaded with; 0 = none."""
    target: str
    """What the section says after the kind: ``sched/sched_switch``; may be empty."""
    instructions: bytes
    references: tuple[MapReference, ...]
    core: tuple[CoreRelocation, ...]
    functions: tuple[tuple[int, int], ...] = ()
    """(index of its first slot, type id of its FUNC) of every function; empty if unknown. The
    kernel needs them to check a global function once instead of at each call."""
    attach_to: int = 0
    """For tp_btf, once it is fitted: the type of the tracepoint's functions in the kernel's BTF."""
    poisoned: tuple[tuple[int, str], ...] = ()
    """(number in a poisoned call, what this kernel lacks), once it is fitted."""


@dataclass(frozen=True, slots=True)
class MapSpec:
    """One map."""

    name: str
    type: int
    """``enum bpf_map_type``."""
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0
    contents: bytes | None = None
    """First value of a data map; None for any other map."""
    read_only: bool = False
    """Frozen once its contents are in."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A global variable."""

    name: str
    map: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class ObjectSpec:
    """Everything in one object."""

    name: str
    license: str
    programs: Mapping[str, ProgramSpec]
    maps: Mapping[str, MapSpec]
    variables: Mapping[str, Variable]
    btf: Btf | None
    """The object's own types."""
