"""What was sent lately, and stacks that are sent again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest

from hud.model import RESEND_NS, Batch, Kind, Sample, Stack, ThreadState, TimeSplit, Where
from hud.probe.probe import RawStack
from hud.profiler import kernel_stacks as stacks_module
from hud.profiler import sent as sent_module
from hud.profiler.kernel_stacks import Stacks
from hud.profiler.sent import Sent


def test_a_key_is_sent_again_after_a_while() -> None:
    sent = Sent()
    sent.add(1, 0)
    sent.add(2, 10)
    sent.add(1, 20)
    sent.forget_old(RESEND_NS + 9)
    assert 1 in sent
    assert 2 in sent
    sent.forget_old(RESEND_NS + 10)
    assert 1 in sent
    assert 2 not in sent
    assert sent.since(20) == [1]
    assert sent.since(21) == []
    sent.clear()
    assert 1 not in sent


def test_the_oldest_go_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_module, "MOST", 2)
    sent = Sent()
    for key in (7, 8, 9):
        sent.add(key, key)
    sent.forget_old(10)
    assert [key for key in (7, 8, 9) if key in sent] == [8, 9]


@dataclass
class Kernel:
    """The few things that ``Stacks`` asks of the probe and of the names."""

    stacks: dict[int, RawStack] = field(default_factory=dict)
    fetched: list[int] = field(default_factory=list)
    crowded: bool = False
    dropped: list[int] = field(default_factory=list)

    def stack(self, key: int) -> RawStack | None:
        self.fetched.append(key)
        return self.stacks.get(key)

    def make_room(self, known: list[int]) -> None:
        self.dropped += known

    def want(self, _key: int, raw: RawStack, *, ask: bool) -> Stack:
        assert not ask
        return Stack(raw.addresses, complete=True)

    def ask_wanted(self) -> None:
        pass


class Nothing:
    """No thread slept before the attach."""

    stacks: Mapping[int, RawStack] = MappingProxyType({})

    def waits_for(self, _key: int) -> bool:
        return False


class Clock:
    now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stacks_module, "time", clock)
    return clock


def named(key: int) -> Sample:
    return Sample(0, 0, key, 0, 0, 0, 1, 0, 0, Kind.CPU, Where.UNKNOWN, 0)


def asleep(key: int, since_ns: int) -> ThreadState:
    return ThreadState(
        tid=1,
        where=Where.POLL,
        running=False,
        runnable=False,
        since_ns=since_ns,
        poll_start_ns=since_ns,
        task_id=0,
        split=TimeSplit(),
        asleep_stack=key,
    )


def test_stacks_are_sent_once_and_then_again(clock: Clock) -> None:
    kernel = Kernel({key: RawStack((key,), "") for key in (5, 6)})
    stacks = Stacks(kernel, kernel, Nothing(), Nothing())  # type: ignore[arg-type]

    def sent(*keys: int) -> list[int]:
        batch = Batch()
        stacks.take([named(key) for key in keys], batch)
        return sorted(batch.stacks)

    assert sent(5, 6, 0) == [5, 6]
    clock.now_ns = RESEND_NS - 1
    assert sent(5, 6) == []
    clock.now_ns += 1
    assert sent(5) == [5]
    assert sent(5) == []
    kernel.crowded = True
    clock.now_ns += RESEND_NS - 1
    assert sent(6) == [6]
    assert kernel.dropped == [6], "of 5 an event may be on its way"


def test_the_stack_of_a_sleep_is_sent_once_while_it_lasts(clock: Clock) -> None:
    kernel = Kernel({5: RawStack((5,), "")})
    stacks = Stacks(kernel, kernel, Nothing(), Nothing())  # type: ignore[arg-type]
    batch = Batch()
    for second in range(100):
        clock.now_ns = second * 1_000_000_000
        stacks.take([], batch)
        stacks.take_lasting([asleep(5, 1)], batch)
        kernel.stacks.clear()
    assert kernel.fetched == [5]
    assert stacks.gone == 0
    assert list(batch.stacks) == [5]
    stacks.take_lasting([asleep(5, 2)], batch)
    assert kernel.fetched == [5, 5]
