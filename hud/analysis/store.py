"""Keep many samples in little memory: packed 64 bytes each, oldest forgotten first.

A *position* counts every sample ever appended, so it stays valid when older ones go; a
*block* is the unit that is forgotten at once.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING

from hud.model import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAYOUT = struct.Struct("<6Q3I2BH")
"""``struct event`` of bpf_src/event.h: the fields of ``Sample``, in order."""

_BLOCK_SAMPLES = 4096


class _Block:
    __slots__ = ("count", "data", "newest_ns")

    def __init__(self) -> None:
        self.data = bytearray()
        self.count = 0
        self.newest_ns = 0


class SampleStore:
    """An append-only sequence of samples that holds at most about ``limit`` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._block_samples = max(1, min(_BLOCK_SAMPLES, self._limit // 16))
        self._blocks: deque[_Block] = deque()
        self.end = 0
        """Position after the newest sample."""
        self.begin = 0
        """Position of the oldest sample still held."""
        self.dropped = 0
        """Samples forgotten because of the limit."""

    def __len__(self) -> int:
        return self.end - self.begin

    def append(self, samples: Sequence[Sample]) -> None:
        pack = LAYOUT.pack
        blocks = self._blocks
        for sample in samples:
            if not blocks or blocks[-1].count >= self._block_samples:
                blocks.append(_Block())
            block = blocks[-1]
            block.data += pack(*sample)
            block.count += 1
            if sample[0] > block.newest_ns:
                block.newest_ns = sample[0]
        self.end += len(samples)
        while self.end - self.begin > self._limit and len(blocks) > 1:
            self.dropped += self._forget()

    def forget_before(self, time_ns: int) -> None:
        """Forget whole blocks whose newest sample ended before ``time_ns``."""
        while self._blocks and self._blocks[0].newest_ns < time_ns:
            self._forget()

    def forget_up_to(self, position: int) -> None:
        """Forget whole blocks of samples before that position."""
        while self._blocks and self.begin + self._blocks[0].count <= position:
            self._forget()

    def since(self, position: int) -> Iterator[Sample]:
        """The samples from ``position`` on that are still held, oldest first."""
        wanted = max(position, self.begin)
        at = self.end
        tail: list[_Block] = []
        for block in reversed(self._blocks):
            if at <= wanted:
                break
            tail.append(block)
            at -= block.count
        for block in reversed(tail):
            skip = max(0, wanted - at)
            view = memoryview(bytes(block.data))[skip * LAYOUT.size :]
            for fields in LAYOUT.iter_unpack(view):
                yield Sample._make(fields)
            at += block.count

    def _forget(self) -> int:
        block = self._blocks.popleft()
        self.begin += block.count
        return block.count
