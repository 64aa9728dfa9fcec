"""Who started a thread: by name, through those that started the starter; the process may end."""

from __future__ import annotations

import os
import struct
import threading

from hud.model import Batch, Kind, Sample
from hud.profiler.starters import Starters

MAIN = os.getpid()


def start(tid: int, starter: int, name: bytes, pointer: int = 0) -> Sample:
    first, second = struct.unpack("<QQ", name.ljust(16, b"\0"))
    return Sample(1, 0, first, 0, pointer, second, tid, starter, 0, Kind.START, 0, 0)


def other(tid: int) -> Sample:
    return Sample(1, 0, 0, 0, 0, 0, tid, 0, 0, Kind.CPU, 0, 0)


def test_the_rest_goes_on() -> None:
    batch = Batch()
    events = [other(7), start(8, 7, b"tests::one"), other(8)]
    assert Starters(MAIN).take(events, batch) == [other(7), other(8)]
    assert batch.starters == {8: "tests::one"}


def test_what_a_started_thread_starts_is_its_starters() -> None:
    batch, later, starters = Batch(), Batch(), Starters(MAIN)
    starters.take([start(8, 7, b"tests::one"), start(9, 8, b"tokio-rt-worker")], batch)
    starters.take([start(10, 9, b"tokio-rt-worker")], later)
    assert {**batch.starters, **later.starters} == dict.fromkeys((8, 9, 10), "tests::one")


def test_what_the_main_thread_starts_is_nobodys() -> None:
    batch, starters = Batch(), Starters(MAIN)
    starters.take([start(8, MAIN, b"api-2222f417be5"), start(9, 8, b"tests::one")], batch)
    assert batch.starters == {9: "tests::one"}


def test_a_name_that_is_cut_off_says_so() -> None:
    batch = Batch()
    Starters(MAIN).take([start(8, 7, b"tests::reads_th")], batch)
    assert batch.starters == {8: "tests::reads_th\N{HORIZONTAL ELLIPSIS}"}


def test_a_process_that_has_ended() -> None:
    batch, starters = Batch(), Starters((1 << 22) - 1)
    assert not starters.latest_s > 0
    starters.take([start(8, 7, b"tests::one")], batch)
    assert batch.starters == {8: "tests::one"}
    assert starters.latest_s > 0


def test_threads_of_this_process_have_no_rust_names() -> None:
    batch = Batch()
    tid = threading.get_native_id()
    Starters(tid + 1).take([start(8, tid, b"a" * 15, pointer=1 << 20)], batch)
    assert batch.starters[8].startswith("a" * 15)
