"""Workers that come and go."""

from __future__ import annotations

from hud.model import Worker
from hud.profiler.detection.roster import Roster


def test_a_worker_that_was_found_after_its_end_does_not_stay() -> None:
    roster = Roster(None)
    for tid in range(100, 1100):
        roster.born(tid)
        roster.exited(tid)
        assert roster.last_word([tid]) == set()
        number = tid - 100
        assert roster.enter({tid: ""}) == [Worker(number, tid, "")]
        assert roster.buried([tid, 7]) == [tid]
    assert not roster.by_tid
    assert not roster.names
    assert not roster._ids._ids
    assert not roster._ended


def test_a_thread_id_that_is_used_again_may_be_a_worker_again() -> None:
    roster = Roster(None)
    (first,) = roster.see_polling({5})
    roster.exited(5)
    assert roster.see_polling({5}) == [], "what it did before its end comes late"
    roster.born(5)
    (second,) = roster.see_polling({5})
    assert (first.worker_id, second.worker_id) == (0, 1)
