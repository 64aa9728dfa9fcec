"""Workers that come and go."""

from __future__ import annotations

from hud.model import Worker
from hud.profiler.detection.thread_set import ThreadSet


def test_a_worker_that_was_found_after_its_end_does_not_stay() -> None:
    threads = ThreadSet(None)
    for tid in range(100, 1100):
        threads.born(tid)
        threads.exited(tid)
        assert threads.confirm_exits([tid]) == set()
        number = tid - 100
        assert threads.enter({tid: ""}) == [Worker(number, tid, "")]
        assert threads.retire([tid, 7]) == [tid]
    assert not threads.by_tid
    assert not threads.names
    assert not threads._ids._ids
    assert not threads._exited


def test_a_thread_id_that_is_used_again_may_be_a_worker_again() -> None:
    threads = ThreadSet(None)
    (first,) = threads.add_polling({5})
    threads.exited(5)
    assert threads.add_polling({5}) == [], "what it did before its end comes late"
    threads.born(5)
    (second,) = threads.add_polling({5})
    assert (first.worker_id, second.worker_id) == (0, 1)
