"""Reads the stacks of long polls that sleep and that the kernel programs have no stack of.

The kernel side takes no stack where it cannot afford one, and reads it later if another thread of
the process comes by. Of a thread that sleeps where none does it is read here, from /proc and the
thread's memory, as of those that slept before the attach (hud.profiler.detection.before). It counts
only if the same sleep goes on after the reading, and then for the event of its end, too.

A poll that ended without a stack in any event inside it is counted as lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

from hud.errors import TargetError
from hud.model import Kind, Sample, ThreadState
from hud.probe.probe import Probe, RawStack
from hud.probe.walk import walk
from hud.process.threads import read_call
from hud.runtime.memory import Read, memory_reader

LONG_NS = 50_000_000
"""A poll of this length has a stack."""
MOST_STACKS = 1024
MOST_THREADS = 16_384


class Sleep(NamedTuple):
    """One whose stack was read here."""

    since_ns: int
    poll_start_ns: int
    key: int


class Stuck:
    """The polls of one process."""

    def __init__(self, pid: int, probe: Probe) -> None:
        self._pid = pid
        self._probe = probe
        self._sleeps: dict[int, Sleep] = {}
        """The latest of each thread, by tid."""
        self._caught: dict[int, int] = {}
        """tid -> begin of the poll that its latest stack belongs to."""
        self.stacks: dict[int, RawStack] = {}
        """By key; the others are the kernel's."""
        self.without_stack = 0
        """Polls of which no stack was had, waits for a CPU left out."""

    # ------------------------------------------------------------------- while they sleep

    def see(
        self, states: Sequence[ThreadState], now_ns: int, *, long_ns: int = LONG_NS
    ) -> list[ThreadState]:
        """The states, with the stacks of those that sleep in a long poll where there was none."""
        at = [index for index, state in enumerate(states) if _lacks_stack(state, now_ns, long_ns)]
        found = list(states)
        missing = [index for index in at if self._known(states[index]) is None]
        if missing:
            self._read([states[index] for index in missing])
        for index in at:
            sleep = self._known(states[index])
            if sleep is not None:
                found[index] = replace(states[index], asleep_stack=sleep.key)
        return found

    def _known(self, state: ThreadState) -> Sleep | None:
        sleep = self._sleeps.get(state.tid)
        return sleep if sleep and sleep.since_ns == state.since_ns else None

    def _read(self, sleeping: Iterable[ThreadState]) -> None:
        try:
            descriptor, read = memory_reader(self._pid)
        except TargetError:
            return
        try:
            for state in sleeping:
                self._read_one(state, read)
        finally:
            os.close(descriptor)
        for key in list(islice(self.stacks, max(0, len(self.stacks) - MOST_STACKS))):
            del self.stacks[key]

    def _read_one(self, state: ThreadState, read: Read) -> None:
        call = read_call(self._pid, state.tid)
        if call is None:
            return
        raw = walk(call.pc, call.sp, self._probe.unwind, read)
        if self._probe.asleep_since(state.tid) != state.since_ns:
            return  # it went on
        key = _key(state.tid, state.since_ns)
        self.stacks[key] = raw
        self._sleeps[state.tid] = Sleep(state.since_ns, state.poll_start_ns, key)

    # ------------------------------------------------------------------- when they end

    def take(self, samples: list[Sample]) -> list[Sample]:
        """The samples, sleeps that were read here with their stacks."""
        if not self._sleeps:
            return samples
        return [self._with_stack(sample) for sample in samples]

    def _with_stack(self, sample: Sample) -> Sample:
        sleep = self._sleeps.get(sample.tid)
        if sleep is None or sample.kind not in (Kind.SLEEP, Kind.POLL):
            return sample
        del self._sleeps[sample.tid]
        same = sample.poll_start_ns == sleep.poll_start_ns
        # what an event covers may begin with earlier sleeps, and be of later ones only
        same = same and sample.time_ns - sample.duration_ns <= sleep.since_ns < sample.time_ns
        if sample.kind == Kind.SLEEP and same and not sample.stack:
            return sample._replace(stack=sleep.key)
        return sample

    def count_without_stack(self, samples: Iterable[Sample], threshold_ns: int) -> None:
        """Count the polls among the samples that ended without a stack."""
        for sample in samples:
            if sample.kind == Kind.POLL:
                caught = self._caught.pop(sample.tid, 0) == sample.poll_start_ns
                own_ns = sample.duration_ns - sample.value
                self.without_stack += not caught and own_ns >= threshold_ns
            elif sample.stack and sample.kind in (Kind.CPU, Kind.SLEEP):
                self._caught[sample.tid] = sample.poll_start_ns
        if len(self._caught) > MOST_THREADS:
            self._caught.clear()


def _lacks_stack(state: ThreadState, now_ns: int, long_ns: int) -> bool:
    """One whose latest sleep is most of it: a loop of short ones is not worth a try."""
    if state.running or state.runnable or state.asleep_stack or not state.poll_start_ns:
        return False
    length = now_ns - state.poll_start_ns
    return length >= long_ns and 2 * (now_ns - state.since_ns) >= min(length, LONG_NS)


def _key(tid: int, since_ns: int) -> int:
    digest = blake2b(f"stuck {tid} {since_ns}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") | 1
