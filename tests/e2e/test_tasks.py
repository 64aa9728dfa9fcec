"""The tasks of a real runtime, read from its memory, against the target's own account."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import program
import pytest
import targets

from hud.model import Batch, TaskKind, TasksRead
from hud.process.executable import open_mapping
from hud.process.mappings import read_mappings
from hud.process.threads import list_threads
from hud.profiler.detection.context import Context, find_context
from hud.profiler.naming.addresses import Addresses
from hud.profiler.tasks import Driving, TaskReader
from hud.resolver.client import Resolver
from hud.resolver.messages import AskFacts, Facts, Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e

VERSIONS = ("1.38.2", "1.47.5", "1.54.1")
FLAVORS = {"multi_thread": (), "current_thread": ("--current-thread",)}

LINES = {
    "sleeper": 27,
    "outer": 31,
    "forgotten": 39,
    "waits u64": 43,
    "waits String": 43,
    "spawn_herd": 121,
    "hog": 62,
    "queued": 72,
}
"""Where those that are async fns and blocks are declared in tests/targets/herd/src/main.rs."""

NAMES = {
    "sleeper": "herd::sleeper::{async}",
    "outer": "herd::outer::{async}",
    "forgotten": "herd::forgotten::{async}",
    "waits u64": "herd::waits<u64>::{async}",
    "waits String": "herd::waits<String>::{async}",
    "boxed": "Box<dyn Future+Output = ()+Send>",
    "Timed": "herd::Timed<herd::boxed::{closure}>",
    "spawn_herd": "herd::spawn_herd::{async}",
    "hog": "herd::hog::{async}",
    "queued": "herd::queued::{async}",
}
WITH_DEBUG_INFO = {
    "sleeper": "herd::sleeper::{async fn}",
    "outer": "herd::outer::{async fn}",
    "forgotten": "herd::forgotten::{async fn}",
    "waits u64": "herd::waits::{async fn}<u64>",
    "waits String": "herd::waits::{async fn}<String>",
    "boxed": "Box<(dyn Future<Output=()> + Send)>",
    "Timed": "herd::Timed<herd::boxed::{async fn}>",
    "spawn_herd": "herd::spawn_herd::{async block}",
    "hog": "herd::hog::{async fn}",
    "queued": "herd::queued::{async fn}",
}


@contextlib.contextmanager
def herd(binary: Path, *options: str) -> Iterator[dict[str, Any]]:
    """The target once all tasks are where they belong, and its account of them."""
    with subprocess.Popen([binary, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


class Eyes:
    """What hud reads of a process without attaching anything."""

    def __init__(self, pid: int, resolver: Resolver) -> None:
        self.pid = pid
        self._resolver = resolver
        self._addresses = Addresses(
            resolver, lambda mapping: open_mapping(pid, mapping), lambda: read_mappings(pid)
        )
        self._addresses.refresh()
        facts = self._facts(str(Path(f"/proc/{pid}/exe").readlink()))
        found = find_context(facts, pid, list_threads(pid), read_mappings(pid))
        assert isinstance(found, Context)
        self.driving = {
            tid: Driving(scheduler, copy.layout)
            for copy in found.copies
            for tid, scheduler in copy.drives.items()
        }
        self.reader = TaskReader(pid, self._addresses.modules, resolver)
        self.kinds: dict[int, TaskKind] = {}

    def _facts(self, path: str) -> Facts:
        module = self._addresses.modules.module_of(path)
        assert module is not None
        found: list[Facts | Failed] = []
        self._resolver.ask(AskFacts(module), found.append)
        assert self._resolver.run_until(lambda: found, 60)
        (facts,) = found
        assert isinstance(facts, Facts)
        return facts

    def look(self) -> TasksRead:
        """One reading, with the names of its types."""
        self.reader.note([])
        batch = Batch(time.monotonic_ns())
        self.reader.fill(batch, self.driving, 5_000_000)
        self._resolver.run_until(lambda: not self.reader.pending, 20)
        more = Batch(batch.time_ns)
        self.reader.fill(more, self.driving, 5_000_000)
        self.kinds |= {kind.vtable: kind for kind in (*batch.task_kinds, *more.task_kinds)}
        assert batch.tasks is not None
        return batch.tasks

    def by_name(self, read: TasksRead) -> dict[str, list[int]]:
        """Idle, ready, running and stuck tasks by the name of their type."""
        return {self.kinds[row.vtable].name: list(row[1:]) for row in read.counts}


@pytest.fixture
def eyes() -> Iterator[Callable[[int], Eyes]]:
    opened: list[Eyes] = []
    with Resolver() as resolver:

        def look_at(pid: int) -> Eyes:
            opened.append(Eyes(pid, resolver))
            return opened[-1]

        yield look_at
        for one in opened:
            one.reader.close()


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("tokio", VERSIONS)
def test_tasks_states_queues_and_pool_are_as_the_target_says(
    build_target: Callable[..., Path], eyes: Callable[[int], Eyes], tokio: str, flavor: str
) -> None:
    binary = build_target("herd", tokio=None if tokio == targets.TOKIO_VERSIONS[-1] else tokio)
    with herd(binary, *FLAVORS[flavor]) as account:
        sight = eyes(account["pid"])
        read = sight.look()
        assert read.whole
        kinds = {tuple(counts): kind for kind, counts in account["tasks"].items()}
        assert sorted(row[1:] for row in read.counts) == sorted(kinds)
        for row in read.counts:
            # "a | b" where the linker has merged the functions of two types
            names = sight.kinds[row.vtable].name.split(" | ")
            assert NAMES[kinds[row[1:]]] in names
            assert len(names) <= 2
        depths = dict(read.queued)
        assert sorted(depths.values()) == [0] * (account["workers"] - 1) + [account["queued"]]
        assert read.injected == 0
        busy, idle, queue = account["pool"]
        assert (read.pool_threads, read.pool_idle, read.pool_queue) == (busy, idle, queue)
        assert (read.pool_limit, read.pool_busiest) == (busy, busy)


@pytest.mark.parametrize("build", ["release", "dev", "stripped"])
def test_types_are_named_and_placed(
    build_target: Callable[..., Path], eyes: Callable[[int], Eyes], build: str, tmp_path: Path
) -> None:
    binary = build_target("herd", profile="dev" if build == "dev" else "release")
    if build == "stripped":
        binary = shutil.copy2(binary, tmp_path)
        subprocess.run(["strip", binary], check=True)
    with herd(binary) as account:
        sight = eyes(account["pid"])
        read = sight.look()
        tasks = {tuple(counts): kind for kind, counts in account["tasks"].items()}
        assert len(tasks) == len(account["tasks"]), "kinds are told apart by their counts here"
        seen = {tasks[row[1:]]: sight.kinds[row.vtable] for row in read.counts}
        assert seen.keys() == account["tasks"].keys()
    names = {kind: one.name for kind, one in seen.items()}
    if build != "stripped":
        assert names == (WITH_DEBUG_INFO if build == "dev" else NAMES)
    for kind, one in seen.items():
        if kind in LINES:
            assert one.where.lstrip("~") == f"src/main.rs:{LINES[kind]}", kind
            assert build != "dev" or not one.inferred
            assert build != "stripped" or (one.inferred and one.name == one.where)


def test_tasks_that_come_and_go_hide_none_of_the_others(
    build_target: Callable[..., Path], eyes: Callable[[int], Eyes]
) -> None:
    with herd(build_target("herd"), "--churn", "20000", "--scale", "20") as account:
        sight = eyes(account["pid"])
        whole = 0
        for _ in range(20):
            sight.reader.walk_now()
            read = sight.look()
            whole += read.whole
            found = sight.by_name(read)
            if read.whole:
                for kind, counts in account["tasks"].items():
                    assert found[NAMES[kind]] == counts, kind
        assert whole >= 10
        with open(f"/proc/{account['pid']}/stat") as file:
            assert file.read().split()[2] in "RS"


def test_a_run_tells_types_depth_and_pool(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "trace.json"
    with herd(build_target("herd")) as account:
        options = ("-v", "--headless", "--duration", 2, "--export", path)
        done = program.run("--pid", account["pid"], *options)
    episodes = program.begins(program.trace(path))
    assert {event["args"]["task_type"] for event in episodes} == {NAMES["hog"]}
    depths = sorted(event["args"]["tasks_behind"] for event in episodes)
    assert depths == [0] * (account["workers"] - 1) + [account["queued"]]
    mean = account["queued"] // account["workers"]
    assert f"{mean} ready tasks behind it in the worker's own queue" in done.stdout
    assert "at most 4 of 4 pool threads busy; 2 jobs waiting for one" in " ".join(
        done.stdout.split()
    )
