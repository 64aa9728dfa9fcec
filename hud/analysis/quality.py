"""Measure the evidence: how many stacks are complete, how many of their frames have names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.model import Kind

if TYPE_CHECKING:
    from hud.analysis.recording import Recording
    from hud.model import Sample, Stack

_MAX_STACKS = 131_072


class Quality:
    """How many stacks are complete and how many of their frames have names."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._uses: dict[int, int] = {}
        self._known: dict[int, Stack] = {}
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
        known = self._known.get(sample.stack)
        if known and known.complete:
            self.complete += 1

    def learn(self, key: int) -> None:
        stack = self._recording.stacks[key]
        before = self._known.get(key)
        self._known[key] = stack
        was_complete = before is not None and before.complete
        self.complete += (stack.complete - was_complete) * self._uses.get(key, 0)
        for frames, sign in ((before and before.frames, -1), (stack.frames, 1)):
            self._frames += sign * len(frames or ())
            self._named += sign * sum(1 for frame in frames or () if frame.function)

    def named_share(self) -> float:
        return self._named / self._frames if self._frames else 0.0
