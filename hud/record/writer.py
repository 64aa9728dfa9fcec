"""Write a run to disk while it goes on: a batch is in the file within a second."""

from __future__ import annotations

import os
import time
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from hud.errors import ExportError
from hud.export.write import create, explain
from hud.record.format import CHUNK, HEAD, MAGIC, MAJOR, MINOR, MOST_CHUNK, Encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hud.model import Batch, RunInfo

FLUSH_S = 0.5
"""The longest that a record waits for the next call before it is written."""
_FLUSH_BYTES = 1 << 20
_LEVEL = 6


class Writer:
    """A recording file that grows. Nothing but ``__init__`` ever raises: see ``trouble``.

    ``path`` becomes a new file at once (what was there is replaced, a link not followed) that
    belongs to ``owner`` (uid, gid) where one is given. Raises ExportError.
    """

    def __init__(
        self,
        path: str,
        owner: tuple[int, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.size = 0
        """Bytes in the file."""
        self.trouble: ExportError | None = None
        """Why the file ends before the run does."""
        self._clock = clock
        self._encoder = Encoder()
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._flushed = clock()
        self._descriptor = create(path, owner)
        self._write(HEAD.pack(MAGIC, MAJOR, MINOR))

    def begin(self, info: RunInfo) -> None:
        """A run begins, or starts again."""
        self._take([self._encoder.begin(info)])

    def take(self, batch: Batch) -> None:
        self._take(self._encoder.batch(batch))

    def look(self, time_ns: int) -> None:
        """Somebody looks at the run so far."""
        self._take([self._encoder.look(time_ns)])

    def window(self, window_ns: int) -> None:
        self._take([self._encoder.window(window_ns)])

    def end(self, time_ns: int, reason: str) -> None:
        """The run is over; what is learned of it later may follow."""
        self._take([self._encoder.end(time_ns, reason)])
        self._flush()

    def close(self) -> None:
        """Write what waits; the file is on the disk afterwards. May be called again."""
        self._flush()
        if self._descriptor >= 0:
            with suppress(OSError):
                os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, records: Iterable[bytes]) -> None:
        if self.trouble is not None:
            return
        for record in records:
            if self._waiting_bytes + len(record) > _FLUSH_BYTES:
                self._flush()
            self._waiting.append(record)
            self._waiting_bytes += len(record)
        if self._clock() - self._flushed >= FLUSH_S:
            self._flush()

    def _flush(self) -> None:
        self._flushed = self._clock()
        if not self._waiting or self._descriptor < 0:
            return
        plain = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        payload = self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        if max(len(plain), len(payload)) > MOST_CHUNK:
            self._give_up(ExportError(f"write {self.path}: a batch of {len(plain)} bytes"))
            return
        self._write(CHUNK.pack(len(payload), zlib.crc32(payload)) + payload)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            self._give_up(explain("write", self.path, error))
            return
        self.size += len(data)

    def _give_up(self, trouble: ExportError) -> None:
        """What is whole stays, and can be read."""
        self.trouble = trouble
        with suppress(OSError):
            os.ftruncate(self._descriptor, self.size)
        self.close()
