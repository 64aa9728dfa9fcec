"""What reads bytes of others, as functions of bytes: they return, or raise hud's own error.

`tools/fuzz` gives them what it makes up; ``tests/unit/test_fuzzing.py`` what is in
``tests/data/fuzz``, each name a folder.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from contextlib import suppress

from hud.errors import HudError
from hud.kernel.ring import RingReader
from hud.probe import wire
from hud.process.connector import parse_notice
from hud.record.format import CHUNK, HEAD, MAGIC, MAJOR, MINOR
from hud.record.reader import Reader
from hud.record.replay import Replay
from hud.symbols.demangle import demangle
from hud.symbols.elf.file import ElfFile
from hud.symbols.module import Module
from hud.symbols.unwind.table import build_table, unwind_table

RING = 1 << 12
PID = 7


def elf(data: bytes) -> None:
    """Headers, sections, segments, unwind tables."""
    with suppress(HudError), ElfFile(data) as file:
        for section in file.sections:
            with suppress(HudError):
                file.section_data(section.name)
        for _ in file.data_pieces(1 << 20, writable=True):
            pass
        unwind_table(file)


def dwarf(data: bytes) -> None:
    """Names and places of addresses all over a file, and what is said of it."""
    with suppress(HudError), ElfFile(data) as file:
        module = Module(file)
        module.facts()
        for load in file.loads[:4]:
            for at in range(0, min(load.memsz, 1 << 12), 1 << 8):
                module.frames(load.vaddr + at)


def eh_frame(data: bytes) -> None:
    for machine in (62, 183):  # EM_X86_64, EM_AARCH64
        with suppress(HudError):
            build_table(data, 0x1000, base=0, machine=machine)


def mangled(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for prefix in ("", "_R", "_ZN"):
        demangle(prefix + text)


def recording(data: bytes) -> None:
    """Of records: chunks, checksums and compression are put around them."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    payload = deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)
    chunk = CHUNK.pack(len(payload), zlib.crc32(payload)) + payload
    with suppress(HudError):
        replay = Replay(Reader(io.BytesIO(HEAD.pack(MAGIC, MAJOR, MINOR) + chunk)).entries())
        replay.advance()
        replay.snapshot()


def ring(data: bytes) -> None:
    """Records as the kernel program leaves them, with the writer's place before them."""
    place, body = int.from_bytes(data[:8], "little"), data[8 : 8 + RING].ljust(RING, b"\0")
    consumer, producer = (memoryview(bytearray(8)).cast("Q") for _ in range(2))
    producer[0] = place % (RING + 1) & ~7
    twice = memoryview(bytearray(body + body))
    with suppress(HudError):
        RingReader(twice, consumer, producer, RING, wire.EVENT).drain()


def notice(data: bytes) -> None:
    """A message of the process connector."""
    parse_notice(data, PID)


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (elf, dwarf, eh_frame, mangled, recording, ring, notice)
}
