"""Read recording files: as far as they go, whoever wrote them."""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from hud.errors import FormatError, UsageError
from hud.record.format import CHUNK, HEAD, MAGIC, MAJOR, MOST_CHUNK, Decoder, End
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.record.format import Entry, Known

MOST_KEPT = 1 << 30
"""Bytes of records that add up in memory: a day of a busy service is far below."""
MOST_INFLATED = 64 << 20
MOST_GROWTH = 100
"""Inflated, a file may have ``MOST_INFLATED`` bytes, and so many times its size. Real ones: 10."""


class ChunkStart(NamedTuple):
    """Where a chunk begins, with all that is needed to read on from there."""

    read: int
    inflated: int
    inflate: zlib._Decompress
    known: Known


class Reader:
    """The entries of one open file, in order, and what is wrong with it."""

    def __init__(self, source: BinaryIO) -> None:
        """Raises FormatError where it is no recording, or one of a later version."""
        self._source = source
        source.seek(0)
        head = source.read(HEAD.size)
        if len(head) < HEAD.size or not head.startswith(MAGIC):
            raise FormatError("not a recording of hud", "hud --record FILE.hud makes one")
        _, self.major, self.minor = HEAD.unpack(head)
        if self.major != MAJOR:
            raise FormatError(
                f"recording of format {self.major}.{self.minor}: this hud reads format {MAJOR}",
                "use the version of hud that made it, or a newer one",
            )
        self.read = HEAD.size
        """Bytes understood."""
        self.lacks = ""
        """Known when all entries are read: it was cut, is damaged, or its run had no end; empty =
        the file is whole."""
        self.chunk: ChunkStart | None = None
        """That the entries come from; None = none is read yet."""
        self.count = 0
        """Entries of that chunk that were read."""
        self._inflated = 0

    def entries(self, start: ChunkStart | None = None) -> Iterator[Entry]:
        """Every entry, or those before the first bytes that make no sense; from ``start`` on, where
        another reader of the same file was.
        """
        inflate = start.inflate.copy() if start else zlib.decompressobj(-zlib.MAX_WBITS)
        decoder = Decoder(start.known if start else None)
        if start is not None:
            self.read, self._inflated = start.read, start.inflated
            self._source.seek(start.read)
        ended = False
        while True:
            self.chunk = ChunkStart(self.read, self._inflated, inflate.copy(), decoder.known)
            self.count = 0
            try:
                payload = self._payload()
                if payload is None:
                    break
                for entry in decoder.entries(self._inflate(inflate, payload)):
                    self.count += 1
                    yield entry
                    ended = ended or isinstance(entry, End)
                if decoder.kept > MOST_KEPT:
                    raise FormatError("recording: more than fits the memory")
            except FormatError as error:
                self.lacks = f"damaged at byte {self.read}: {error}"
                return
            self.read += CHUNK.size + len(payload)
        if not ended and not self.lacks:
            self.lacks = "no end: hud was killed, or the disk was full"

    def _payload(self) -> bytes | None:
        """The next chunk's; None at the end of the file."""
        head = self._source.read(CHUNK.size)
        if not head:
            return None
        if len(head) == CHUNK.size:
            length, checksum = CHUNK.unpack(head)
            if length > MOST_CHUNK:
                raise FormatError(f"a chunk of {length} bytes")
            payload = self._source.read(length)
            if len(payload) == length:
                if zlib.crc32(payload) != checksum:
                    raise FormatError("its checksum is wrong")
                return payload
        self.lacks = f"cut off at byte {self.read}"
        return None

    def _inflate(self, inflate: zlib._Decompress, payload: bytes) -> bytes:
        try:
            plain = inflate.decompress(payload, MOST_CHUNK)
        except zlib.error as error:
            raise FormatError("not compressed as it should be") from error
        self._inflated += len(plain)
        most = MOST_INFLATED + MOST_GROWTH * self.read
        if inflate.unconsumed_tail or inflate.eof or self._inflated > most:
            raise FormatError("it grows beyond measure")
        return plain


def open_recording(path: str) -> BinaryIO:
    """The file, for the caller to close. UsageError where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        hint = "" if Path(path).exists() else "hud --record FILE.hud makes a recording"
        raise UsageError(f"{printable(path)}: {reason}", hint) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{printable(path)}: not a file", "name a recording: FILE.hud")
    return os.fdopen(descriptor, "rb")
