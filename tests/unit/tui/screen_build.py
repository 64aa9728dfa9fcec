"""Constructed snapshots: a demo server as a run would show it, and variations of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hud.analysis.cause import Cause
from hud.analysis.results import (
    Blocker,
    Case,
    Episode,
    Graph,
    Holder,
    HolderUse,
    Method,
    Pressure,
    RuntimeUse,
    Snapshot,
    TaskUse,
    WorkerUse,
)
from hud.analysis.shares import Shares
from hud.analysis.slices import NO_HISTORY, History, Shown
from hud.model import (
    Code,
    Detection,
    Frame,
    HostPressure,
    Losses,
    Origin,
    PollStats,
    Rung,
    RunInfo,
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
S = 1_000_000_000
START = 5_000 * S
ELAPSED = 134 * S
SLICE_NS = 12 * S
NOW = START + ELAPSED

CLOCK_START = Frame(0x10, "clone3", module="/usr/lib/libc.so.6", offset=0x10, origin=Origin.C)


def frame(function: str, origin: Origin, crate: str = "", file: str = "", line: int = 0) -> Frame:
    return Frame(0x1000 + line, function, file=file, line=line, origin=origin, crate=crate)


def poll_stack(*inner: Frame, complete: bool = True, stop: str = "") -> Stack:
    outer = (
        frame("tokio::runtime::task::harness::poll_future", Origin.RUNTIME, "tokio 1.54.1"),
        frame("std::panicking::try", Origin.STD, "std"),
        frame("tokio::runtime::task::raw::poll", Origin.RUNTIME, "tokio 1.54.1"),
        frame(
            "tokio::runtime::scheduler::multi_thread::worker::run", Origin.RUNTIME, "tokio 1.54.1"
        ),
        frame("start_thread", Origin.C),
        CLOCK_START,
    )
    frames = (*inner, *outer)
    return Stack(tuple(f.address for f in frames), complete, stop, frames)


HASH_STACK = poll_stack(
    frame("blowfish::Blowfish::encrypt", Origin.DEPENDENCY, "blowfish 0.9.1"),
    replace(frame("blowfish::bc_encrypt", Origin.DEPENDENCY, "blowfish 0.9.1"), inlined=True),
    frame("bcrypt::bcrypt::bcrypt", Origin.DEPENDENCY, "bcrypt 0.17.1"),
    frame("bcrypt::hash", Origin.DEPENDENCY, "bcrypt 0.17.1"),
    frame("api::login::hash_password", Origin.USER, "api", "/home/u/api/src/login.rs", 88),
    frame("api::login::{async fn}", Origin.USER, "api", "/home/u/api/src/login.rs", 71),
)
OTHER_HASH_STACK = poll_stack(
    frame("bcrypt::hash", Origin.DEPENDENCY, "bcrypt 0.17.1"),
    frame("api::login::hash_password", Origin.USER, "api", "/home/u/api/src/login.rs", 88),
    replace(
        frame("api::admin::reset", Origin.USER, "api", "/home/u/api/src/admin.rs", 12),
        inlined=True,
        inferred=True,
    ),
    complete=False,
    stop="no unwind rule",
)
SAVE_STACK = poll_stack(
    Frame(0x77, "", module="/usr/lib/libc.so.6", offset=0x11BA2A, origin=Origin.C),
    frame("std::fs::File::sync_all", Origin.STD, "std"),
    frame("store::Index::save", Origin.USER, "store", "/home/u/store/src/store.rs", 143),
)


def _heaviest(made: Blocker) -> int:
    return made.stacks[0][0] if made.stacks else 0


def _history(*values: int) -> History:
    """From the start of the run on."""
    return History(SLICE_NS, 0, values)


def blocker(function: str, where: str, cause: Cause, total_ns: int, **changes: Any) -> Blocker:
    """What is not given is as if all its episodes were equally long."""
    file, _, line = where.partition(":")
    longest = changes.get("max_ns", total_ns // max(changes.get("count", 1), 1))
    typical = min(total_ns // max(changes.get("count", 1), 1), longest)
    made = Blocker(
        function=function,
        where=where,
        file=file,
        line=int(line) if line.isdecimal() else 0,
        origin=Origin.USER,
        inferred=False,
        operation="",
        cause=cause,
        count=1,
        total_ns=total_ns,
        max_ns=longest,
        p50_ns=typical,
        p99_ns=longest,
        workers=((0, total_ns),),
        stacks=(),
        causes=((cause, total_ns),),
        task_ids=(17,),
        history=_history(0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0),
    )
    made = replace(made, on_cpu_ns=total_ns if cause is Cause.CPU else 0)
    made = replace(made, **changes)
    return replace(
        made,
        key=(made.function, "" if "::" in made.function else made.file, ""),
        cases=tuple(Case(one, made.operation, ns, _heaviest(made)) for one, ns in made.causes),
    )


HASH = blocker(
    "api::login::hash_password",
    "src/login.rs:88",
    Cause.CPU,
    14_200 * MS,
    operation="bcrypt::hash",
    count=214,
    max_ns=92 * MS,
    p50_ns=66 * MS,
    p99_ns=88 * MS,
    workers=((0, 3_976 * MS), (2, 3_550 * MS), (1, 3_408 * MS), (3, 3_266 * MS)),
    stacks=((1, 12_000 * MS), (2, 2_200 * MS)),
    causes=((Cause.CPU, 13_900 * MS), (Cause.WAITING, 300 * MS)),
    history=_history(0, 2, 3, 9, 9, 8, 3, 2, 1, 0, 0, 5),
)
SAVE = blocker(
    "store::Index::save",
    "src/store.rs:143",
    Cause.SYNC,
    4_100 * MS,
    operation="std::fs::File::sync_all",
    count=31,
    max_ns=310 * MS,
    p99_ns=280 * MS,
    stacks=((3, 4_100 * MS),),
)
GET = blocker(
    "cache::get",
    "src/cache.rs:51",
    Cause.LOCK,
    3_000 * MS,
    operation="std::sync::Mutex::lock",
    count=96,
    max_ns=71 * MS,
    p99_ns=66 * MS,
    history=_history(1, 1, 2, 1, 1, 1, 3, 1, 1, 1, 1, 1),
)
RESOLVE = blocker(
    "net::resolve_peer",
    "src/net.rs:17",
    Cause.DNS,
    900 * MS,
    count=6,
    max_ns=240 * MS,
    p99_ns=240 * MS,
)
SLOW_NAMES = blocker(
    "analytics::pipeline::aggregate::<core::iter::Map<_, _>>::collect_into_buckets",
    "src/analytics/pipeline/aggregate.rs:1204",
    Cause.CPU,
    310 * MS,
    count=2,
    inferred=True,
    max_ns=200 * MS,
)
BLOCKERS = (HASH, SAVE, GET, RESOLVE, SLOW_NAMES)

SPLIT = TimeSplit(
    poll_cpu_ns=41 * S, poll_asleep_ns=3 * S, waiting_ns=S, parked_ns=88 * S, runtime_ns=S
)


def worker(
    number: int, where: Where, poll_ns: int = 0, running: bool = False, stack: int = 0
) -> WorkerUse:
    tid = 22969 + number
    state = ThreadState(
        tid=tid,
        where=where,
        running=running,
        runnable=running,
        since_ns=NOW - MS,
        poll_start_ns=NOW - poll_ns if poll_ns else 0,
        task_id=0,
        split=SPLIT,
        asleep_stack=stack,
    )
    return WorkerUse(
        worker=Worker(number, tid, f"demo-worker-{number}"),
        alive=True,
        state=state,
        split=SPLIT,
        longest_ns=(92 + number) * MS,
        episodes=80,
        history=HASH.history,
        time_ns=ELAPSED,
        blocked_ns=(19 - number) * S,
        causes=((Cause.CPU, 14 * S), (Cause.SYNC, (5 - number) * S)),
    )


SHARES = Shares({"": 4 * ELAPSED}, {})
"""Of what the blockers' shares are."""

WORKERS = (
    worker(0, Where.POLL, 3_200_000, running=True),
    worker(1, Where.RUNTIME),
    worker(2, Where.RUNTIME, running=True),
    worker(3, Where.ALLOWED, running=True),
)
STUCK = (*WORKERS[:2], worker(2, Where.POLL, 4_200 * MS, stack=3), WORKERS[3])

INFO = RunInfo(
    target=Target(22967, "demo-server", "/srv/demo-server"),
    detection=Detection(Rung.CONTEXT, "tokio 1.54.1: CONTEXT at tls-0x1a8", ("1.54.1",)),
    threshold_ns=5 * MS,
    start_monotonic_ns=START,
    start_unix_ns=1_700_000_000 * S,
    sample_period_ns=4 * MS,
)


def lasting(uses: tuple[WorkerUse, ...], threshold_ns: int) -> tuple[Episode, ...]:
    """The polls that these workers are in, as far as they have lasted for the threshold."""
    found = []
    for use in uses:
        state = use.state
        if state is None or not use.alive or state.where not in (Where.POLL, Where.ROOT):
            continue
        length = NOW - state.poll_start_ns if state.poll_start_ns else 0
        if length >= threshold_ns:
            asleep = 0 if state.running else length
            found.append(
                Episode(
                    worker_id=use.worker.worker_id,
                    tid=use.worker.tid,
                    start_ns=state.poll_start_ns,
                    duration_ns=length,
                    on_cpu_ns=length - asleep,
                    asleep_ns=asleep,
                    waiting_ns=0,
                    method=Method.POLL,
                    cause=Cause.SYNC if state.asleep_stack else Cause.CPU,
                    stack=state.asleep_stack or (1 if state.running else 0),
                    in_progress=True,
                    began_before=state.began_before,
                )
            )
    return tuple(sorted(found, key=lambda one: -one.duration_ns))


def snapshot(**changes: Any) -> Snapshot:
    """The demo server after 2 min 14 s."""
    uses = changes.get("workers", WORKERS)
    found = lasting(uses, changes.get("info", INFO).threshold_ns)
    doing = {one.tid: one for one in found}
    changes["workers"] = tuple(use._replace(doing=doing.get(use.worker.tid)) for use in uses)
    changes.setdefault("lasting", found)
    made = Snapshot(
        info=INFO,
        now_ns=NOW,
        elapsed_ns=ELAPSED,
        span_ns=ELAPSED,
        live=True,
        ended="",
        blockers=BLOCKERS,
        workers=WORKERS,
        pressure=(),
        latencies=3,
        latency_total_ns=40 * MS,
        latency_max_ns=21 * MS,
        episodes=349,
        blocked_ns=sum(b.total_ns for b in BLOCKERS),
        worker_time_ns=4 * ELAPSED // 8,
        waiting_ns=S,
        allowed_ns=12 * S,
        longest_poll_ns=310 * MS,
        losses=Losses(),
        stacks_total=349,
        stacks_complete=348,
        frames_named=0.97,
        hud_cpu_ns=ELAPSED // 250,
        hud_rss_bytes=60 << 20,
        stacks={1: HASH_STACK, 2: OTHER_HASH_STACK, 3: SAVE_STACK},
        slices=Shown(SLICE_NS, range(12)),
        shares=SHARES,
    )
    made = replace(made, **changes)
    return made if made.runtimes or not made.workers else replace(made, runtimes=(runtime(made),))


def runtime(of: Snapshot) -> RuntimeUse:
    """The only one."""
    return RuntimeUse(
        name="demo-worker",
        workers=len(of.workers),
        time_ns=of.worker_time_ns,
        blocked_ns=of.blocked_ns,
        waiting_ns=of.waiting_ns,
        episodes=of.episodes,
    )


QUIET: dict[str, Any] = {
    "blockers": (),
    "episodes": 0,
    "blocked_ns": 0,
    "longest_poll_ns": 3_100_000,
}


def on_rung(rung: Rung, reason: str, **changes: Any) -> Snapshot:
    """The demo server seen through another rung of the ladder."""
    info = replace(INFO, detection=Detection(rung, reason, ("1.54.1",)))
    return snapshot(info=info, **changes)


def many(number: int) -> Snapshot:
    """A snapshot of ``number`` blockers, sorted as analysis sorts them."""
    blockers = tuple(
        blocker(
            f"service::module_{at % 97}::function_{at}",
            f"src/module_{at % 97}.rs:{at}",
            list(Cause)[at % 11],
            (number - at) * MS,
            count=at + 1,
            stacks=((1, 5),),
        )
        for at in range(number)
    )
    return snapshot(blockers=blockers, blocked_ns=sum(b.total_ns for b in blockers))


# --------------------------------------------------------------------------- everything known


def histogram(**numbers: int) -> tuple[int, ...]:
    """``b100=3``: three in bucket 100."""
    made = {int(name[1:]): number for name, number in numbers.items()}
    return tuple(made.get(at, 0) for at in range(max(made) + 1))


LOGIN = "api::login::{async fn}"
RICH_BLOCKERS = (
    replace(
        HASH,
        file="/home/u/api/src/login.rs",
        durations=histogram(b102=12, b103=80, b104=100, b105=22),
        types=((LOGIN, 13_000 * MS), ("api::admin::{async fn}", 1_200 * MS)),
        behind=11.6,
    ),
    replace(
        SAVE,
        file="/home/u/store/src/store.rs",
        durations=histogram(b105=6, b108=10, b112=15),
        details=(("/data/index", 3_000 * MS), ("/data/index.\x1b[2Jtmp", 1_100 * MS)),
        types=(("store::{async fn}", 4_100 * MS),),
    ),
    replace(
        GET,
        file="/home/u/cache/src/cache.rs",
        durations=histogram(b98=30, b100=60, b104=6),
        stacks=((4, 3_000 * MS),),
        cases=(Case(GET.cause, GET.operation, GET.total_ns, 4),),
        holders=(
            HolderUse("cache::refresh", "src/cache.rs:88", "worker", 5, 2_000 * MS),
            HolderUse("", "", "pool thread", 0, 1_000 * MS),
        ),
    ),
    RESOLVE,
    SLOW_NAMES,
)
GET_STACK = poll_stack(
    frame("std::sync::Mutex<T>::lock", Origin.STD, "std"),
    frame("cache::get", Origin.USER, "cache", "/home/u/cache/src/cache.rs", 51),
)
REFRESH_STACK = poll_stack(
    frame("cache::refresh", Origin.USER, "cache", "/home/u/cache/src/cache.rs", 88),
    frame(
        "cache::refresh_loop::{async fn}", Origin.USER, "cache", "/home/u/cache/src/cache.rs", 80
    ),
)
CODE = Code(
    address=0x1000 + 88,
    source=(
        (86, "    let cost = CONFIG.cost;"),
        (87, ""),
        (88, "\tlet hash = bcrypt::hash(p, cost)?;"),
    ),
    source_file="/home/u/api/src/login.rs",
    line=88,
    instructions=((0x1A583, "call 0x3f2a0", "bcrypt::hash"), (0x1A588, "test al, 1", "")),
    at=0x1A588,
)


def task(number: int, name: str, blocked_ns: int, stuck: int = 0, polls: bool = True) -> TaskUse:
    return TaskUse(
        kind=TaskKind(number, name, f"src/main.rs:{number}", inferred=name == "hyper::Connection"),
        count=TaskCount(number, 30 + number, 4, 2, stuck),
        polls=PollStats(
            number, 24_300 * number, 9 * S, 92 * MS, histogram(b56=9000, b80=90, b104=9)
        )
        if polls
        else None,
        episodes=blocked_ns // (60 * MS),
        blocked_ns=blocked_ns,
        max_ns=92 * MS if blocked_ns else 0,
        task_ids=(17, 23),
    )


TASKS = (
    task(1, LOGIN, 13_000 * MS),
    task(2, "store::{async fn}", 4_100 * MS),
    task(3, "cache::refresh_loop::{async fn}", 0, stuck=2),
    task(4, "hyper::Connection", 0),
)
TASKS_READ = TasksRead(
    time_ns=NOW,
    counts=(),
    whole=False,
    injected=3,
    queued=((22969, 2), (22970, 5)),
    pool_threads=9,
    pool_idle=6,
    pool_queue=4,
)


def episode(number: int, worker: int, ago_ns: int, **changes: Any) -> Episode:
    """One of HASH, SAVE or GET in turn."""
    stack, cause, longest = ((1, Cause.CPU, 92), (3, Cause.SYNC, 310), (4, Cause.LOCK, 71))[
        number % 3
    ]
    length = min(66 + 40 * (number % 5), longest) * MS
    made = Episode(
        worker_id=worker,
        tid=22969 + worker,
        start_ns=NOW - ago_ns,
        duration_ns=length,
        on_cpu_ns=length if cause is Cause.CPU else MS,
        asleep_ns=0 if cause is Cause.CPU else length - MS,
        waiting_ns=0,
        method=Method.POLL,
        cause=cause,
        stack=stack,
        task_id=17 + number,
    )
    return replace(made, **changes)


TIMELINE = (
    *(episode(n, n % 4, (70_000 - 230 * n) * MS) for n in range(300)),
    episode(
        2,
        1,
        300 * MS,
        holder=Holder(22990, "tokio-rt-worker", "pool thread", 5, 9),
        evidence="woken by tid 22990, which had just unlocked",
        end_uncertainty_ns=20_000,
        in_progress=True,
    ),
    episode(1, 2, 200 * MS, detail="/data/index"),
)
PRESSURE = (
    Pressure("stress-ng", 9000, False, 40, 640 * MS, 21 * MS),
    Pressure("tokio-rt-worker", 22967, True, 12, 90 * MS, 9 * MS),
    Pressure("", 0, False, 2, 10 * MS, 6 * MS),
)
RICH: dict[str, Any] = {
    "blockers": RICH_BLOCKERS,
    "stacks": {1: HASH_STACK, 2: OTHER_HASH_STACK, 3: SAVE_STACK, 4: GET_STACK, 5: REFRESH_STACK},
    "tasks": TASKS,
    "tasks_read": TASKS_READ,
    "host": HostPressure(1_300 * MS, 26, 240 * MS, "2 CPUs in /system.slice/demo.service"),
    "exact": "every poll",
    "code": {CODE.address: CODE},
    "timeline": TIMELINE,
    "pressure": PRESSURE,
    "latencies": 54,
    "latency_total_ns": 740 * MS,
}
"""All that other parts of hud can find out."""


def graph(number: int = 160) -> Graph:
    """A run of 8 s whose load goes up and down, in slices of 50 ms."""
    causes = (Cause.CPU, Cause.SLEEP, Cause.LOCK, Cause.FILE)
    numbers = range(number)
    rows = [
        (cause, tuple((at * 37 % 41) * MS * (causes[at // 7 % 4] is cause) for at in numbers))
        for cause in causes
    ]
    rows.append((Cause.DNS, tuple((at * 13 % 7) * MS for at in numbers)))
    return Graph(NOW - number * 50 * MS, 50 * MS, number, tuple(sorted(rows)), NOW, 4.0)


def service(blockers: int, workers: int) -> Snapshot:
    """All that the overview shows, of so many blockers and workers."""
    rows = many(blockers).blockers if blockers > len(RICH_BLOCKERS) else RICH_BLOCKERS[:blockers]
    uses = []
    for at in range(workers):
        one = worker(at, Where.POLL, 17 * MS, True, 1) if at == 1 else worker(at, Where.RUNTIME)
        share = max(40 - 3 * at, 0) if workers > 4 else 12 + at
        parts = ((Cause.CPU, share * 7 * S // 10), (Cause.LOCK, share * 3 * S // 10))
        split = SPLIT._replace(waiting_ns=(at % 5) * S)
        uses.append(
            one._replace(
                time_ns=100 * S,
                blocked_ns=share * S,
                causes=parts if share else (),
                split=split,
            )
        )
    blocked_ns = sum(use.blocked_ns for use in uses)
    waiting_ns = sum(use.split.waiting_ns for use in uses)
    return snapshot(
        **{
            **RICH,
            "blockers": rows,
            "graph": graph(),
            "workers": tuple(uses),
            "worker_time_ns": workers * 100 * S,
            "blocked_ns": blocked_ns,
            "waiting_ns": waiting_ns,
        }
    )


# --------------------------------------------------------------------------- many of everything


def idle_worker(number: int) -> WorkerUse:
    """One that slept all the time."""
    use = worker(number, Where.RUNTIME)
    asleep = TimeSplit(parked_ns=ELAPSED)
    nothing: dict[str, Any] = {"longest_ns": 0, "episodes": 0, "blocked_ns": 0, "causes": ()}
    return use._replace(split=asleep, history=NO_HISTORY, **nothing)


def busy_worker(number: int, rank: int) -> WorkerUse:
    """One that was blocked the less the higher its rank; the last ones never."""
    blocked_ns = max(70 - rank * rank // 4, 0) * S // 2
    split = SPLIT._replace(poll_cpu_ns=blocked_ns + 2 * S, poll_asleep_ns=0)
    split = split._replace(parked_ns=ELAPSED - split.poll_cpu_ns - split.waiting_ns)
    cause = list(Cause)[rank % 5]
    return worker(number, Where.RUNTIME)._replace(
        split=split,
        longest_ns=(400 - 5 * rank) * MS if blocked_ns else 0,
        episodes=60 - rank if blocked_ns else 0,
        blocked_ns=blocked_ns,
        causes=((cause, blocked_ns),) if blocked_ns else (),
        history=_history(*((at * (rank + 3)) % 7 for at in range(20)) if blocked_ns else ()),
    )


def crowd(number: int) -> Snapshot:
    """So many workers, of which every third sleeps all the time, and 40 blockers."""
    awake = [at for at in range(number) if at % 3]
    ranks = {at: (at * 7) % 23 for at in awake}
    uses = tuple(
        busy_worker(at, ranks[at]) if at in ranks else idle_worker(at) for at in range(number)
    )
    timeline = tuple(
        episode(n, awake[n * 5 % len(awake)], (120_000 - 300 * n) * MS) for n in range(400)
    )
    blocked_ns = sum(use.blocked_ns for use in uses)
    return replace(
        many(40),
        workers=uses,
        timeline=timeline,
        stacks=RICH["stacks"],
        worker_time_ns=number * ELAPSED,
        blocked_ns=blocked_ns,
        slices=Shown(SLICE_NS, range(20)),
        runtimes=(
            RuntimeUse("demo-worker", number, number * ELAPSED, blocked_ns, number * S, 400),
        ),
    )
