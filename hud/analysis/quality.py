"""Measure the evidence: how many stacks are complete, how many of their frames have names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.tails import counts
from hud.model import Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hud.analysis.recording import Recording
    from hud.analysis.results import Snapshot
    from hud.model import Sample, Stack

LOWEST_ADDRESS = 0x10000
"""Of anything mapped: the usual vm.mmap_min_addr."""
NO_RULE = "no unwind rule"

_MAX_STACKS = 131_072


def sees_every_poll(snapshot: Snapshot) -> bool:
    """Is no long poll missed? One on the CPU is met by a sample, if by nothing else."""
    info, losses = snapshot.info, snapshot.losses
    missed = losses.ring_full + losses.threads_full + losses.context_unreadable
    often = info.sample_period_ns <= info.threshold_ns
    return info.detection.rung is Rung.CONTEXT and often and not missed


class _Merits(NamedTuple):
    """Of one stack."""

    complete: int
    frames: int
    named: int
    end: str = ""
    """Where and why it ends, if it is not complete."""


_NONE = _Merits(0, 0, 0)


class Quality:
    """The merits of the stacks taken, each as often as it was taken."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._uses: dict[int, int] = {}
        self._known: dict[int, _Merits] = {}
        self._lost: set[int] = set()
        """Used stacks that nothing was known of at the last ``forget``."""
        self._ends: Counter[str] = Counter()
        self._frames = 0
        self._named = 0
        self.taken = 0
        self.complete = 0

    def take(self, sample: Sample) -> None:
        if sample.kind == Kind.POLL or not sample.stack:
            return
        self.taken += 1
        if sample.stack in self._uses or len(self._uses) < _MAX_STACKS:
            self._uses[sample.stack] = self._uses.get(sample.stack, 0) + 1
            self._add(_NONE, self._known.get(sample.stack, _NONE), 1)

    def learn(self, key: int) -> None:
        before = self._known.get(key, _NONE)
        self._known[key] = _merits(self._recording.stacks[key])
        self._add(before, self._known[key], self._uses.get(key, 0))

    def forget(self, keys: Iterable[int]) -> None:
        """The recording has forgotten these; what they were used for still counts."""
        lost = self._uses.keys() - self._known.keys()
        for key in (*keys, *(lost & self._lost)):
            self._uses.pop(key, None)
            self._known.pop(key, None)
        self._lost = lost

    def named_share(self) -> float:
        return self._named / self._frames if self._frames else 0.0

    def usual_end(self) -> str:
        """Where and why most of the incomplete stacks end; empty = none is known to."""
        worst = max(self._ends.items(), key=lambda row: (row[1], row[0]), default=("", 0))
        return worst[0] if worst[1] > 0 else ""

    def _add(self, before: _Merits, now: _Merits, times: int) -> None:
        self.complete += times * (now.complete - before.complete)
        self._frames += times * (now.frames - before.frames)
        self._named += times * (now.named - before.named)
        if before.end != now.end:
            self._ends[before.end] -= times * bool(before.end)
            self._ends[now.end] += times * bool(now.end)


def _merits(stack: Stack) -> _Merits:
    frames = stack.frames or ()
    unnamed = [frame for frame in frames if not frame.function]
    missing = sum(map(counts, unnamed))
    named = len(frames) - len(unnamed)
    return _Merits(int(stack.complete), named + missing, named, _end(stack))


def _end(stack: Stack) -> str:
    """``no unwind rule in libfoo.so``: of the outermost frame that a file is known of."""
    if stack.complete or not stack.stop or not stack.addresses:
        return ""
    # nothing is mapped there: the frame before was left by a frame pointer that is none
    stop = NO_RULE if stack.addresses[-1] < LOWEST_ADDRESS else stack.stop
    modules = (frame.module for frame in reversed(stack.frames or ()) if frame.module)
    module = next(modules, "").rpartition("/")[2]
    return f"{stop} in {module}" if module else stop
