"""Recordings of a service with so many blockers and workers, as its screen is drawn for tests.

Every figure of it is derived by the analysis from samples, so that no page shows what cannot be.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import NamedTuple

from hud.analysis.recording import Recording
from hud.model import (
    Batch,
    Code,
    Culprit,
    Frame,
    HostPressure,
    Sample,
    TaskCount,
    TaskKind,
    TasksRead,
    Where,
    Worker,
)
from tests.builders import sample_recording as build

MS, SECOND, START_NS = build.MS, build.SECOND, build.START_NS
SECONDS = 12
NOW_NS = START_NS + SECONDS * SECOND
FIRST_TID = 23_000
MAKE = Culprit(tid=9101, pid=9100, name="cc1plus")
_SOCKET_READ = 45


class _Kind(NamedTuple):
    """What a blocker does: library calls, the innermost first."""

    calls: tuple[Frame, ...]
    call: int
    """The system call that it sleeps in; -1 = it computes."""
    about: str = ""


_KINDS = (
    _Kind(
        (
            build.dependency("blowfish::Blowfish::encrypt", "blowfish 0.9.1"),
            build.dependency("bcrypt::hash", "bcrypt 0.17.1"),
        ),
        -1,
    ),
    _Kind((build.c("read"), build.std("std::fs::read")), build.READ, "/srv/shop/catalog.json"),
    _Kind(
        (
            build.c("syscall"),
            build.std("std::sys::sync::mutex::futex::Mutex::lock_contended"),
            build.std("std::sync::poison::mutex::Mutex<T>::lock"),
        ),
        build.FUTEX,
    ),
    _Kind((build.dependency("serde_json::de::from_str", "serde_json 1.0.145"),), -1),
    _Kind((build.c("clock_nanosleep"), build.std("std::thread::sleep")), build.CLOCK_NANOSLEEP),
    _Kind(
        (build.c("recvfrom"), build.std("<std::net::tcp::TcpStream as std::io::Read>::read")),
        _SOCKET_READ,
        "10.0.0.7:6379",
    ),
    _Kind((build.dependency("regex::regex::string::Regex::is_match", "regex 1.12.3"),), -1),
    _Kind((build.c("fsync"), build.std("std::fs::File::sync_all")), build.FSYNC, "/srv/shop/log"),
)
_MODULES = ("account", "catalog", "stock", "orders", "retry", "prices", "search", "audit")
_VERBS = ("check", "load", "count", "parse", "pause", "fetch", "match", "store")
_NOUNS = ("password", "items", "shelves", "basket", "backoff", "quotes", "titles", "entry")
_HANDLERS = tuple(
    TaskKind(0x9000 + at, f"shop::{module}::{{async fn}}", f"src/{module}.rs:{12 + at}")
    for at, module in enumerate(_MODULES)
)


def service(blockers: int, workers: int) -> Recording:
    """It has run for 12 s and goes on; of more than four workers every third one sleeps."""
    recording = Recording(build.info(target=replace(build.info().target, name="shop")))
    tids = [FIRST_TID + number for number in range(workers)]
    for number, tid in enumerate(tids):
        recording.add_worker(Worker(number, tid, "tokio-rt-worker"))
    for culprit in (build.STRESS, MAKE):
        recording.add_culprit(culprit)
    for at in range(blockers):
        recording.add_stack(_key(at), _stack(at))
    samples: list[Sample] = []
    for number, tid in enumerate(tids):
        if workers <= 4 or number % 3:
            samples += _work(tid, number, blockers)
    samples.sort(key=lambda sample: (sample.time_ns, sample.kind, sample.tid))
    recording.take(_batch(samples, tids))
    recording.set_states(_states(samples, tids), NOW_NS)
    recording.set_cost(cpu_ns=SECONDS * 12 * MS, rss_bytes=61 << 20)
    return recording


def _key(blocker: int) -> int:
    return 0x100 + blocker


def _name(blocker: int) -> tuple[str, str]:
    """Module and function."""
    kind, round_ = blocker % len(_KINDS), blocker // len(_KINDS)
    return _MODULES[kind], f"{_VERBS[(kind + round_) % len(_VERBS)]}_{_NOUNS[kind]}"


def _stack(blocker: int) -> build.Stack:
    module, function = _name(blocker)
    file = f"src/{module}.rs"
    own = build.user(f"shop::{module}::{function}", file, 40 + 3 * blocker, 0x6000 + blocker)
    task = build.user(f"shop::{module}::{{async fn}}", file, 12 + blocker % len(_KINDS))
    return build.stack(*_KINDS[blocker % len(_KINDS)].calls, own, task)


def _work(tid: int, number: int, blockers: int) -> list[Sample]:
    """The long polls of a worker and its waits for a CPU; the first workers have most of them."""
    random = Random(number)
    weights = [1 / (1 + at) for at in range(blockers)]
    samples: list[Sample] = []
    at_ns = START_NS + random.randrange(300) * MS
    while at_ns < NOW_NS - 300 * MS:
        (blocker,) = random.choices(range(blockers), weights)
        length_ns = (16 + 5 * (blocker % 7)) * random.randrange(80, 160) * MS // 100
        samples += _poll(tid, at_ns, length_ns, blocker, random.randrange(6) * MS)
        at_ns += length_ns + (40 + 12 * number + random.randrange(400)) * MS
        if not random.randrange(6):
            who = random.choice((build.STRESS, MAKE, MAKE))
            wait_ns = random.randrange(5, 9) * MS
            samples.append(build.latency(tid, at_ns + wait_ns, wait_ns, who.tid))
            at_ns += wait_ns + MS
    return samples


def _poll(tid: int, start_ns: int, own_ns: int, blocker: int, waited_ns: int) -> list[Sample]:
    """Computing, with a CPU sample every 10 ms, or asleep in a call for all but half of a
    millisecond; then without a CPU.
    """
    key, call = _key(blocker), _KINDS[blocker % len(_KINDS)].call
    end_ns = start_ns + own_ns
    task = 100 + blocker % 16
    if call < 0:
        ticks = range(start_ns + build.PERIOD_NS, end_ns, build.PERIOD_NS)
        inside, slept_ns = [build.cpu(tid, at, key, start_ns) for at in ticks], 0
    else:
        slept_ns = own_ns - MS // 2
        inside = [build.asleep(tid, end_ns - MS // 4, slept_ns, key, start_ns, call)]
    whole = own_ns + waited_ns
    poll = build.poll(
        tid, start_ns, whole, asleep_ns=slept_ns, waiting_ns=waited_ns, task_id=task, end_us=20
    )
    return [*inside, poll]


def _states(samples: list[Sample], tids: list[int]) -> list[build.ThreadState]:
    """The last worker but one is in a short poll, all others sleep."""
    states = build.demo_states(samples, NOW_NS, tids)
    now = {"where": Where.POLL, "running": True}
    states[-2] = replace(states[-2], poll_start_ns=NOW_NS - MS, since_ns=NOW_NS - MS, **now)
    return states


def _batch(samples: list[Sample], tids: list[int]) -> Batch:
    about = {kind.call: kind.about for kind in _KINDS if kind.about}
    first = build.user("", "", 0, 0x6000)
    used = {one.task_id for one in samples if one.task_id}
    kinds = [one for at, one in enumerate(_HANDLERS) if {100 + at, 108 + at} & used]
    return Batch(
        time_ns=NOW_NS,
        samples=samples,
        details={
            (one.tid, one.time_ns): about[one.info]
            for one in samples
            if one.kind == build.Kind.SLEEP and one.info in about
        },
        tasks=TasksRead(
            time_ns=NOW_NS,
            counts=tuple(TaskCount(one.vtable, 3, 1, 0, 0) for one in kinds),
            whole=True,
            injected=3,
            queued=tuple((tid, tid % 3) for tid in tids),
            pool_threads=9,
            pool_idle=6,
            pool_queue=0,
            pool_limit=512,
            pool_busiest=5,
        ),
        task_kinds=kinds,
        task_ids={task: _HANDLERS[(task - 100) % len(_HANDLERS)].vtable for task in used},
        host=HostPressure(stolen_ns=40 * MS),
        code=[
            Code(
                first.address,
                source=((39, "    let cost = CONFIG.cost;"), (40, "    bcrypt::hash(word, cost)")),
                source_file="/home/me/shop/src/account.rs",
                line=40,
            )
        ],
    )
