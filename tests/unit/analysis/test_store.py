"""Packed samples: round trip, positions, bounds."""

from __future__ import annotations

import ctypes

from hypothesis import given
from hypothesis import strategies as st

from hud.analysis.store import LAYOUT, SampleStore
from hud.model import Sample

U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)
SAMPLES = st.builds(
    Sample, U64, U64, U64, U64, U64, U64, U32, U32, U32, st.integers(0, 255),
    st.integers(0, 255), st.integers(0, 65535),
)  # fmt: skip


def numbered(number: int) -> Sample:
    return Sample(number, 0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0)


def test_layout_is_the_event_of_the_wire_contract() -> None:
    class Event(ctypes.Structure):
        """bpf_src/event.h, struct event."""

        _fields_ = [
            *((name, ctypes.c_uint64) for name in Sample._fields[:6]),
            *((name, ctypes.c_uint32) for name in Sample._fields[6:9]),
            ("kind", ctypes.c_uint8),
            ("where", ctypes.c_uint8),
            ("flags", ctypes.c_uint16),
        ]

    assert ctypes.sizeof(Event) == LAYOUT.size == 64
    event = Event.from_buffer_copy(LAYOUT.pack(*range(1, 13)))
    assert [getattr(event, name) for name in Sample._fields] == list(range(1, 13))


@given(st.lists(st.lists(SAMPLES, max_size=5), max_size=20), st.integers(0, 60))
def test_what_goes_in_comes_out(batches: list[list[Sample]], position: int) -> None:
    store = SampleStore(limit=10_000)
    for batch in batches:
        store.append(batch)
    everything = [sample for batch in batches for sample in batch]
    assert list(store.since(position)) == everything[position:]
    assert (len(store), store.dropped) == (len(everything), 0)


def test_limit_forgets_the_oldest_and_counts_them() -> None:
    store = SampleStore(limit=100)
    for number in range(1000):
        store.append([numbered(number)])
    held = [sample.time_ns for sample in store.since(0)]
    assert held == list(range(1000 - len(held), 1000))
    assert 90 <= len(held) <= 100
    assert store.dropped == 1000 - len(held) == store.begin
    assert [one.time_ns for one in store.since(998)] == [998, 999]


def test_forget_before_keeps_every_sample_that_is_young_enough() -> None:
    store = SampleStore(limit=1600)
    store.append([numbered(number) for number in range(1000)])
    store.forget_before(750)
    held = [sample.time_ns for sample in store.since(0)]
    assert held[0] <= 750
    assert held[0] >= 750 - 100, "at most one block of older samples stays"
    assert held[-1] == 999
    assert store.dropped == 0, "forgetting by age is no loss"
