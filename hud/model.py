"""The frozen values that the layers hand to each other; imports nothing of hud.

Terms: a *sample* is one decoded kernel event; a *stack* is the list of user addresses, innermost
first; a *frame* is one logical call (inlined calls expanded); an *episode* is one stay of one
worker inside one task poll that lasted at least the threshold; a *blocker* groups episodes by the
code responsible. All times are CLOCK_MONOTONIC nanoseconds unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple

# --------------------------------------------------------------------------- kernel events


class Kind(IntEnum):
    """``enum event_kind`` of bpf_src/event.h."""

    LATENCY = 1
    """A worker was runnable but not running for at least the threshold."""
    CPU = 2
    """A CPU sample of a worker, with its user stack."""
    SLEEP = 3
    """Sleep inside a poll that is worth telling, with the stack it slept at: a long one, or the
    last of several short ones that add up."""
    POLL = 4
    """A poll that lasted at least the threshold has ended."""
    WAKE = 5
    """A thread ended a long sleep in a futex, inside a poll, by a futex call of its own."""


class Where(IntEnum):
    """``enum where`` of bpf_src/event.h: what Tokio was doing in the thread at that moment."""

    UNKNOWN = 0
    """CONTEXT cannot be read: nothing is known about polls."""
    FOREIGN = 1
    """Not a thread of a runtime, or not inside one."""
    RUNTIME = 2
    """The runtime's own work between polls, parked included."""
    POLL = 3
    """Inside a task's poll."""
    ROOT = 4
    """Inside the poll of a ``block_on`` root future."""
    ALLOWED = 5
    """``spawn_blocking`` or ``block_in_place``: blocking is allowed here."""


class Sample(NamedTuple):
    """One ``struct event`` of bpf_src/event.h, decoded. On the hot path: a plain tuple."""

    time_ns: int
    """The end of what it describes."""
    duration_ns: int
    """LATENCY: time runnable; POLL: its length; CPU and SLEEP: the time on a CPU or asleep that no
    earlier sample of this poll told (below CONTEXT, CPU: the sampling period); WAKE: length of the
    sleep that it ended."""
    stack: int
    """Key in ``Recording.stacks``; 0 = none was taken. WAKE: the waker's."""
    poll_start_ns: int
    """When the poll it belongs to was first seen; 0 = not in a poll. (tid, this) names a poll."""
    task_id: int
    """Tokio's task id; 0 = none or unknown. WAKE: of the task that the waker was polling."""
    value: int
    """SLEEP: names what the kernel told of it, 0 = nothing; POLL: time runnable but not running,
    ns; WAKE: the stack at which the sleeper slept."""
    tid: int
    other: int
    """LATENCY: the thread that ran instead (0 = none, the CPU was idle); SLEEP, WAKE: the waker's
    tid; POLL: by how much the end is uncertain, microseconds."""
    info: int
    """SLEEP: system call number (0xffffffff = not in a system call: a page fault or the like;
    0xfffffffe = stopped by a signal or a tracer); POLL: by how much the begin is uncertain,
    microseconds, or BEGAN_BEFORE."""
    kind: int
    where: int
    """WAKE: where the waker was."""
    flags: int
    """Bits of ``enum event_flags``; SLEEP: ``FILE_TYPE`` holds the type (``stat.S_IFMT``) of the
    call's first argument as a descriptor, 0 = it is none."""


# A POLL sample carries its time asleep in ``stack``: it has no stack of its own.


class SampleFlag(IntEnum):
    """``enum event_flags`` of bpf_src/event.h."""

    PREEMPTED = 1
    """LATENCY: the worker was preempted (else: it was woken and then waited)."""
    TICK_UNKNOWN = 2
    """The runtime's tick cannot be read: consecutive polls of one task may look like one."""
    IN_PROGRESS = 4
    """POLL: not ended, reported because the run ended."""
    OTHER_PROCESS = 8
    """WAKE: the waker is not of the target's process."""
    AWAITED = 16
    """POLL: something was awaited in it: it may be two of one task in one turn of a worker."""


BEGAN_BEFORE = 0xFFFFFFFF
"""Of a POLL's ``info``: it began before the attach, nobody knows when, and is told from there."""

FILE_TYPE = 0xF000
"""``FLAGS_FILE_TYPE`` of bpf_src/event.h."""


# --------------------------------------------------------------------------- stacks and frames


class Origin(str, Enum):
    """Whose code a frame is."""

    USER = "user"
    DEPENDENCY = "dependency"
    RUNTIME = "runtime"
    STD = "std"
    C = "c"
    KERNEL = "kernel"
    UNKNOWN = "unknown"


class Precision(str, Enum):
    """How well a frame's ``file`` and ``line`` tell where its code is."""

    EXACT = "exact"
    """The line of the call, as debug info has it."""
    NEAR = "near"
    """Inferred: a line that its way comes to behind or before the call."""
    DEFINITION = "definition"
    """The line where the async fn or block begins that the code is in; the call is below."""
    FILE = "file"
    """Inferred: the file, no line."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One logical call of a stack, as people read it.

    A frame without a name is data too: ``function`` is then empty and ``module`` + ``offset`` say
    where it is.
    """

    address: int
    """The pc in the target (for a caller: the return address)."""
    function: str = ""
    """Demangled, readable (``handler::{async fn}``); empty = no name can be had."""
    raw: str = ""
    """The symbol as in the file."""
    file: str = ""
    line: int = 0
    """Line of the call (or of the pc, innermost), see ``precision``; 0 = unknown."""
    module: str = ""
    """Path of the mapped file, ``[vdso]`` or empty."""
    offset: int = 0
    """Address inside the module, as in its symbol table."""
    origin: Origin = Origin.UNKNOWN
    crate: str = ""
    """``bcrypt`` or ``bcrypt 0.17.1`` where the version is known."""
    inlined: bool = False
    """True = inlined into the next (outer) frame."""
    inferred: bool = False
    """True = guessed from panic locations, never shown as a fact."""
    recovered: bool = False
    """True = a tail call had removed it from the stack, and the machine code tells it. ``address``
    is then the jump's own, or the function's where it is not known which jump it was."""
    gap: bool = False
    """True = it was left by a jump, and others may be between it and the next inner frame."""
    precision: Precision = Precision.EXACT


@dataclass(frozen=True, slots=True)
class Stack:
    """One distinct user stack, innermost first."""

    addresses: tuple[int, ...]
    complete: bool
    """It reaches the thread's start."""
    stop: str = ""
    """Why it does not: ``no unwind rule``, ``unreadable``, ``too deep`` ...; empty if complete."""
    frames: tuple[Frame, ...] | None = None
    """None until the names are resolved."""


# --------------------------------------------------------------------------- the target


@dataclass(frozen=True, slots=True)
class Mapping:
    """One line of /proc/PID/maps."""

    start: int
    end: int
    offset: int
    """File offset of ``start``."""
    executable: bool
    path: str
    """As in maps: a path, ``[vdso]``, or empty. `` (deleted)`` is kept out, see ``deleted``."""
    device: str = ""
    inode: int = 0
    deleted: bool = False
    writable: bool = False


@dataclass(frozen=True, slots=True)
class ThreadName:
    """One thread of the target as /proc shows it."""

    tid: int
    name: str


@dataclass(frozen=True, slots=True)
class Target:
    """The process under study."""

    pid: int
    name: str
    """comm, control characters escaped by whoever shows it."""
    executable: str
    """Its path as the target sees it."""
    start_ticks: int = 0
    """Field 22 of /proc/PID/stat: tells a reused pid."""


class Rung(str, Enum):
    """The fallback ladder of detection, best first."""

    CONTEXT = "context"
    """Tokio's thread-local state is read: polls are seen."""
    STACKS = "stacks"
    """Workers known by stack signatures; episodes from consecutive CPU samples."""
    NAMES = "names"
    """Workers known by thread names; episodes from consecutive CPU samples."""
    LATENCY = "latency"
    """No worker known: scheduling latency of every thread of the process only."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Which rung is in use and why; shown in the header, doctor and every export."""

    rung: Rung
    reason: str
    """``tokio 1.54.1: CONTEXT at tls-0x1a8``, ``--workers api``, ``12 threads named api-N`` ..."""
    tokio_versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Worker:
    """One thread that runs tasks."""

    worker_id: int
    """Zero-based, in the order of discovery; stable for the run."""
    tid: int
    name: str
    runtime: str = ""
    """Which runtime it belongs to where several were told apart."""


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Where one thread's time went since the attach, nanoseconds."""

    poll_cpu_ns: int = 0
    poll_asleep_ns: int = 0
    waiting_ns: int = 0
    """Runnable, not running."""
    parked_ns: int = 0
    """Asleep outside polls, inside a runtime."""
    allowed_ns: int = 0
    runtime_ns: int = 0
    """On CPU outside polls."""
    unknown_cpu_ns: int = 0
    """On CPU, CONTEXT unreadable."""
    unknown_asleep_ns: int = 0
    outside_ns: int = 0
    """Asleep outside every runtime: a worker that has become an idle thread of the pool."""

    def total_ns(self) -> int:
        return (
            self.poll_cpu_ns
            + self.poll_asleep_ns
            + self.waiting_ns
            + self.parked_ns
            + self.allowed_ns
            + self.runtime_ns
            + self.unknown_cpu_ns
            + self.unknown_asleep_ns
            + self.outside_ns
        )

    def no_worker_ns(self) -> int:
        """When the thread drove no scheduler: another thread may have been the worker."""
        return self.allowed_ns + self.outside_ns


@dataclass(frozen=True, slots=True)
class ThreadState:
    """What one thread of the target is doing now, read from the kernel's per-thread map."""

    tid: int
    where: Where
    running: bool
    runnable: bool
    since_ns: int
    """When it came into this scheduling state."""
    poll_start_ns: int
    """0 = not in a poll."""
    task_id: int
    split: TimeSplit
    asleep_stack: int = 0
    """Key of the stack it sleeps at, if it sleeps in a poll; else 0."""
    syscall: int = -1
    argument: int = 0
    """Of the system call it sleeps in, the first."""
    file_type: int = 0
    """``stat.S_IFMT`` of that as a descriptor, of sleeps that have lasted; 0 = none or unknown."""
    began_before: bool = False
    """Its poll began before the attach; ``poll_start_ns`` is the attach then."""
    slept_ns: int = 0
    """Asleep in its poll, in the sleeps that are over."""
    waited_ns: int = 0
    """Runnable and not running in its poll, likewise."""
    doubts: int = 0
    """Whether its poll is one: bits of ``SampleFlag``."""


# --------------------------------------------------------------------------- tasks


@dataclass(frozen=True, slots=True)
class TaskKind:
    """One type of task, told by its vtable."""

    vtable: int
    """Its address in the target."""
    name: str
    """The future's type as people read it; empty = unknown. Several types that the linker folded
    are told as ``a | b``."""
    where: str = ""
    """``src/main.rs:40``, where the future is declared; may be empty. With ``~`` before it: that
    or an async fn that it awaits."""
    inferred: bool = False
    """True = the name is a guess, from panic locations or by elimination."""


class TaskCount(NamedTuple):
    """How many tasks of one kind were alive at one moment, and in which state."""

    vtable: int
    idle: int
    ready: int
    running: int
    stuck: int
    """Of the idle ones: those that nothing can wake any more."""


@dataclass(frozen=True, slots=True)
class TasksRead:
    """The runtime's tasks and queues at one moment."""

    time_ns: int
    counts: tuple[TaskCount, ...]
    whole: bool
    """False = the list changed while it was read: some are missing."""
    injected: int = -1
    """Tasks in the shared queue; -1 = unknown."""
    queued: tuple[tuple[int, int], ...] = ()
    """(tid of a worker, ready tasks in its own queue)."""
    pool_threads: int = -1
    """Threads of the blocking pool; -1 = unknown."""
    pool_idle: int = -1
    pool_queue: int = -1
    """Jobs that wait for a thread of the pool."""
    pool_limit: int = -1
    """``max_blocking_threads``."""
    pool_busiest: int = -1
    """Most threads of the pool that were busy at one reading of this run."""
    pool_full: int = 0
    """The threads of a pool that at some reading of this run were all busy while jobs waited; 0 =
    none was that full."""
    pool_waited: int = 0
    """Most jobs that waited then."""


@dataclass(frozen=True, slots=True)
class PollStats:
    """Exact mode: every poll of one kind of task since the attach."""

    vtable: int
    polls: int
    busy_ns: int
    max_ns: int
    buckets: tuple[int, ...]
    """Polls by duration: bucket i holds those of ``bucket_floor_ns(i)`` up to the next floor."""


BUCKETS = 160


def bucket_floor_ns(bucket: int) -> int:
    """The shortest duration of a bucket: four to each power of two, from 1 ns."""
    power, quarter = divmod(bucket, 4)
    return ((4 + quarter) << power) >> 2


def quantile_ns(stats: PollStats, share: float) -> int:
    """The duration that this share of the polls does not exceed, 0..1; interpolated in its bucket,
    so that it is right within the bucket's width, a fourth. 0 without polls."""
    total = sum(stats.buckets)
    wanted = share * total
    before = 0
    for bucket, count in enumerate(stats.buckets):
        if count and before + count >= wanted:
            low, high = bucket_floor_ns(bucket), bucket_floor_ns(bucket + 1)
            within = low + (high - low) * max(0.0, wanted - before) / count
            return min(round(within), stats.max_ns)
        before += count
    return stats.max_ns if total else 0


# --------------------------------------------------------------------------- the run


class Culprit(NamedTuple):
    """A thread that ran while a worker waited for a CPU, or that ended its sleep."""

    tid: int
    pid: int
    name: str
    process: str = ""
    """The name of its process; empty = not known."""


class Spot(NamedTuple):
    """A frame whose code is asked for."""

    address: int
    """As in ``Frame``."""
    caller: bool
    """The address is a return address."""
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Code:
    """Source and machine code around one address of the target."""

    address: int
    source: tuple[tuple[int, str], ...] = ()
    """(line number, text); empty = the file cannot be read here."""
    source_file: str = ""
    line: int = 0
    """The line of ``address``."""
    instructions: tuple[tuple[int, str, str], ...] = ()
    """(address in the file, instruction, the call's target by name or empty)."""
    at: int = 0
    """The instruction of ``address``, as an address in the file."""
    note: str = ""
    """Why something is missing."""


class Child(NamedTuple):
    """A process that the target, or a child of it, has started."""

    pid: int
    name: str
    cpu_ns: int
    """On CPUs since the attach."""


@dataclass(frozen=True, slots=True)
class HostPressure:
    """What kept the target off the CPUs that no thread is to blame for, since the attach; and who
    may do its work.
    """

    throttled_ns: int = 0
    """Sum over its threads' cgroup: time stopped by a CPU quota."""
    throttled_periods: int = 0
    stolen_ns: int = 0
    """Taken by the hypervisor, all CPUs."""
    quota: str = ""
    """``0.5 CPUs in /system.slice/x`` or empty."""
    children: tuple[Child, ...] = ()
    """Those that are alive, the busiest first; a few."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Everything that was not seen, by cause; all zero is the normal case."""

    ring_full: int = 0
    """Events that did not fit the ring buffer."""
    stacks_full: int = 0
    """Stacks that did not fit the stack map."""
    stacks_gone: int = 0
    """Stacks that an event named and user space could not fetch any more."""
    threads_full: int = 0
    """Threads that did not fit the per-thread map."""
    context_unreadable: int = 0
    """Times that Tokio's state could not be read in a runtime's thread."""
    stacks_skipped: int = 0
    """Stacks not taken because of the cost limit."""
    recording_full: int = 0
    """Samples dropped because the recording reached its bound, and episodes and waits that are not
    held one by one any more; in totals these still count."""
    symbols_late: int = 0
    """Stacks without names because the resolver did not answer in time or died."""
    polls_uncounted: int = 0
    """Exact mode: polls left out because their kind did not fit the map, or could not be read."""
    polls_bare: int = 0
    """Polls of at least the threshold without any stack: nobody knows what they did."""

    def total(self) -> int:
        return sum(getattr(self, name) for name in self.__slots__)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What is known of a run when it starts."""

    target: Target
    detection: Detection
    threshold_ns: int
    start_monotonic_ns: int
    """CLOCK_MONOTONIC at ts 0 of every export."""
    start_unix_ns: int
    """CLOCK_REALTIME at the same moment."""
    sample_period_ns: int
    window_ns: int = 0
    """0 = everything."""
    kernel: str = ""
    hud_version: str = ""
    clock_ticks: int = 100
    notes: tuple[str, ...] = field(default=())
    """Sentences the user must know: no debug info, fallback in use, threads refused ..."""
    threshold_from: str = ""
    """How the threshold was chosen, where hud chose it: ``3 x p99 0.2 ms``; empty = as asked."""


TOLD_AGAIN_NS = 30_000_000_000
"""A batch that names a stack or a task (id -> vtable) tells it too, unless an earlier one did so
within this time: who takes batches may forget what it does not use, but not before."""


@dataclass(slots=True)
class Batch:
    """Everything that came from the target since the last batch. A recording is a row of these."""

    time_ns: int = 0
    samples: list[Sample] = field(default_factory=list)
    stacks: dict[int, Stack] = field(default_factory=dict)
    """New ones, known ones that have names now, and those that were last told long ago."""
    workers: list[Worker] = field(default_factory=list)
    """New or renamed."""
    names: dict[int, str] = field(default_factory=dict)
    """tid -> name, of threads born or renamed."""
    culprits: list[Culprit] = field(default_factory=list)
    died: list[int] = field(default_factory=list)
    """Threads, whether workers or not."""
    withdrawn: list[int] = field(default_factory=list)
    """tids that were taken for workers and are none; before ``workers``, where one may be again."""
    ended: str = ""
    """Why the run is over: the target's end."""
    detection: Detection | None = None
    """Set when the rung has changed."""
    target: Target | None = None
    """Set when it runs another program now."""
    states: list[ThreadState] | None = None
    """Every thread of the target at ``time_ns``; None = not read this time."""
    losses: Losses | None = None
    """In all, so far."""
    cost: tuple[int, int] | None = None
    """hud's own CPU time since the attach, ns, and its resident bytes; helper included."""
    notes: tuple[str, ...] | None = None
    """All of them, when there are new ones."""
    threshold_ns: int = 0
    """Set when it has changed."""
    threshold_from: str = ""
    """With it: how hud chose it."""
    sample_period_ns: int = 0
    """Set when it has changed, as it does with threshold and rung."""
    details: dict[tuple[int, int], str] = field(default_factory=dict)
    """(tid, ``time_ns``) of a SLEEP sample, or (tid, ``since_ns``) of a sleep that lasts -> the
    file or peer that its system call was about."""
    tasks: TasksRead | None = None
    task_kinds: list[TaskKind] = field(default_factory=list)
    """New ones, and known ones that have names now."""
    task_ids: dict[int, int] = field(default_factory=dict)
    """task id -> vtable, of tasks that samples of this or an earlier batch name."""
    polls: list[PollStats] | None = None
    exact: str = ""
    """Exact mode's state when it has changed: ``every poll``, ``bursts, 20 % of the time`` ..."""
    host: HostPressure | None = None
    code: list[Code] = field(default_factory=list)


# --------------------------------------------------------------------------- what is derived


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


class Cause(str, Enum):
    """Why a worker was held up. One word, the same in every output."""

    CPU = "cpu"
    LOCK = "lock"
    SLEEP = "sleep"
    FILE = "file"
    SYNC = "fsync"
    NETWORK = "net"
    DNS = "dns"
    CHILD = "child"
    PIPE = "pipe"
    FAULT = "fault"
    WAITING = "wait"
    """Long only because the worker had no CPU: pressure, never a hotspot."""
    STOPPED = "stopped"
    """Long only because a signal or a tracer had stopped the thread: pressure as well."""
    SYSCALL = "syscall"
    UNKNOWN = "unknown"

    @property
    def blames_code(self) -> bool:
        """False = pressure from outside: no code of the target is at fault."""
        return self is not Cause.WAITING and self is not Cause.STOPPED


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
    """Before the attach, where ``start_ns`` is: it lasted longer than is told."""
    syscall: int = -1
    """Number of the system call it slept in longest; -1 = none."""
    holder: Holder | None = None
    """Cause ``lock``: who held it, or sent what was waited for."""
    detail: str = ""
    """The file, peer or program it was about; empty = unknown."""
    evidence: str = ""
    """What the cause was told by, in words."""
    vtable: int = 0
    """The task's type, a key of ``Recording.task_kinds``; 0 = unknown when it was settled."""
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
    """Episodes grouped by the code responsible."""

    function: str
    """The code responsible, see `hud.analysis.blame`; a task's type where its future is inlined
    into Tokio's frame; else module+offset."""
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
    share: float
    """Of the worker time of the runtimes it was seen in, in the window, 0..1."""
    workers: tuple[tuple[int, int], ...]
    """(worker_id, ns), largest first."""
    stacks: tuple[tuple[int, int], ...]
    """(stack key, ns), largest first."""
    causes: tuple[tuple[Cause, int], ...]
    """(cause, ns), largest first."""
    task_ids: tuple[int, ...]
    """The latest few."""
    history: tuple[int, ...]
    """Blocked ns in each of the last 12 slices of 5 s, oldest first."""
    durations: tuple[int, ...] = ()
    """Episodes by duration; see ``bucket_floor_ns``. Trailing zeros left out."""
    details: tuple[tuple[str, int], ...] = ()
    """(file or peer, ns), largest first, a few."""
    holders: tuple[HolderUse, ...] = ()
    """Largest first, a few."""
    types: tuple[tuple[str, int], ...] = ()
    """(task type, ns), largest first, a few."""
    behind: float = -1.0
    """Ready tasks that waited in the same worker's queue, on average; -1 = unknown."""
    waiting_ns: int = 0
    """Without a CPU in these episodes: in no other figure."""
    pressed: int = 0
    """Episodes that were long only because such a wait followed a sleep."""
    lasting: int = 0
    """Episodes that have not ended: in all figures with their time so far, in the percentiles only
    where no other is."""
    lasting_ns: int = 0
    """How long the longest of them is so far, waits for a CPU included."""
    standoff: bool = False
    """It waits for a lock in a ``Standoff``."""
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
    """What its threads are called; several of one name are told apart as ``name #2``."""
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


@dataclass(frozen=True, slots=True)
class WorkerUse:
    """One worker's row: what it does now and where its time went."""

    worker: Worker
    alive: bool
    state: ThreadState | None
    split: TimeSplit
    longest_ns: int
    episodes: int
    history: tuple[int, ...]
    """Blocked ns in each of the last 12 slices of 5 s, oldest first."""
    time_ns: int = 0
    """For how long it was a worker, in the span."""
    blocked_ns: int = 0
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
    host: HostPressure = HostPressure()
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
    lasting: tuple[Episode, ...] = ()
    """Those that have not ended, or had not when the run did; the longest first."""
    standoff: Standoff | None = None
    stacks_end: str = ""
    """Where and why most incomplete stacks end: ``no unwind rule in libfoo.so``."""
    runtimes: tuple[RuntimeUse, ...] = ()
    """Those that ran, by (-share, name)."""
