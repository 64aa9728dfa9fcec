"""Fetches the stacks that samples refer to from the kernel and puts them into batches.

A stack is sent once, with names or without; it is sent again with better names, or when it was
last sent long ago (hud.profiler.sent). An address outside every known mapping is a reason to read
the mappings again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from hud.errors import TargetError
from hud.model import RESEND_NS, Batch, Kind, Sample, Stack, ThreadState
from hud.probe.probe import Probe
from hud.profiler.detection.before import Before
from hud.profiler.naming.addresses import Addresses
from hud.profiler.sent import Sent
from hud.profiler.stuck import Stuck

REFRESH_INTERVAL_S = 0.5
"""Between two looks at the mappings, where a stack hints at new ones."""
LOOK_INTERVAL_S = 1.0
"""Where nothing hints at new ones; and LOOK_SHARE times what one look takes at least."""
LOOK_SHARE = 500
NEXT_FILE_S = 0.03
"""A library that was loaded is followed by those that it needs."""
QUESTION_INTERVAL_NS = 500_000_000
"""Between two questions for names: one for many stacks costs the resolver less."""
SURVEY_S = 0.5
SURVEY_NAMES_S = 2.0
"""How long a survey waits for names after it."""


class Stacks:
    """Sends the kernel's stacks, by key."""

    def __init__(self, probe: Probe, addresses: Addresses, before: Before, stuck: Stuck) -> None:
        self._probe = probe
        self._before = before
        self._stuck = stuck
        self._addresses = addresses
        self._sent = Sent()
        self._lasting: set[tuple[int, int]] = set()
        """Sleeps whose stacks were sent: tid and begin."""
        self._next_question = 0
        self._next_refresh = 0.0
        self._next_look = 0.0
        self._looked_at = -1
        """How many switches there had been."""
        self._refresh_wanted = False
        self._code_pause_s = NEXT_FILE_S
        self.new_file = False
        """One more was mapped since the caller set this to False."""
        self.gone = 0
        """How many the kernel no longer had."""

    def take(self, samples: Iterable[Sample], batch: Batch) -> None:
        """Put the new ones among the samples' stacks into the batch."""
        now = time.monotonic_ns()
        self._sent.forget_old(now)
        keys = {sample.stack for sample in samples if sample.kind != Kind.POLL}
        for key in keys:
            if key and key not in self._sent:
                self.fetch(key, batch)
        if self._probe.crowded:
            self._probe.make_room(self._sent.since(now - RESEND_NS // 2))
        if now >= self._next_question:
            self._ask(now)

    def _ask(self, now: int) -> None:
        self._next_question = now + QUESTION_INTERVAL_NS
        self._addresses.ask_wanted()

    def take_lasting(self, sleeping: Iterable[ThreadState], batch: Batch) -> None:
        """Those of all threads that sleep for long; of each sleep once, while it goes on.

        To be called with all of them: whoever takes the batches keeps what states name.
        """
        before, self._lasting = self._lasting, set()
        for state in sleeping:
            sleep = state.tid, state.since_ns
            self._lasting.add(sleep)
            if sleep not in before:
                self.fetch(state.asleep_stack, batch)

    def take_before(self, batch: Batch, *, last: bool = False) -> None:
        """Those of threads that slept in a poll before the attach, as they can be had.

        ``last``: there is no more time for unwind rules to come.
        """
        pending = bool(self._addresses.modules.pending_unwind) and not last
        for key in self._before.read_stacks(pending=pending):
            self.fetch(key, batch)
        self._ask(time.monotonic_ns())

    def fetch(self, key: int, batch: Batch) -> None:
        """Put one into the batch, if it is new; its names wait for ``Addresses.ask_wanted``."""
        if key in self._sent or self._before.waits_for(key):
            return
        raw = self._before.stacks.get(key) or self._stuck.stacks.get(key)
        raw = raw or self._probe.stack(key)
        if raw is None:
            self.gone += 1
            return
        self._sent.add(key, time.monotonic_ns())
        if raw.stop and not self._addresses.modules.knows(raw.addresses):
            self._refresh_wanted = True
            self.refresh()
        batch.stacks[key] = self._addresses.want(key, raw, ask=False)

    def refresh(self, *, changed: bool = False) -> None:
        """New code may be mapped: a library was loaded.

        ``changed``: the kernel says so.
        """
        now = time.monotonic()
        due = now >= (self._next_refresh if self._refresh_wanted else self._next_look)
        if not due and not (changed and self._next_look < float("inf")):
            return
        switches = int(self._probe.counters.switches)
        if not (self._refresh_wanted or changed) and switches == self._looked_at:
            return  # no thread has run that could have mapped any
        self._looked_at = switches
        self._refresh_wanted = False
        modules = self._addresses.modules
        known = modules.count
        try:
            self._addresses.refresh()
        except TargetError:
            self._next_refresh = self._next_look = float("inf")  # gone; its end will be reported
            return
        pause = max(LOOK_INTERVAL_S, LOOK_SHARE * (time.monotonic() - now))
        self._next_refresh = now + REFRESH_INTERVAL_S
        self._next_look = now + pause
        if modules.count != known:
            self.new_file = True
            self._code_pause_s = NEXT_FILE_S
        elif changed:
            # where code is made rather than loaded it changes all the time
            self._code_pause_s = min(2 * self._code_pause_s, pause)
        self._probe.config.code_after_ns = time.monotonic_ns() + int(self._code_pause_s * 1e9)

    def survey(self, take_replies: Callable[[Batch], None]) -> dict[int, list[Stack]]:
        """The stacks of every thread of the target in SURVEY_S, by tid; blocks.

        ``take_replies`` puts into a batch what the resolver has answered.
        """
        self._probe.config.survey = 1
        taken: dict[int, set[int]] = {}
        batch = Batch()
        end = time.monotonic() + SURVEY_S
        while time.monotonic() < end or (
            self._addresses.pending_stacks and time.monotonic() < end + SURVEY_NAMES_S
        ):
            time.sleep(0.02)
            samples = self._probe.events()
            self.take(samples, batch)
            self._addresses.ask_wanted()
            for sample in samples:
                if sample.stack and sample.kind in (Kind.CPU, Kind.SLEEP):
                    taken.setdefault(sample.tid, set()).add(sample.stack)
            take_replies(batch)
            if time.monotonic() >= end:
                self._probe.config.survey = 0
        self._probe.config.survey = 0
        self.send_again()
        return {
            tid: [batch.stacks[key] for key in sorted(keys) if key in batch.stacks]
            for tid, keys in taken.items()
        }

    def send_again(self) -> None:
        """Each stack when a sample refers to it next: it has better names now, or means another
        program's code.
        """
        self._sent.clear()
        self._lasting.clear()
