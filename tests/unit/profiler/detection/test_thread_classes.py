"""What kind of thread a worker turns out to be, from stacks that come while the run goes on."""

from __future__ import annotations

from hud.model import Frame, Kind, Sample, Stack, Where
from hud.profiler.detection.thread_classes import Classes
from hud.runtime.stacks import ThreadClass

POOL = ("std::fs::write", "tokio::runtime::blocking::pool::Inner::run")
RUN = "tokio::runtime::scheduler::multi_thread::worker::run"
IN_PLACE = ("nap", "tokio::task::blocking::block_in_place", RUN, *POOL)


def stack(*functions: str) -> Stack:
    return Stack(tuple(range(len(functions))), True, "", tuple(Frame(0, f) for f in functions))


def sample(tid: int, key: int, kind: Kind = Kind.CPU) -> Sample:
    return Sample(0, 0, key, 0, 0, 0, tid, 0, 0, kind, Where.UNKNOWN, 0)


def test_a_class_is_learned_when_the_stack_has_names() -> None:
    classes = Classes()
    assert not classes.take([sample(1, 7)], {7: Stack((1, 2), True)}, {1, 2})
    assert not classes.take([sample(2, 9)], {}, {1, 2})
    assert classes.take([], {7: stack(*POOL)}, {1, 2})
    assert classes.known == {1: ThreadClass.POOL}
    # by a stack that is known already
    assert classes.take([sample(2, 7)], {}, {1, 2})
    assert classes.known == {1: ThreadClass.POOL, 2: ThreadClass.POOL}


def test_what_is_known_stays() -> None:
    classes = Classes({1: ThreadClass.WORKER})
    assert not classes.take([sample(1, 7)], {7: stack(*POOL)}, {1})
    assert classes.known == {1: ThreadClass.WORKER}


def test_block_in_place_says_nothing_of_the_thread() -> None:
    classes = Classes()
    assert not classes.take([sample(1, 7)], {7: stack(*IN_PLACE)}, {1})
    assert not classes.take([sample(1, 8)], {8: stack("main")}, {1})
    assert classes.take([sample(1, 9)], {9: stack("f", RUN)}, {1})
    assert classes.known == {1: ThreadClass.WORKER}


def test_only_stacks_of_workers_count() -> None:
    classes = Classes()
    seen = [sample(2, 7), sample(1, 0), sample(1, 7, Kind.LATENCY)]
    assert not classes.take(seen, {7: stack(*POOL)}, {1})
    assert classes.known == {}


def test_another_thread_with_the_same_id_is_unknown() -> None:
    classes = Classes({1: ThreadClass.POOL})
    classes.take([sample(2, 7)], {}, {2})
    classes.forget(1)
    classes.forget(2)
    assert not classes.take([], {7: stack(*POOL)}, {1, 2})
    assert classes.known == {}
