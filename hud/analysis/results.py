"""What analysis derives from a recording: the values that the screen, the summary and exports show.

All times are CLOCK_MONOTONIC nanoseconds unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.shares import NO_SHARES, Shares
from hud.analysis.slices import NOTHING_SHOWN, History, Shown
from hud.model import HostPressure

if TYPE_CHECKING:
    from hud.analysis.cause import Cause
    from hud.model import (
        Code,
        Losses,
        Origin,
        PollStats,
        RunInfo,
        Stack,
        TaskCount,
        TaskKind,
        TasksRead,
        ThreadState,
        TimeSplit,
        Worker,
    )


class Holder(NamedTuple):
    """The thread that ended a wait in a futex, by waking the waiter."""

    tid: int
    name: str
    role: str
    """``worker``, ``pool thread``, ``other thread`` or ``other process``."""
    stack: int
    """Where it was when it let go; key in ``Recording.stacks``, 0 = none was caught."""
    task_id: int
    held: bool = True
    """It held the lock that the waiter wanted. False = it only woke the waiter: it sent something,
    or notified a condition variable."""
    woke_ns: int = 0
    """When it woke the waiter; 0 = not known."""


class HolderUse(NamedTuple):
    """Holders of one blocker, grouped by the code that let go."""

    function: str
    """``thread NAME`` where the stack has no function of the user's or was not caught."""
    where: str
    role: str
    stack: int
    total_ns: int
    held: bool = True
    """As in ``Holder``."""
    inferred: bool = False
    """As in ``Frame``; ``function`` may then be the place itself."""


class Method(IntEnum):
    """``args.detection_method`` of the trace export; 2 and 3 as the original hud numbers them."""

    LATENCY = 2
    """Runnable but not running for at least the threshold."""
    SAMPLES = 3
    """A run of CPU samples in the same user function (rungs without CONTEXT)."""
    POLL = 4
    """Tokio's own state said: the same poll, from begin to end."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One stay of one worker inside one poll, for at least the threshold."""

    worker_id: int
    tid: int
    start_ns: int
    duration_ns: int
    on_cpu_ns: int
    asleep_ns: int
    waiting_ns: int
    method: Method
    cause: Cause
    stack: int
    """The stack that explains most of it; key in ``Recording.stacks``, 0 = none was caught."""
    task_id: int = 0
    begin_uncertainty_ns: int = 0
    end_uncertainty_ns: int = 0
    in_progress: bool = False
    began_before: bool = False
    """Before the attach, where ``start_ns`` is: it lasted longer than that."""
    syscall: int = -1
    """Number of the system call it slept in longest; -1 = none."""
    holder: Holder | None = None
    """Cause ``lock``: who held it, or sent what was waited for."""
    detail: str = ""
    """The file, peer or program it was about; empty = unknown."""
    evidence: str = ""
    """What shows the cause, in words."""
    vtable: int = 0
    """The task's type, a key of ``TaskTables.kinds``; 0 = unknown when it was settled."""
    behind: float = -1.0
    """Ready tasks in the worker's own queue meanwhile, on average; -1 = not read."""
    stopped_ns: int = 0
    """Of ``asleep_ns``: stopped by a signal or a tracer."""
    pressed: bool = False
    """Its own time is below the threshold: most of it was asleep in a call, and after that it had
    to wait for a CPU."""
    doubts: int = 0
    """Why it may be several polls of one task: bits of ``SampleFlag``; 0 = it is one."""

    @property
    def charged_ns(self) -> int:
        """Its own time, which counts against the code: on a CPU and asleep, but not stopped."""
        return self.duration_ns - self.waiting_ns - self.stopped_ns


@dataclass(frozen=True, slots=True)
class Latency:
    """One wait of a runnable worker for a CPU: pressure, with the victim's stack."""

    worker_id: int
    tid: int
    start_ns: int
    duration_ns: int
    stack: int
    culprit_tid: int
    culprit: str
    """Name of the thread that ran instead; empty = the CPU was idle or it is unknown."""
    culprit_pid: int
    preempted: bool
    process: str = ""
    """The name of the thread's process; empty = not known."""


class Case(NamedTuple):
    """What the code of one blocker was held up by: a cause, and the call it was in."""

    cause: Cause
    operation: str
    total_ns: int
    stack: int
    """The heaviest of it; 0 = none was caught."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """Episodes grouped by the code responsible.

    Nothing in it changes with time alone; what does is asked of the ``Snapshot``: ``share``,
    ``no_cpu`` and ``history``.
    """

    function: str
    """The code responsible, see `hud.analysis.blame`; a task's type where its future is inlined
    into Tokio's frame; else module+offset. With a number where other code has the name."""
    where: str
    """``src/login.rs:88`` or empty."""
    file: str
    line: int
    origin: Origin
    inferred: bool
    operation: str
    """The library call that it made: ``bcrypt::hash``, ``std::fs::read``; ``first ... last`` where
    the first only passes it on; may be empty."""
    cause: Cause
    """That of its main case; see ``cases``."""
    count: int
    total_ns: int
    """Like all figures of a blocker: of its episodes' own time (``Episode.charged_ns``)."""
    max_ns: int
    p50_ns: int
    p99_ns: int
    workers: tuple[tuple[int, int], ...]
    """(worker_id, ns), largest first."""
    stacks: tuple[tuple[int, int], ...]
    """(stack key, ns), largest first."""
    causes: tuple[tuple[Cause, int], ...]
    """(cause, ns), largest first."""
    task_ids: tuple[int, ...]
    """The latest few."""
    history: History
    """Blocked ns."""
    durations: tuple[int, ...] = ()
    """Episodes by duration; see ``bucket_floor_ns``. Trailing zeros left out."""
    details: tuple[tuple[str, int], ...] = ()
    """(file or peer, ns), largest first, a few."""
    holders: tuple[HolderUse, ...] = ()
    """Largest first, a few."""
    types: tuple[tuple[str, int], ...] = ()
    """(task type, ns), largest first, a few."""
    handlers: tuple[tuple[str, int], ...] = ()
    """(handler, ns), largest first, a few: the own async fn that called it; ``~`` = inferred."""
    behind: float = -1.0
    """Ready tasks that waited in the same worker's queue, on average; -1 = unknown."""
    waiting_ns: int = 0
    """Without a CPU in these episodes: in no other figure."""
    on_cpu_ns: int = 0
    """Of ``total_ns``; the rest was asleep. -1 = not known, of a part of a blocker."""
    pressed: int = 0
    """Episodes that were long only because such a wait followed a sleep."""
    lasting: int = 0
    """Episodes that have not ended: in all figures with their time so far, in the percentiles only
    where no other is."""
    lasting_ns: int = 0
    """How long the longest of them is so far, waits for a CPU included."""
    standoff: bool = False
    """It waits for a lock in a ``Standoff``."""
    holds: int = 0
    """Episodes that waited for a lock which this code had: an await would keep it the longer."""
    key: tuple[str, str, str] = ("", "", "")
    """What makes it the same blocker in the next snapshot: see `hud.analysis.blame`."""
    cases: tuple[Case, ...] = ()
    """Largest first, a few; ``cause`` and ``operation`` are the first's: the main case's."""

    @property
    def example(self) -> int:
        """The heaviest stack of the main case; 0 = none was caught."""
        return self.cases[0].stack if self.cases else 0


class Standoff(NamedTuple):
    """Workers that wait for locks which none of them lets go of: each seems to hold what another
    one wants. Inferred: nobody knows who holds a lock before it is let go."""

    workers: tuple[int, ...]
    locks: int
    lasted_ns: int
    """The shortest of the waits."""


@dataclass(frozen=True, slots=True)
class RuntimeUse:
    """One runtime: how many threads drive it, and where their time went in the span."""

    name: str
    """What its threads are called; several of one name are ``name #2``."""
    workers: int
    """Those that drive it now, or did when the run ended."""
    time_ns: int
    """Sum over all workers, idle ones too, of the time that they were its workers."""
    blocked_ns: int
    waiting_ns: int
    episodes: int
    worst: int = -1
    """The worker that was blocked for the largest part of its time; -1 = none was."""
    worst_share: float = 0.0

    @property
    def share(self) -> float:
        """The part of its time for which it was blocked, 0..1."""
        return min(1.0, self.blocked_ns / self.time_ns) if self.time_ns else 0.0


@dataclass(frozen=True, slots=True)
class TaskUse:
    """One type of task: what is alive of it, how long its polls take, how long it blocked."""

    kind: TaskKind
    count: TaskCount | None
    """None = the runtime's tasks are not read."""
    polls: PollStats | None
    """None = exact mode is off."""
    episodes: int
    blocked_ns: int
    max_ns: int
    task_ids: tuple[int, ...] = ()
    """The latest few that blocked."""


class WorkerUse(NamedTuple):
    """One worker's row: what it does now and where its time went. A tuple, as hundreds are made for
    each snapshot.
    """

    worker: Worker
    alive: bool
    state: ThreadState | None
    split: TimeSplit
    longest_ns: int
    episodes: int
    history: History
    """Blocked ns; see ``Snapshot.history``."""
    time_ns: int = 0
    """For how long it was a worker, in the span."""
    blocked_ns: int = 0
    causes: tuple[tuple[Cause, int], ...] = ()
    """(cause, blocked ns), largest first."""
    doing: Episode | None = None
    """What it is in now, or was when the run ended, if that has lasted for the threshold."""
    drives: bool = True
    """It is a worker still, or was when the run ended: no thread that has ended, or that handed its
    scheduler to another."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """Who ran while workers waited: other processes by their names, own threads by theirs."""

    culprit: str
    pid: int
    """0 = several processes, or none."""
    same_process: bool
    count: int
    total_ns: int
    max_ns: int
    processes: int = 1
    """How many have that name."""


class Graph(NamedTuple):
    """Blocked time of all workers over the span, in equal slices, by cause."""

    start_ns: int
    """When the first slice begins: in the span, less than a slice after its begin."""
    slice_ns: int
    slices: int
    """How many; the last one ends at ``end_ns``."""
    causes: tuple[tuple[Cause, tuple[int, ...]], ...]
    """(cause, blocked ns in each slice), in the order of their names; without those of which there
    was nothing."""
    end_ns: int
    workers: float
    """How many there were on average."""

    def at(self, number: int) -> tuple[tuple[Cause, int], ...]:
        """Of one slice (cause, blocked ns), largest first."""
        found = ((cause, values[number]) for cause, values in self.causes if values[number])
        return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0])))

    def share(self, number: int) -> float:
        """The part of the slice's worker time that was blocked, 0..1."""
        begin_ns = self.start_ns + number * self.slice_ns
        time_ns = self.workers * min(self.slice_ns, self.end_ns - begin_ns)
        blocked_ns = sum(values[number] for _, values in self.causes)
        return min(1.0, blocked_ns / time_ns) if time_ns > 0 else 0.0


NO_GRAPH = Graph(0, 1, 0, (), 0, 0.0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a view, the summary or an export shows, derived at one moment."""

    info: RunInfo
    now_ns: int
    elapsed_ns: int
    span_ns: int
    """What the figures cover: the window, or the whole run if shorter."""
    live: bool
    ended: str
    """Why the run ended: ``target exited (status 0)``; empty while live."""
    blockers: tuple[Blocker, ...]
    """By (-total, function)."""
    workers: tuple[WorkerUse, ...]
    pressure: tuple[Pressure, ...]
    latencies: int
    latency_total_ns: int
    latency_max_ns: int
    episodes: int
    blocked_ns: int
    worker_time_ns: int
    """Sum over the workers of the time that they were such, in the span; without runtimes that
    never ran."""
    waiting_ns: int
    allowed_ns: int
    longest_poll_ns: int
    losses: Losses
    stacks_total: int
    """Stacks taken in the run (distinct stacks weighted by use)."""
    stacks_complete: int
    frames_named: float
    """Share of the frames of the stacks taken that have a name, 0..1."""
    hud_cpu_ns: int
    """hud's own CPU time since the attach, helper process included."""
    hud_rss_bytes: int
    stacks: dict[int, Stack] = field(default_factory=dict)
    """The stacks that the blockers name (shared with the recording; do not change)."""
    tasks: tuple[TaskUse, ...] = ()
    """By (-blocked, -busy, -alive, name)."""
    tasks_read: TasksRead | None = None
    host: HostPressure = field(default_factory=HostPressure)
    stopped: int = 0
    """Episodes in which the thread was stopped by a signal or a tracer."""
    stopped_ns: int = 0
    exact: str = ""
    """Exact mode's state; empty = off."""
    code: dict[int, Code] = field(default_factory=dict)
    """By address, of the heaviest blockers (shared; do not change)."""
    before: tuple[Episode, ...] = ()
    """Those that began before the attach."""
    tick_unknown: int = 0
    """Of ``episodes``: those that may be several polls in a row, as the tick is not known."""
    awaited: int = 0
    """Of ``episodes``, those left out: which may be two polls in one turn of a worker."""
    timeline: tuple[Episode, ...] = ()
    """The latest episodes, those in progress included, by start; bounded."""
    waits: tuple[Latency, ...] = ()
    """The latest waits for a CPU, the newest first; a few."""
    lasting: tuple[Episode, ...] = ()
    """Those that have not ended, or had not when the run did; the longest first."""
    standoff: Standoff | None = None
    stacks_end: str = ""
    """Where and why most incomplete stacks end: ``no unwind rule in libfoo.so``."""
    runtimes: tuple[RuntimeUse, ...] = ()
    """Those that ran, by (-share, name)."""
    graph: Graph = NO_GRAPH
    unseen_ns: int = 0
    """Of the span: no event came through, as hud was held up. All worker time is of the rest."""
    slices: Shown = NOTHING_SHOWN
    """Of the histories of blockers and workers."""
    shares: Shares = NO_SHARES

    def share(self, row: Blocker) -> float:
        """Of the worker time of the runtimes it was seen in, in the span, 0..1."""
        return self.shares.share(row.total_ns, (number for number, _ in row.workers))

    def no_cpu(self, row: Blocker) -> float:
        """What of that time its episodes were without a CPU for, 0..1: in no other figure."""
        return self.shares.share(row.waiting_ns, (number for number, _ in row.workers))

    def history(self, row: Blocker | WorkerUse) -> tuple[int, ...]:
        """Blocked ns in each slice of the span up to now, oldest first."""
        return row.history.over(self.slices)
