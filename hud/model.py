"""The frozen values that the layers hand to each other, raw: what is known before analysis.

Imports nothing of hud; what analysis derives is in `hud.analysis.results`. A *sample* is one
decoded kernel event; a *stack* is the list of user addresses, innermost first; a *frame* is one
logical call (inlined calls expanded). All times are CLOCK_MONOTONIC nanoseconds unless a name says
otherwise.
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
    """Sleep inside a poll that is worth an event, with the stack it slept at: a long one, or the
    last of several short ones that add up."""
    POLL = 4
    """A poll that lasted at least the threshold has ended."""
    WAKE = 5
    """A thread ended a long sleep in a futex, inside a poll, by a futex call of its own."""
    START = 6
    """A thread has started another one; never in a ``Batch``, see ``Batch.starters``."""


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
    earlier sample of this poll has (below CONTEXT, CPU: the sampling period); WAKE: length of the
    sleep that it ended."""
    stack: int
    """Key in ``Recording.stacks``; 0 = none was taken. WAKE: the waker's."""
    poll_start_ns: int
    """When the poll it belongs to was first seen; 0 = not in a poll. (tid, this) names a poll."""
    task_id: int
    """Tokio's task id; 0 = none or unknown. WAKE: of the task that the waker was polling."""
    value: int
    """SLEEP: names what the kernel says of it, 0 = nothing; POLL: time runnable but not running,
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
"""Of a POLL's ``info``: it began before the attach, nobody knows when, and counts from there."""

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
    """How well a frame's ``file`` and ``line`` say where its code is."""

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
    """True = a tail call had removed it from the stack; the machine code shows it. ``address`` is
    then the jump's own, or the function's where it is not known which jump it was."""
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
    """Field 22 of /proc/PID/stat: another one = the pid was used again."""


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
    """Which runtime it belongs to where there are several."""


class TimeSplit(NamedTuple):
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
        return sum(self)

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

    @property
    def in_poll(self) -> bool:
        """Of a task or of a root future."""
        return self.poll_start_ns > 0 and self.where in (Where.POLL, Where.ROOT)


# --------------------------------------------------------------------------- tasks


@dataclass(frozen=True, slots=True)
class TaskKind:
    """One type of task, known by its vtable."""

    vtable: int
    """Its address in the target."""
    name: str
    """The future's type as people read it; empty = unknown. Several types that the linker folded
    are named ``a | b``."""
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


RESEND_NS = 30_000_000_000
"""A batch that names a stack or a task (id -> vtable) contains it too, unless an earlier one did
within this time: who takes batches may forget what it does not use, but not before."""


@dataclass(slots=True)
class Batch:
    """Everything that came from the target since the last batch. A recording is a row of these."""

    time_ns: int = 0
    samples: list[Sample] = field(default_factory=list)
    stacks: dict[int, Stack] = field(default_factory=dict)
    """New ones, known ones that have names now, and those that were last sent long ago."""
    workers: list[Worker] = field(default_factory=list)
    """New or renamed."""
    names: dict[int, str] = field(default_factory=dict)
    """tid -> name, of threads born or renamed."""
    starters: dict[int, str] = field(default_factory=dict)
    """tid -> the whole name of the thread that started it; only where ``Options.starters`` asks."""
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
    unseen_ns: int = 0
    """Of the time since the last batch: no event came through, the ring buffer was full."""
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
