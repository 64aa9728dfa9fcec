"""Exact mode while it runs: attached as much as its cost allows, and what it reports about itself.

The points to probe come from the resolver, one answer for each file that may hold Tokio; nothing is
attached before all of them are there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from hud.errors import HudError, TargetError
from hud.model import Batch, Kind, Mapping, PollStats, Sample, Where
from hud.probe.exact import ExactProbe, UprobeSite, count_time
from hud.process.procfs import PROC, living_thread
from hud.profiler.exact import threshold
from hud.profiler.exact.governor import PROGRAM_NS, Measurement, Mode, cost_ns, decide
from hud.profiler.exact.uprobe_sites import check, require_safe_returns
from hud.resolver.client import Resolver
from hud.resolver.messages import AskPoints, Failed, Points
from hud.symbols.facts import Point, Role

BURST_NS = 100_000_000
CHECK_NS = 500_000_000
"""How often the cost is looked at while every poll is seen."""
SEND_NS = 1_000_000_000
AGAIN_NS = 500_000_000
MOST_FAILURES = 3
MISSED_SHARE = 0.1
LEAST_MISSED = 10
TRAMPOLINE = "[uprobes]"
"""Where the kernel lets functions return to whose return is probed: a mapping of its own."""


class Exact:
    """One target's exact mode. ``keep`` False = only until the threshold is chosen.

    ``limit`` is the share of the workers' CPU time that it may cost.
    """

    def __init__(
        self,
        probe: ExactProbe,
        resolver: Resolver,
        pid: int,
        limit: float,
        *,
        keep: bool,
        choose_threshold: bool,
        read_mappings: Callable[[], list[Mapping]],
    ) -> None:
        self._probe = probe
        self._resolver = resolver
        self._pid = pid
        self._limit = limit
        self._keep = keep
        self._choosing = choose_threshold
        self._read_mappings = read_mappings
        self._points: list[tuple[str, list[Point]]] = []
        self._refusals: list[str] = []
        self._mode = Mode.BURSTS
        self._reason = ""
        """Why it is off."""
        self._began_ns = 0
        self._ended_ns = 0
        self._attached_ns = 0
        """In all, of the stretches that have ended."""
        self._since_ns = 0
        """0 = detached."""
        self._read_ns = 0
        self._hits = 0, 0, 0
        self._cpu_ns: dict[int, int] = {}
        self._resume_ns = 0
        self._paused = False
        """Some polls were not seen, to limit the cost."""
        self._failures = 0
        """To attach again, one after the other."""
        self._program_ns = float(PROGRAM_NS)
        self._counting: ExitStack | None = None
        self._polls: list[PollStats] = []
        self._sent_ns = 0
        self._long = self._missed = 0
        self.threshold_from = ""
        """How it has chosen the threshold in force; empty = it has not."""

    # ------------------------------------------------------------------- begin

    def begin(self, modules: Iterable[tuple[int, str]], refusal: str) -> None:
        """Ask where to probe: the resolver's number and path of each file. ``refusal``: why exact
        mode cannot be, known beforehand."""
        self._probe.detach()
        self._since_ns = 0
        self._mode, self._reason = Mode.BURSTS, ""
        self._probe.forget()
        self._points.clear()
        self._refusals.clear()
        self._resolver.drop(self)
        if refusal:
            self._switch_off(refusal)
            return
        for number, path in modules:
            self._resolver.ask(AskPoints(number), partial(self._take, path), owner=self)
        if not self._resolver.pending(self):
            self._switch_off("the executable cannot be read")

    def _take(self, path: str, answer: Points | Failed) -> None:
        if isinstance(answer, Points):
            self._points.append((path, answer.points))
        else:
            self._refusals.append(answer.message)
        if not self._resolver.pending(self) and not self._points:
            self._switch_off(self._refusals[0])

    def _sites(self) -> list[UprobeSite]:
        if living_thread(self._pid) != self._pid:
            # uprobe filters compare the memory of the leader (kernel/trace/bpf_trace.c)
            raise TargetError("its main thread has ended, and the kernel puts no uprobes there")
        if any(point.role is Role.POLL for _, points in self._points for point in points):
            require_safe_returns(self._pid, os.uname().release, os.uname().machine)
        mappings = self._read_mappings()
        found = [check(self._pid, path, points, mappings) for path, points in self._points]
        return [site for sites in found for site in sites]

    def _attach(self, now_ns: int, workers: Iterable[int]) -> None:
        try:
            self._probe.attach(self._sites())
        except (HudError, OSError) as error:
            self._failures += 1
            self._resume_ns = now_ns + AGAIN_NS
            # a target on its way out is not a reason
            if self._failures >= MOST_FAILURES or not self._began_ns:
                self._switch_off(str(error))
            return
        self._failures = 0
        if not self._began_ns:
            self._began_ns = time.monotonic_ns()
            self._counting = count_time()
        self._since_ns = self._read_ns = time.monotonic_ns()
        self._hits = self._probe.hits()
        self._cpu_ns = cpu_times(self._pid, workers)

    def _detach(self) -> None:
        if self._since_ns:
            self._attached_ns += time.monotonic_ns() - self._since_ns
            self._since_ns = 0
        self._stop_counting()
        self._probe.detach()

    def _switch_off(self, reason: str) -> None:
        self._detach()
        self._mode, self._reason = Mode.OFF, reason

    def close(self) -> None:
        """The end of the run; what was counted can still be sent."""
        self._detach()
        self._ended_ns = self._ended_ns or time.monotonic_ns()

    # ------------------------------------------------------------------- while it runs

    def step(self, workers: Iterable[int]) -> None:
        """Attach, detach, or neither; to be called every 0.1 s or so. ``workers``: their tids."""
        now = time.monotonic_ns()
        if self._mode is Mode.OFF or not self._points or self._resolver.pending(self):
            return
        if not self._since_ns:
            if now >= self._resume_ns:
                self._attach(now, workers)
            return
        self._find_trampoline()
        length = BURST_NS if self._mode is Mode.BURSTS else CHECK_NS
        if now - self._read_ns < length:
            return
        self._judge(now, cpu_times(self._pid, workers))

    def _judge(self, now_ns: int, cpu_ns: dict[int, int]) -> None:
        hits = self._probe.hits()
        begins, idles, completes = (new - old for new, old in zip(hits, self._hits, strict=True))
        if self._counting is not None and begins:
            self._stop_counting()
        emulated, stepped = self._split(begins, idles, completes)
        cost = cost_ns(emulated, stepped, self._program_ns)
        measured = Measurement(now_ns - self._read_ns, cost, used(self._cpu_ns, cpu_ns))
        plan = decide(measured, self._limit, self._mode)
        self._read_ns, self._hits, self._cpu_ns = now_ns, hits, cpu_ns
        self._mode = plan.mode
        if plan.mode is Mode.EVERY:
            return
        if plan.mode is Mode.OFF:
            percent = 100 * measured.overhead
            self._switch_off(
                f"it would cost {percent:.0f} % of the workers' time, "
                f"{100 * self._limit:g} % are allowed"
            )
            return
        self._detach()
        self._paused = True
        self._resume_ns = now_ns + plan.pause_ns

    def _split(self, begins: int, idles: int, completes: int) -> tuple[int, int]:
        """Hits at emulated and at stepped instructions."""
        slow = {point.role for _, points in self._points for point in points if not point.emulated}
        stepped = 0
        for roles, count in (
            ({Role.RUNNING, Role.POLL}, begins),
            ({Role.IDLE}, idles),
            ({Role.COMPLETE}, completes),
        ):
            stepped += count if roles & slow else 0
        return begins + idles + completes - stepped, stepped

    def _stop_counting(self) -> None:
        if self._counting is None:
            return
        ns, runs = self._probe.runs()
        if runs >= 100:
            self._program_ns = ns / runs
        self._counting.close()
        self._counting = None

    def _find_trampoline(self) -> None:
        state = self._probe.state
        returns = any(p.role is Role.POLL for _, points in self._points for p in points)
        if state.trampoline or not returns:
            return
        for mapping in self._read_mappings():
            if mapping.path == TRAMPOLINE:
                state.trampoline = mapping.start

    def watch(self, samples: Iterable[Sample]) -> None:
        """Count long polls, and those whose begin and end hit no probe; why is not known."""
        if not self._since_ns:
            return
        for sample in samples:
            if sample.kind != Kind.POLL or sample.where != Where.POLL:
                continue
            begin = sample.time_ns - sample.duration_ns - sample.info * 1000
            if begin < self._since_ns or sample.value > sample.duration_ns // 2:
                continue  # what waits for a CPU may do so right after its poll
            self._long += 1
            self._missed += bool(sample.info and sample.other)

    def keep_threshold(self) -> None:
        """Somebody has chosen another one."""
        if self._choosing and not self._keep:
            self._switch_off("the threshold is chosen")
        self._choosing = False
        self.threshold_from = ""

    # ------------------------------------------------------------------- what it says

    def fill(self, batch: Batch, *, last: bool = False) -> None:
        """Put what is new into a batch: the figures, the state, the chosen threshold."""
        now = batch.time_ns
        looked = self._choosing and self._began_ns and now - self._began_ns >= threshold.LOOK_NS
        if now - self._sent_ns < SEND_NS and not (last or looked):
            return
        self._sent_ns = now
        if self._began_ns:
            self._polls = self._probe.polls()
        if self._choosing:
            self._choose(batch, now, last)
        if self._keep:
            batch.polls = self._polls
            batch.exact = self.in_words()

    def _choose(self, batch: Batch, now_ns: int, last: bool) -> None:
        choice = None
        since = now_ns - self._began_ns if self._began_ns else 0
        if self._mode is Mode.OFF and not self._polls:
            choice = threshold.fallback(f"polls cannot be timed: {self._reason}")
        elif last:
            choice = threshold.fallback("the run ended before enough polls were seen")
        elif since >= threshold.LOOK_NS:
            choice = threshold.choose(self._polls)
            if choice is None and since >= threshold.PATIENCE_NS:
                polls = sum(stats.polls for stats in self._polls)
                choice = threshold.fallback(f"only {polls} polls were seen")
        if choice is None:
            return
        self._choosing = False
        batch.threshold_ns, batch.threshold_from = choice
        self.threshold_from = batch.threshold_from
        if not self._keep:
            self._switch_off("the threshold is chosen")

    def in_words(self) -> str:
        """``every poll``, ``bursts, 12 % of the time``, ``off: ...``."""
        now_ns = self._ended_ns or time.monotonic_ns()  # a batch's time may be of before
        attached = self._attached_ns
        if self._since_ns:
            attached += now_ns - self._since_ns
        if self._mode is Mode.OFF and not attached:
            return f"off: {self._reason}"
        if not self._began_ns:
            return "off: not started"
        words = "every poll"
        if self._paused:
            percent = 100 * attached / max(1, now_ns - self._began_ns)
            words = (
                f"bursts, {percent:.0f} % of the time"
                if percent >= 1
                else (f"bursts, {percent:.1f} % of the time")
            )
        if self._mode is Mode.OFF:
            words += f", now off: {self._reason}"
        if self._missed >= LEAST_MISSED and self._missed > MISSED_SHARE * self._long:
            words += f", but {self._missed} of {self._long} long polls hit no probe"
        return words

    def uncounted(self) -> int:
        """Polls that fitted no kind, or whose task could not be read."""
        return int(self._probe.state.kinds_full + self._probe.state.unreadable)


def cpu_times(pid: int, tids: Iterable[int], proc: Path = PROC) -> dict[int, int]:
    """CPU time of each worker, ns (proc(5), schedstat); of the process while none is known."""
    found = {}
    for tid in tids:
        with suppress(OSError, IndexError, ValueError):  # it is gone
            text = (proc / str(pid) / "task" / str(tid) / "schedstat").read_bytes()
            found[tid] = int(text.split()[0])
    if not found:
        with suppress(OSError):
            # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) of linux/posix-timers.h
            found[0] = time.clock_gettime_ns(~pid << 3 | 2)
    return found


def used(before: dict[int, int], after: dict[int, int]) -> int:
    """CPU time between two readings, of the threads in both."""
    return sum(ns - before[tid] for tid, ns in after.items() if tid in before)
