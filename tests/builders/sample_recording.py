"""Build recordings for tests: single samples, and one whole run of a small service.

Import it through the fixtures of tests/unit/conftest.py: ``build`` is this module,
``sample_recording`` is ``demo_recording()``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hud.analysis.recording import Recording
from hud.analysis.results import Blocker, Snapshot, WorkerUse
from hud.analysis.slices import History
from hud.model import (
    Batch,
    Code,
    Culprit,
    Detection,
    Frame,
    HostPressure,
    Kind,
    Origin,
    PollStats,
    Rung,
    RunInfo,
    Sample,
    SampleFlag,
    Stack,
    Target,
    TaskCount,
    TaskKind,
    TasksRead,
    ThreadState,
    TimeSplit,
    Where,
    Worker,
)

MS = 1_000_000
SECOND = 1_000_000_000
START_NS = 5_000 * SECOND
PERIOD_NS = 10 * MS
THRESHOLD_NS = 5 * MS
PID = 22967
TIDS = (22969, 22971, 22972, 22973)
STRESS = Culprit(tid=9001, pid=9000, name="stress-ng")
POOL_TID = 22980

FUTEX, FSYNC, CLOCK_NANOSLEEP, READ, POLL_CALL = 202, 74, 230, 0, 7


def info(**changes: object) -> RunInfo:
    values: dict[str, object] = {
        "target": Target(pid=PID, name="demo-server", executable="/srv/bin/demo-server"),
        "detection": Detection(Rung.CONTEXT, "tokio 1.54.1: CONTEXT at tls-0x1a8", ("1.54.1",)),
        "threshold_ns": THRESHOLD_NS,
        "start_monotonic_ns": START_NS,
        "start_unix_ns": 1_800_000_000 * SECOND,
        "sample_period_ns": PERIOD_NS,
        "kernel": "6.18.0 x86_64",
        "hud_version": "0.1.0",
    }
    values.update(changes)
    return RunInfo(**values)  # type: ignore[arg-type]


# --------------------------------------------------------------------------- samples


def poll(
    tid: int,
    start_ns: int,
    duration_ns: int,
    *,
    asleep_ns: int = 0,
    waiting_ns: int = 0,
    task_id: int = 7,
    begin_us: int = 0,
    end_us: int = 0,
    flags: int = 0,
) -> Sample:
    return Sample(
        time_ns=start_ns + duration_ns,
        duration_ns=duration_ns,
        stack=asleep_ns,
        poll_start_ns=start_ns,
        task_id=task_id,
        value=waiting_ns,
        tid=tid,
        other=end_us,
        info=begin_us,
        kind=Kind.POLL,
        where=Where.POLL,
        flags=flags,
    )


def cpu(tid: int, time_ns: int, stack: int, poll_start_ns: int = 0) -> Sample:
    where = Where.POLL if poll_start_ns else Where.UNKNOWN
    return Sample(time_ns, PERIOD_NS, stack, poll_start_ns, 0, 0, tid, 0, 0, Kind.CPU, where, 0)


def asleep(
    tid: int, end_ns: int, duration_ns: int, stack: int, poll_start_ns: int, call: int
) -> Sample:
    return Sample(
        end_ns, duration_ns, stack, poll_start_ns, 0, 0, tid, 0, call, Kind.SLEEP, Where.POLL, 0
    )


def wake(
    tid: int, end_ns: int, slept_ns: int, poll_start_ns: int, waker: int, sleeper_stack: int
) -> Sample:
    """``tid`` was woken from a futex."""
    return Sample(
        time_ns=end_ns,
        duration_ns=slept_ns,
        stack=0,
        poll_start_ns=poll_start_ns,
        task_id=0,
        value=sleeper_stack,
        tid=tid,
        other=waker,
        info=0,
        kind=Kind.WAKE,
        where=Where.FOREIGN,
        flags=0,
    )


def latency(
    tid: int, end_ns: int, duration_ns: int, culprit_tid: int = 0, stack: int = 0
) -> Sample:
    return Sample(
        time_ns=end_ns,
        duration_ns=duration_ns,
        stack=stack,
        poll_start_ns=0,
        task_id=0,
        value=0,
        tid=tid,
        other=culprit_tid,
        info=0,
        kind=Kind.LATENCY,
        where=Where.RUNTIME,
        flags=SampleFlag.PREEMPTED,
    )


def state(
    tid: int,
    *,
    where: Where = Where.RUNTIME,
    running: bool = False,
    runnable: bool = False,
    since_ns: int = START_NS,
    poll_start_ns: int = 0,
    task_id: int = 0,
    split: TimeSplit | None = None,
    asleep_stack: int = 0,
    syscall: int = -1,
) -> ThreadState:
    return ThreadState(
        tid=tid,
        where=where,
        running=running,
        runnable=runnable,
        since_ns=since_ns,
        poll_start_ns=poll_start_ns,
        task_id=task_id,
        split=split or TimeSplit(),
        asleep_stack=asleep_stack,
        syscall=syscall,
    )


# --------------------------------------------------------------------------- stacks

_CRATES = "/home/me/.cargo/registry/src/index-0/"


def user(function: str, file: str = "", line: int = 0, address: int = 0x5500) -> Frame:
    full = f"/home/me/demo-server/{file}" if file else ""
    return Frame(
        address, function, file=full, line=line, origin=Origin.USER, crate=function.split(":")[0]
    )


def dependency(function: str, crate: str, line: int = 10) -> Frame:
    name, _, version = crate.partition(" ")
    file = f"{_CRATES}{name}-{version}/src/lib.rs"
    return Frame(0x5600, function, file=file, line=line, origin=Origin.DEPENDENCY, crate=crate)


def std(function: str) -> Frame:
    return Frame(
        0x5700, function, file="/rustc/0/library/std/src/lib.rs", line=1, origin=Origin.STD
    )


def kernel(function: str) -> Frame:
    return Frame(0, function, function, module="[kernel]", origin=Origin.KERNEL)


def c(function: str) -> Frame:
    module = "/usr/lib/x86_64-linux-gnu/libc.so.6"
    return Frame(0x7F00, function, module=module, offset=0x1000, origin=Origin.C)


def unnamed(module: str = "/srv/bin/demo-server", offset: int = 0x1234) -> Frame:
    return Frame(0x5500 + offset, module=module, offset=offset)


OUTER = (
    Frame(0x5800, "tokio::runtime::task::raw::poll", origin=Origin.RUNTIME, crate="tokio 1.54.1"),
    Frame(
        0x5801,
        "tokio::runtime::scheduler::multi_thread::worker::run",
        origin=Origin.RUNTIME,
        crate="tokio 1.54.1",
    ),
    std("std::sys::thread::unix::Thread::new::thread_start"),
    c("start_thread"),
)
"""What lies outside every task of a worker."""


def stack(*inner: Frame, complete: bool = True, outer: tuple[Frame, ...] = OUTER) -> Stack:
    frames = inner + (outer if complete else ())
    return Stack(
        addresses=tuple(frame.address for frame in frames),
        complete=complete,
        stop="" if complete else "no unwind rule",
        frames=frames,
    )


HASH, HASH_DEEPER, SAVE, CACHE, RESOLVE, READ_CONFIG, NAP = 0xA1, 0xA2, 0xB1, 0xC1, 0xD1, 0xE1, 0xF1

HASH_ADDRESS = 0x5588
"""Of the call that hashes: its code is in ``demo_batch``."""

_LOGIN = user("api::login::{async fn}", "src/login.rs", 71)
_HASH = user("api::login::hash_password", "src/login.rs", 88, HASH_ADDRESS)
STACKS: dict[int, Stack] = {
    HASH: stack(
        dependency("blowfish::Blowfish::encrypt", "blowfish 0.9.1"),
        dependency("bcrypt::bcrypt::bcrypt", "bcrypt 0.17.1"),
        dependency("bcrypt::hash", "bcrypt 0.17.1"),
        _HASH,
        _LOGIN,
    ),
    HASH_DEEPER: stack(
        dependency("blowfish::Blowfish::round_function", "blowfish 0.9.1"),
        dependency("blowfish::Blowfish::encrypt", "blowfish 0.9.1"),
        dependency("bcrypt::bcrypt::bcrypt", "bcrypt 0.17.1"),
        dependency("bcrypt::hash", "bcrypt 0.17.1"),
        _HASH,
        _LOGIN,
    ),
    SAVE: stack(
        c("fsync"),
        std("std::fs::File::sync_all"),
        user("store::Index::save", "src/store.rs", 143),
        user("store::{async fn}", "src/store.rs", 60),
    ),
    CACHE: stack(
        c("syscall"),
        std("std::sys::sync::mutex::futex::Mutex::lock_contended"),
        std("std::sync::poison::mutex::Mutex<T>::lock"),
        user("cache::get", "src/cache.rs", 51),
    ),
    RESOLVE: stack(
        c("__poll"),
        c("getaddrinfo"),
        std("<str as std::net::ToSocketAddrs>::to_socket_addrs"),
        user("resolve_peer", "src/net.rs", 17),
        complete=False,
    ),
    READ_CONFIG: stack(
        c("read"),
        std("std::fs::read"),
        user("api::config::{async fn}", "src/config.rs", 9),
    ),
    NAP: stack(
        c("clock_nanosleep"),
        std("std::thread::sleep"),
        user("api::retry::{async fn}", "src/retry.rs", 33),
    ),
}


# --------------------------------------------------------------------------- what is derived


def as_shown(snapshot: Snapshot) -> Snapshot:
    """With the histories as they are shown: the same may be kept in other slices."""
    shown = snapshot.slices

    def seen(of: Blocker | WorkerUse) -> History:
        return History(shown.length_ns, shown.numbers.start, snapshot.history(of))

    blockers = tuple(replace(one, history=seen(one)) for one in snapshot.blockers)
    workers = tuple(use._replace(history=seen(use)) for use in snapshot.workers)
    return replace(snapshot, blockers=blockers, workers=workers)


# --------------------------------------------------------------------------- a whole run


def empty_recording(**changes: object) -> Recording:
    """Four workers, the stacks of ``STACKS``, no samples."""
    recording = Recording(info(**changes))
    for number, tid in enumerate(TIDS):
        recording.add_worker(Worker(number, tid, "tokio-rt-worker"))
    recording.add_culprit(STRESS)
    for key, one in STACKS.items():
        recording.add_stack(key, one)
    return recording


def _computing(tid: int, start: int, length: int, task: int) -> list[Sample]:
    ticks = range(start + PERIOD_NS, start + length, PERIOD_NS)
    stacks = (HASH, HASH_DEEPER)
    found = [cpu(tid, at, stacks[number % 2], start) for number, at in enumerate(ticks)]
    return [*found, poll(tid, start, length, task_id=task, end_us=20)]


def _sleeping(tid: int, start: int, length: int, key: int, call: int, task: int) -> list[Sample]:
    end = start + length
    slept = length - MS // 2
    return [
        asleep(tid, end - MS // 4, slept, key, start, call),
        poll(tid, start, length, asleep_ns=slept, task_id=task),
    ]


def demo_samples(seconds: int = 30) -> list[Sample]:
    """What four workers do, in the order of time: six blockers, and pressure from stress-ng."""
    samples: list[Sample] = []
    task = 100
    for second in range(seconds):
        base = START_NS + second * SECOND
        for number, tid in enumerate(TIDS):
            for turn in range(2):
                task += 1
                length = (66 + (second * 7 + number * 5 + turn * 3) % 27) * MS
                samples += _computing(tid, base + (number * 20 + turn * 400) * MS, length, task)
        samples += _sleeping(
            TIDS[second % 4], base + 200 * MS, (90 + 37 * (second % 7)) * MS, SAVE, FSYNC, 20
        )
        for turn in range(3):
            tid = TIDS[(second + turn) % 4]
            length = (20 + 8 * ((second + turn) % 6)) * MS
            samples += _sleeping(
                tid, base + (610 + turn * 70) * MS, length, CACHE, FUTEX, 30 + turn
            )
        if second % 5 == 1:
            samples += _sleeping(TIDS[1], base + 820 * MS, 150 * MS, RESOLVE, POLL_CALL, 40)
        if second % 3 == 0:
            samples += _sleeping(TIDS[2], base + 830 * MS, 12 * MS, READ_CONFIG, READ, 50)
        if second % 10 == 4:
            samples += _sleeping(TIDS[3], base + 850 * MS, 100 * MS, NAP, CLOCK_NANOSLEEP, 60)
        if second % 4 == 0:
            samples.append(latency(TIDS[0], base + 990 * MS, 8 * MS, STRESS.tid))
        if second % 10 == 7:
            start = base + 960 * MS
            samples.append(poll(TIDS[3], start, 9 * MS, waiting_ns=8 * MS, task_id=70))
    samples.sort(key=lambda sample: (sample.time_ns, sample.kind, sample.tid))
    return samples


def demo_states(
    samples: list[Sample], now_ns: int, tids: Sequence[int] = TIDS
) -> list[ThreadState]:
    """The time splits that go with ``samples``; every worker is parked now. The last one is a
    thread of the blocking pool.
    """
    states = []
    for tid in tids:
        polls = [one for one in samples if one.tid == tid and one.kind == Kind.POLL]
        length = sum(one.duration_ns for one in polls)
        slept = sum(one.stack for one in polls)
        inside = sum(one.value for one in polls)
        outside = sum(
            one.duration_ns for one in samples if one.tid == tid and one.kind == Kind.LATENCY
        )
        split = TimeSplit(
            poll_cpu_ns=length - slept - inside,
            poll_asleep_ns=slept,
            waiting_ns=inside + outside,
            parked_ns=now_ns - START_NS - length - outside,
        )
        states.append(state(tid, since_ns=now_ns - 3 * MS, split=split))
    pool = TimeSplit(allowed_ns=(now_ns - START_NS) // 3, parked_ns=(now_ns - START_NS) * 2 // 3)
    states.append(state(POOL_TID, where=Where.ALLOWED, split=pool))
    return states


LOGIN_TASK, STORE_TASK, CACHE_TASK, OTHER_TASK = 0x9100, 0x9200, 0x9300, 0x9400
"""Vtables."""


def demo_batch(samples: list[Sample], now_ns: int) -> Batch:
    """What else is told of the run: files, tasks, exact polls, code, pressure of the host."""
    kinds = [
        TaskKind(LOGIN_TASK, "api::login::{async fn}", "src/main.rs:40"),
        TaskKind(STORE_TASK, "store::{async fn}", "src/store.rs:55"),
        TaskKind(CACHE_TASK, "cache::refresh::{async fn}", "src/cache.rs:12"),
        TaskKind(OTHER_TASK, "hyper::server::conn::Connection", inferred=True),
    ]
    return Batch(
        time_ns=now_ns,
        details={
            (one.tid, one.time_ns): _ABOUT[one.info]
            for one in samples
            if one.kind == Kind.SLEEP and one.info in _ABOUT
        },
        tasks=TasksRead(
            time_ns=now_ns,
            counts=(
                TaskCount(LOGIN_TASK, 31, 4, 2, 0),
                TaskCount(STORE_TASK, 3, 0, 0, 0),
                TaskCount(CACHE_TASK, 11, 1, 0, 2),
                TaskCount(OTHER_TASK, 204, 0, 1, 0),
            ),
            whole=True,
            injected=3,
            queued=((TIDS[0], 2), (TIDS[1], 0), (TIDS[2], 5), (TIDS[3], 1)),
            pool_threads=9,
            pool_idle=6,
            pool_queue=0,
        ),
        task_kinds=kinds,
        task_ids={
            one.task_id: _KINDS.get(one.task_id, LOGIN_TASK) for one in samples if one.task_id
        },
        polls=[
            PollStats(LOGIN_TASK, 24_300, 19_400 * MS, 92 * MS, _buckets(20_000, 4_060, 240)),
            PollStats(STORE_TASK, 930, 5_900 * MS, 312 * MS, _buckets(700, 200, 30)),
            PollStats(CACHE_TASK, 45_000, 3_700 * MS, 60 * MS, _buckets(44_000, 910, 90)),
            PollStats(OTHER_TASK, 1_204_000, 800 * MS, 3 * MS, _buckets(1_200_000, 4_000, 0)),
        ],
        exact="every poll",
        host=HostPressure(1_300 * MS, 26, 240 * MS, "2 CPUs in /system.slice/demo.service"),
        code=[
            Code(
                HASH_ADDRESS,
                source=tuple(enumerate(_SOURCE, start=84)),
                source_file="/home/me/demo-server/src/login.rs",
                line=88,
                instructions=_INSTRUCTIONS,
                at=0x1A588,
            )
        ],
    )


_ABOUT = {FSYNC: "/data/index", READ: "/etc/demo/config.toml", POLL_CALL: "10.0.0.2:53"}
_KINDS = {20: STORE_TASK, 30: CACHE_TASK, 31: CACHE_TASK, 32: CACHE_TASK, 70: OTHER_TASK}
_SOURCE = (
    "async fn login(form: Form<Login>) -> Result<Token, Error> {",
    "    let user = users::find(&form.name).await?;",
    "    // constant time, whoever asks",
    "    let cost = CONFIG.cost;",
    "    let hash = bcrypt::hash(&form.password, cost)?;",
    "    if hash != user.hash {",
    "        return Err(Error::Denied);",
    "    }",
)
_INSTRUCTIONS = (
    (0x1A578, "mov rdi, rsp", ""),
    (0x1A57C, "mov rsi, qword ptr [rbx + 0x18]", ""),
    (0x1A580, "mov edx, 0xc", ""),
    (0x1A583, "call 0x3f2a0", "bcrypt::hash"),
    (0x1A588, "test al, 1", ""),
    (0x1A58A, "jne 0x1a620", ""),
)


def _buckets(short: int, middle: int, long: int) -> tuple[int, ...]:
    """Around 16 us, 500 us, and from 60 ms on."""
    buckets = [0] * 108
    for at, number in ((56, short), (76, middle), (104, long)):
        for near, part in ((0, 4), (1, 3), (2, 2), (3, 1)):
            buckets[at + near] = number * part // 10
    return tuple(buckets)


def demo_recording(
    seconds: int = 30, *, finished: bool = True, rich: bool = False, **changes: object
) -> Recording:
    """A run of a small service, 30 s; ``rich`` = with ``demo_batch``, ``changes`` go into its
    RunInfo.
    """
    recording = empty_recording(**changes)
    samples = demo_samples(seconds)
    now = START_NS + seconds * SECOND
    recording.add_samples(samples)
    recording.set_states(demo_states(samples, now), now)
    if rich:
        recording.take(demo_batch(samples, now))
    recording.set_cost(cpu_ns=seconds * 4 * MS, rss_bytes=48 << 20)
    if finished:
        recording.finish(now, "duration reached")
    return recording
