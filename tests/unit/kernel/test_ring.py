"""Ring buffer decoding against bytes laid out as kernel/bpf/ringbuf.c does."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.kernel.ring import RingReader

BUSY = 1 << 31
DISCARD = 1 << 30
PAIR = struct.Struct("<QI")  # 12 bytes: 4 of padding on the ring
WRAP = 1 << 64


class Ring:
    """A ring in plain memory, written to like the kernel does."""

    def __init__(
        self, size: int = 256, start: int = 0, record: struct.Struct | None = PAIR
    ) -> None:
        self.size = size
        self.data = bytearray(2 * size)
        self.consumer = bytearray(struct.pack("<Q", start))
        self.producer = bytearray(struct.pack("<Q", start))
        self.reader = RingReader(
            memoryview(self.data),
            memoryview(self.consumer).cast("Q"),
            memoryview(self.producer).cast("Q"),
            size,
            record,
        )

    @property
    def read_to(self) -> int:
        return struct.unpack("<Q", self.consumer)[0]

    @property
    def written_to(self) -> int:
        return struct.unpack("<Q", self.producer)[0]

    def put(self, payload: bytes, flags: int = 0) -> bool:
        step = 8 + (len(payload) + 7) // 8 * 8
        if (self.written_to - self.read_to) % WRAP + step > self.size:
            return False
        record = struct.pack("<II", len(payload) | flags, 0) + payload
        place = self.written_to % self.size
        for number, byte in enumerate(record.ljust(step, b"\xee")):
            at = (place + number) % self.size
            self.data[at] = self.data[at + self.size] = byte
        self.producer[:] = struct.pack("<Q", (self.written_to + step) % WRAP)
        return True

    def settle(self, at: int, flags: int, length: int) -> None:
        """Submit or discard the record at position ``at`` that was busy."""
        for base in (at % self.size, at % self.size + self.size):
            self.data[base : base + 4] = struct.pack("<I", length | flags)


def test_plain_run():
    ring = Ring()
    for number in range(5):
        assert ring.put(PAIR.pack(number, number + 100))
    assert ring.reader.waiting() == 5 * 24
    assert ring.reader.drain() == [(n, n + 100) for n in range(5)]
    assert ring.read_to == ring.written_to
    assert ring.reader.drain() == []


def test_busy_record_stops_and_is_read_later():
    ring = Ring()
    ring.put(PAIR.pack(1, 1))
    place = ring.written_to
    ring.put(PAIR.pack(2, 2), BUSY)
    ring.put(PAIR.pack(3, 3))
    assert ring.reader.drain() == [(1, 1)]
    assert ring.read_to == place
    assert ring.reader.drain() == []
    ring.settle(place, 0, PAIR.size)
    assert ring.reader.drain() == [(2, 2), (3, 3)]


def test_discarded_and_odd_records_are_skipped():
    ring = Ring()
    ring.put(PAIR.pack(1, 1), DISCARD)
    ring.put(PAIR.pack(2, 2))
    ring.put(b"odd")
    ring.put(PAIR.pack(3, 3))
    ring.put(b"", DISCARD)
    assert ring.reader.drain() == [(2, 2), (3, 3)]
    assert ring.reader.odd == 1
    assert ring.read_to == ring.written_to


def test_wraps_at_the_end_of_the_data():
    ring = Ring(size=64)
    seen = []
    for number in range(20):
        assert ring.put(PAIR.pack(number, 7))
        if number % 2:
            seen += ring.reader.drain()
    assert seen == [(n, 7) for n in range(20)]


def test_positions_wrap_at_64_bits():
    ring = Ring(start=WRAP - 40 & ~7)
    for number in range(4):
        ring.put(PAIR.pack(number, 0))
    assert ring.reader.drain() == [(n, 0) for n in range(4)]
    assert ring.read_to == ring.written_to < 1000


def test_length_beyond_the_producer_ends_the_round():
    ring = Ring()
    ring.put(PAIR.pack(1, 1))
    ring.settle(0, 0, 5000)
    assert ring.reader.drain() == []
    assert ring.read_to == ring.written_to


def test_records_of_any_size():
    ring = Ring(record=None)
    payloads = [b"", b"a", b"12345678", b"x" * 33]
    for payload in payloads:
        assert ring.put(payload)
    ring.put(b"gone", DISCARD)
    assert list(ring.reader.records()) == payloads
    with pytest.raises(ValueError, match="without a record layout"):
        ring.reader.drain()


def test_record_stays_until_the_next_is_asked_for():
    ring = Ring(record=None)
    ring.put(b"one")
    ring.put(b"two")
    records = ring.reader.records()
    assert next(records) == b"one"
    assert ring.read_to == 0
    assert next(records) == b"two"
    assert ring.read_to == 16


def test_long_runs_pass_the_first_window():
    ring = Ring(size=1 << 16)
    for number in range(2000):
        assert ring.put(PAIR.pack(number, 1))
    assert ring.reader.drain() == [(n, 1) for n in range(2000)]


def test_shapes_are_checked():
    word = memoryview(bytearray(8)).cast("Q")
    with pytest.raises(ValueError, match="power of two"):
        RingReader(memoryview(bytearray(96)), word, word, 48)
    with pytest.raises(ValueError, match="power of two"):
        RingReader(memoryview(bytearray(64)), word, word, 64)
    with pytest.raises(ValueError, match="little-endian"):
        RingReader(memoryview(bytearray(128)), word, word, 64, struct.Struct("QQ"))


ACTIONS = st.lists(
    st.one_of(
        st.integers(0, 1000),  # a record of the expected size
        st.binary(max_size=40),  # some record
        st.sampled_from(["discard", "busy", "drain", "settle"]),
    ),
    max_size=120,
)


@settings(deadline=None, max_examples=200)
@given(actions=ACTIONS, start=st.integers(0, 100))
def test_fast_path_equals_slow_path(actions, start):
    """Two rings, the same writes: drain() = the records() of the expected size, unpacked."""
    fast, slow = Ring(512, start * 8), Ring(512, start * 8)
    got, wanted, odd = [], [], 0
    busy: list[int] = []

    def drain():
        nonlocal odd
        got.extend(fast.reader.drain())
        for record in slow.reader.records():
            if len(record) == PAIR.size:
                wanted.append(PAIR.unpack(record))
            else:
                odd += 1

    for number, action in enumerate([*actions, "settle", "drain"]):
        for ring in (fast, slow):
            if isinstance(action, int):
                ring.put(PAIR.pack(action, number))
            elif isinstance(action, bytes):
                ring.put(action)
            elif action == "discard":
                ring.put(PAIR.pack(1, 1), DISCARD)
            elif action == "busy":
                at = ring.written_to
                if ring.put(PAIR.pack(number, 2), BUSY) and ring is fast:
                    busy.append(at)
            elif action == "settle":
                for at in busy:
                    ring.settle(at, 0, PAIR.size)
        if action == "settle":
            busy.clear()
        elif action == "drain":
            drain()
        assert fast.read_to == slow.read_to
        assert got == wanted
    assert fast.reader.odd == odd
    assert fast.read_to == fast.written_to
