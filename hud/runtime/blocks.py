"""Finds one mapped file's thread-locals, its TLS block, in each thread.

The executable's block is at a fixed distance from the thread pointer (fsbase, TPIDR_EL0); that of a
shared object mostly hangs in the thread's dtv, a table indexed by module id, once the thread has
touched it.

Measured with glibc 2.36 on x86_64; musl's table has another form. The rest by the psABI documents
and glibc's sources (sysdeps/generic/dl-dtv.h, sysdeps/*/dl-tlsdesc.h), aarch64 untested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hud.model import Mapping as Region
    from hud.runtime.memory import Read

EM_X86_64 = 62
EM_AARCH64 = 183
"""elf.h."""

MODULE, DISTANCE, DESCRIPTOR = 0, 1, 2
"""Kinds of slots; hud.symbols.elf.tls says what they are."""

MODULE_LIMIT = 1 << 20
DISTANCE_LIMIT = 1 << 24
"""More than any process has: what is beyond it was not written by the loader yet."""

UNALLOCATED = (1 << 64) - 1
"""TLS_DTV_UNALLOCATED of glibc: the thread has not touched the module's thread-locals."""

PAGE = 4096


class TlsSegment(Protocol):
    """The PT_TLS program header."""

    @property
    def vaddr(self) -> int: ...
    @property
    def memsz(self) -> int: ...
    @property
    def align(self) -> int: ...


class Block(NamedTuple):
    """Where to find one file's thread-locals in any thread."""

    module: int
    """Index in the dtv; 0 = at a fixed distance from the thread pointer."""
    start: int
    """Bytes from the thread pointer to the block; 0 with a module id."""
    size: int
    where: str = ""
    """The shared object, for people; empty = the executable."""


class Slot(Protocol):
    """``hud.symbols.elf.tls.Slot``."""

    @property
    def kind(self) -> int: ...
    @property
    def vaddr(self) -> int: ...
    @property
    def offset(self) -> int: ...


def executable_block(tls: TlsSegment | None, machine: int | str) -> Block | str:
    """The block of the program itself; else why it is not known where it is."""
    start_of = BLOCK_STARTS.get(machine)
    if start_of is None:
        return f"no layout of thread-locals for machine {machine}"
    if tls is None:
        return "no TLS segment"
    if tls.align < 0 or tls.align & (tls.align - 1):
        return "no sound TLS segment"
    return Block(0, start_of(tls), tls.memsz)


def object_block(
    tls: TlsSegment | None, machine: str, slots: Sequence[Slot], bias: int, read: Read, where: str
) -> Block | str:
    """The block of a shared object, by what the loader has written into its slots.

    ``bias``: what is added to the file's addresses. A string says why it is not known.
    """
    if tls is None:
        return "no TLS segment"
    for slot in slots:
        word = _word(read, bias + slot.vaddr)
        found = None
        if slot.kind == MODULE:
            found = _by_module(word, tls, where)
        elif slot.kind == DISTANCE:
            found = _by_distance(word, slot.offset, tls, machine, where)
        elif slot.kind == DESCRIPTOR:
            # {module, offset} where the code looks into the dtv, else the distance itself
            module, offset = _word(read, word), _word(read, word + 8)
            if offset == slot.offset:
                found = _by_module(module, tls, where)
            found = found or _by_distance(word, slot.offset, tls, machine, where)
        if found is not None:
            return found
    return "no module id of its thread-locals" if slots else "no TLS relocation"


def _by_module(module: int, tls: TlsSegment, where: str) -> Block | None:
    # 1 is the executable
    return Block(module, 0, tls.memsz, where) if 1 < module < MODULE_LIMIT else None


def _by_distance(word: int, offset: int, tls: TlsSegment, machine: str, where: str) -> Block | None:
    """``word``: the distance of the variable at ``offset`` of the block, as 64 bits."""
    start = (word + (1 << 63)) % (1 << 64) - (1 << 63) - offset
    below = machine == "x86_64"
    if not word or not 0 < (-start if below else start) < DISTANCE_LIMIT:
        return None
    return Block(0, start, tls.memsz, where)


def bias_of(
    mappings: Sequence[Region], segments: Sequence[tuple[int, int, int, int]]
) -> int | None:
    """What the loader added to a file's addresses; None where no segment is seen mapped.

    ``mappings``: those of the file. ``segments``: (p_vaddr, p_offset, p_filesz, p_flags).
    """
    for mapping in mappings:
        for vaddr, offset, _, _ in segments:
            if offset & -PAGE == mapping.offset:
                return mapping.start - (vaddr & -PAGE)
    return None


def origins(block: Block, pointers: Mapping[int, int], read: Read, machine: str) -> dict[int, int]:
    """tid -> the address that ``ContextLayout.tls_offset`` counts from, of threads with a block.

    ``pointers``: tid -> thread pointer.
    """
    if not block.module:
        return dict(pointers)
    found = {}
    for tid, pointer in pointers.items():
        dtv = _word(read, pointer + DTV.get(machine, 0))
        if not dtv or _word(read, dtv - 16) < block.module:
            continue
        address = _word(read, dtv + 16 * block.module)
        if address not in (0, UNALLOCATED):
            found[tid] = address
    return found


DTV = {"x86_64": 8, "aarch64": 0}
"""Of the dtv's address from the thread pointer: tcbhead_t of glibc's nptl/tls.h."""


def _word(read: Read, address: int) -> int:
    return int.from_bytes(read(address, 8), "little")


def _below_thread_pointer(tls: TlsSegment) -> int:
    """TLS variant 2 (psABI x86-64, "Thread-Local Storage"): the block ends at the thread pointer.

    The linker keeps the block's start congruent to p_vaddr modulo p_align.
    """
    align = max(tls.align, 1)
    return -(tls.memsz + (-tls.vaddr - tls.memsz) % align)


def _above_thread_pointer(tls: TlsSegment) -> int:
    """TLS variant 1 (ELF for the Arm 64-bit architecture): after a thread control block of 16."""
    return 16 + (tls.vaddr - 16) % max(tls.align, 1)


BLOCK_STARTS = {
    EM_X86_64: _below_thread_pointer,
    "x86_64": _below_thread_pointer,
    EM_AARCH64: _above_thread_pointer,
    "aarch64": _above_thread_pointer,
}
