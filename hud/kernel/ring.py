"""The BPF ring buffer: many records per drain, no callback per record.

Positions are byte counts that only grow, modulo 2^64; a record is an 8-byte header (length with the
busy and discard bits, page offset) and its bytes, rounded up to 8 (kernel/bpf/ringbuf.c). The
kernel maps the data area twice in a row, so that a record never wraps. A busy record is reserved
but not submitted: the reader stops there. The mapping is one page with the consumer position, one
with the producer position, then the data.
"""

from __future__ import annotations

import mmap
import struct
import threading
from typing import TYPE_CHECKING

from hud.closing import Closing
from hud.errors import KernelError
from hud.kernel import uapi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.kernel.maps import Map

HEADER = uapi.BPF_RINGBUF_HDR_SZ
FLAGS = uapi.BPF_RINGBUF_BUSY_BIT | uapi.BPF_RINGBUF_DISCARD_BIT
PAGE = mmap.PAGESIZE
WRAP = (1 << 64) - 1
FIRST_RUN = 64
"""Records whose headers are looked at together, at first; then four times as many."""


class _Fence:
    """Orders memory accesses: what is before the call is done before what is after it.

    Python has no acquire load, and aarch64 reorders loads; handing back a lock and taking it again
    is a release followed by an acquire, which neither side may cross.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def __call__(self) -> None:
        self._lock.release()
        self._lock.acquire()


class RingReader:
    """Reads records from plain buffers.

    ``data`` is the data area, mapped twice (``2 * size`` bytes; ``size`` is a power of two);
    ``consumer`` and ``producer`` are memoryviews of format ``Q`` whose first item is the position;
    ``consumer`` is written. ``record`` is the layout of one record for :meth:`drain`, little-endian
    (``<``).
    """

    def __init__(
        self,
        data: memoryview,
        consumer: memoryview,
        producer: memoryview,
        size: int,
        record: struct.Struct | None = None,
    ) -> None:
        if size & size - 1 or size < 8 or len(data) != 2 * size:
            raise ValueError("a ring has a power of two of bytes, mapped twice")
        if record is not None and not record.format.startswith("<"):
            raise ValueError("the record's byte order must be little-endian")
        self.size = size
        self.odd = 0
        """Records that :meth:`drain` skipped because they had another size."""
        self._data = data
        self._words = data.cast("I")
        self._consumer = consumer
        self._producer = producer
        self._record = record
        self._fence = _Fence()
        if record is not None:
            self._stride = HEADER + (record.size + 7) // 8 * 8
            padding = self._stride - HEADER - record.size
            # Padding is written as x: iter_unpack then returns the fields alone, made in C.
            self._run = struct.Struct(f"<8x{record.format[1:]}{padding}x")

    def waiting(self) -> int:
        """Bytes between the reader and the writer, headers included."""
        return (self._producer[0] - self._consumer[0]) & WRAP

    def drain(self) -> list[tuple[int, ...]]:
        """The fields of every record that is ready, oldest first; they leave the ring."""
        if self._record is None:
            raise ValueError("the ring was opened without a record layout")
        size, stride, words = self._record.size, self._stride, self._words
        mask = self.size - 1
        at, end = self._consumer[0], self._producer[0]
        self._fence()
        out: list[tuple[int, ...]] = []
        window = FIRST_RUN
        while at != end:
            place = at & mask
            count = min((end - at & WRAP) // stride, window, self.size // stride)
            lengths = words[place // 4 : (place + count * stride) // 4 : stride // 4].tolist()
            good = count if lengths.count(size) == count else _leading(lengths, size)
            self._fence()
            if good:
                out += self._run.iter_unpack(self._data[place : place + good * stride])
                at = at + good * stride & WRAP
                self._release(at)
                window *= 4
                continue
            # Looking far ahead again and again behind every odd record would be quadratic.
            window = FIRST_RUN
            head = words[place // 4]
            if head & uapi.BPF_RINGBUF_BUSY_BIT:
                break
            if not head & uapi.BPF_RINGBUF_DISCARD_BIT:
                self.odd += 1
            at = self._after(at, end, head)
            self._release(at)
        return out

    def records(self) -> Iterator[bytes]:
        """Every record that is ready, of whatever size; each leaves the ring when the next is asked
        for."""
        at, end = self._consumer[0], self._producer[0]
        self._fence()
        while at != end:
            place = at & self.size - 1
            head = self._words[place // 4]
            if head & uapi.BPF_RINGBUF_BUSY_BIT:
                return
            self._fence()
            following = self._after(at, end, head)
            if not head & uapi.BPF_RINGBUF_DISCARD_BIT:
                length = head & ~FLAGS
                yield bytes(self._data[place + HEADER : place + HEADER + length])
            at = following
            self._release(at)

    def forget(self) -> None:
        """Let go of the buffers, so that they can be unmapped."""
        self._words.release()

    def _after(self, at: int, end: int, head: int) -> int:
        """The position after the record with that header; the end if the header is not credible."""
        step = HEADER + ((head & ~FLAGS) + 7) // 8 * 8
        return at + step & WRAP if step <= (end - at & WRAP) else end

    def _release(self, at: int) -> None:
        self._fence()
        self._consumer[0] = at


def _leading(lengths: list[int], size: int) -> int:
    for number, length in enumerate(lengths):
        if length != size:
            return number
    return len(lengths)


class RingBuffer(Closing):
    """A ring buffer map, mapped for reading; closing it unmaps, the map stays with its owner.

    Its :meth:`fileno` can be polled: readable = records wait. KernelError if it cannot be mapped.
    """

    def __init__(self, ring: Map, record: struct.Struct | None = None) -> None:
        size = ring.spec.max_entries
        self._ring = ring
        try:
            self._consumer = mmap.mmap(ring.fileno(), PAGE)
        except (OSError, ValueError) as error:
            raise KernelError(f"map ring buffer {ring.spec.name}: {error}") from error
        try:
            self._rest = mmap.mmap(ring.fileno(), PAGE + 2 * size, prot=mmap.PROT_READ, offset=PAGE)
        except (OSError, ValueError) as error:
            self._consumer.close()
            raise KernelError(f"map ring buffer {ring.spec.name}: {error}") from error
        rest = memoryview(self._rest)
        data, producer = rest[PAGE:], rest[:PAGE].cast("Q")
        consumer = memoryview(self._consumer).cast("Q")
        self._views = (data, producer, consumer, rest)
        self.reader = RingReader(data, consumer, producer, size, record)

    def fileno(self) -> int:
        return self._ring.fileno()

    def drain(self) -> list[tuple[int, ...]]:
        """See :meth:`RingReader.drain`."""
        return self.reader.drain()

    def records(self) -> Iterator[bytes]:
        """See :meth:`RingReader.records`."""
        return self.reader.records()

    def close(self) -> None:
        """Unmap; the reader cannot be used any more."""
        self.reader.forget()
        for view in self._views:
            view.release()
        self._rest.close()
        self._consumer.close()
