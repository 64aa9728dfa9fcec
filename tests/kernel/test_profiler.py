"""The profiler on real processes without Tokio: workers by name, exec, the end, nothing left."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hud import resources
from hud.errors import HudError, TargetError, UsageError
from hud.model import Batch, Code, Detection, Kind, Rung, Sample, Spot, Stack
from hud.process.find import find_target
from hud.profiler import Options, Profiler
from hud.profiler import naming as module
from hud.profiler.detection.context import Context, Copy
from hud.profiler.kernel_stacks import REFRESH_INTERVAL_S
from hud.runtime.context import ContextLayout

pytestmark = pytest.mark.kernel

# Reads one command per line and answers each with a line.
CHILD = """
import ctypes, os, sys, threading, time
prctl = ctypes.CDLL(None).prctl
ends = {}
def work(name, busy):
    prctl(15, name.encode())
    print(threading.get_native_id(), flush=True)
    while name not in ends:
        if not busy:
            time.sleep(0.005)
for line in sys.stdin:
    command, _, rest = line.strip().partition(" ")
    if command in ("sleeper", "spinner"):
        threading.Thread(target=work, args=(rest, command == "spinner"), daemon=True).start()
    elif command == "rename":
        prctl(15, rest.encode())
        print("done", flush=True)
    elif command == "end":
        ends[rest] = True
        print("done", flush=True)
    elif command == "exit":
        os._exit(0)
    elif command == "exec":
        os.execv(sys.executable, [sys.executable, "-c", os.environ["CHILD"]])
"""


class Child:
    """A process that does as it is told."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={"CHILD": CHILD},
        )
        self.pid = self.process.pid

    def tell(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(command + "\n")

    def ask(self, command: str) -> str:
        self.tell(command)
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@pytest.fixture
def child() -> Iterator[Child]:
    started = Child()
    started.ask("rename main")
    yield started
    started.process.kill()
    started.process.communicate()


def machine_object() -> bytes:
    return resources.read(f"hud-{platform.machine()}.bpf.o")


@contextmanager
def profiled(child: Child, **options: object) -> Iterator[Profiler]:
    chosen = Options(**{"use_context": False, **options})  # type: ignore[arg-type]
    with Profiler(find_target(None, child.pid), chosen, machine_object) as profiler:
        yield profiler


class Taken:
    """Everything that a profiler yields, put together."""

    def __init__(self, profiler: Profiler) -> None:
        self.profiler = profiler
        self.samples: list[Sample] = []
        self.stacks: dict[int, Stack] = {}
        self.batches: list[Batch] = []

    def until(self, enough: Callable[[], object], within_s: float = 30) -> None:
        end = time.monotonic() + within_s
        while not enough():
            assert time.monotonic() < end, "not seen"
            self.take(self.profiler.pump())
            self.take(self.profiler.states())
            time.sleep(0.03)

    def take(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.samples += batch.samples
        self.stacks |= batch.stacks

    def all(self, what: str) -> list[object]:
        return [item for batch in self.batches for item in getattr(batch, what)]


def descriptors() -> set[str]:
    gc.collect()  # a mapped map keeps its descriptor as long as someone holds a view of it
    return {path.name for path in Path("/proc/self/fd").iterdir()}


# --------------------------------------------------------------------------- workers


def test_workers_by_prefix_come_and_go(child: Child) -> None:
    first = int(child.ask("sleeper api-0"))
    other = int(child.ask("sleeper other"))
    with profiled(child, workers="api") as profiler:
        assert profiler.detection.rung is Rung.NAMES
        assert [(w.worker_id, w.tid, w.name) for w in profiler.workers] == [(0, first, "api-0")]
        taken = Taken(profiler)
        second = int(child.ask("sleeper api-1"))
        taken.until(lambda: len(profiler.workers) == 2)
        assert [w.tid for w in profiler.workers] == [first, second]
        assert second in {w.tid for w in taken.all("workers")}  # type: ignore[attr-defined]
        child.ask("end api-0")
        # the kernel's map may tell the end before the process connector does
        taken.until(lambda: first in taken.all("died") and len(profiler.workers) == 1)
        assert [w.tid for w in profiler.workers] == [second]
        third = int(child.ask("sleeper api-2"))
        taken.until(lambda: third in {w.tid for w in profiler.workers})
        # a number is never given twice
        assert [w.worker_id for w in profiler.workers] == [1, 2]
        assert other not in {w.tid for w in taken.all("workers")}  # type: ignore[attr-defined]


def test_busy_worker_is_sampled_and_named(child: Child) -> None:
    worker = int(child.ask("spinner api-0"))
    with profiled(child, workers="api", sample_hz=299) as profiler:
        taken = Taken(profiler)

        def named() -> list[Sample]:
            return [
                s
                for s in taken.samples
                if s.kind == Kind.CPU and s.stack in taken.stacks and taken.stacks[s.stack].frames
            ]

        taken.until(lambda: len(named()) > 30)
        assert {s.tid for s in named()} == {worker}
        complete = [s for s in named() if taken.stacks[s.stack].complete]
        assert len(complete) >= 0.9 * len(named())
        start = taken.stacks[complete[0].stack].frames or ()
        assert any("PyEval" in f.function or "python" in f.module.lower() for f in start)
        counted, whole = profiler.stack_counts()
        assert counted >= len(named())
        assert 0 < whole <= counted
        assert profiler.losses().total() == profiler.losses().stacks_skipped


def test_code_comes_with_a_later_batch(child: Child) -> None:
    child.ask("spinner api-0")
    with profiled(child, workers="api", sample_hz=299, code=True) as profiler:
        taken = Taken(profiler)
        taken.until(lambda: any(stack.frames for stack in taken.stacks.values()))
        stack = next(stack for stack in taken.stacks.values() if stack.frames)
        spots = [Spot(at, index > 0, "", 0) for index, at in enumerate(stack.addresses[:5])]
        began = time.monotonic()
        for _ in range(50):
            profiler.want_code(spots)
        assert time.monotonic() - began < 1
        wanted = {spot.address for spot in spots}

        def found() -> list[Code]:
            profiler.want_code(spots)
            return taken.all("code")  # type: ignore[return-value]

        taken.until(lambda: {code.address for code in found()} == wanted)
        assert len(found()) == len(wanted)
        assert all(code.at for code in found())
        for code in found():
            if code.address != stack.addresses[0]:
                ((_, text, _),) = [row for row in code.instructions if row[0] == code.at]
                assert text.startswith(("call", "bl"))
        # the rest at once, and nothing twice
        more = [Spot(at, True, "", 0) for at in stack.addresses[5:8]]
        batch = profiler.read_code([*spots, *more])
        assert {code.address for code in batch.code} == {spot.address for spot in more} - wanted


def test_prefix_that_matches_nothing_leaves_nothing_attached(child: Child) -> None:
    child.ask("sleeper api-0")
    before = descriptors()
    with pytest.raises(TargetError) as caught, profiled(child, workers="apx"):
        pass
    assert "api-0" in str(caught.value)
    assert "--workers" in caught.value.hint
    del caught
    assert descriptors() == before


def test_no_worker_is_known(child: Child) -> None:
    with profiled(child) as profiler:
        assert profiler.detection.rung is Rung.LATENCY
        assert profiler.workers == []
        assert profiler._events.probe.config.every_thread == 1
        assert "switched off" in profiler.detection.reason


@pytest.mark.parametrize("use_context", [True, False])
def test_program_without_tokio(child: Child, use_context: bool) -> None:
    child.ask("sleeper a")
    with profiled(child, use_context=use_context) as profiler:
        assert profiler.detection.rung is not Rung.CONTEXT
        assert not profiler.detection.tokio_versions


def test_executable_of_another_build_is_refused(child: Child) -> None:
    before = descriptors()
    with pytest.raises(UsageError) as caught, profiled(child, executable="/bin/true"):
        pass
    assert "another build" in str(caught.value)
    del caught
    assert descriptors() == before


def test_process_that_is_gone(child: Child) -> None:
    target = find_target(None, child.pid)
    child.process.kill()
    child.process.communicate()
    before = descriptors()
    with pytest.raises(HudError), Profiler(target, Options(), machine_object):
        pass
    assert descriptors() == before


@pytest.mark.parametrize(("use_cache", "entries"), [(True, 1), (False, 0)])
def test_the_kernel_programs_are_kept(
    child: Child,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    use_cache: bool,
    entries: int,
) -> None:
    monkeypatch.setattr(module, "default_directory", lambda: tmp_path / "hud" / "modules")
    for _ in range(2):
        with profiled(child, use_cache=use_cache):
            pass
    assert len(list(tmp_path.glob("hud/modules/*.programs"))) == entries


# --------------------------------------------------------------------------- exec and the end


def test_exec_goes_on_with_the_new_image(child: Child) -> None:
    old = int(child.ask("sleeper api-0"))
    with profiled(child, workers="api") as profiler:
        taken = Taken(profiler)
        child.tell("exec")
        # right after exec no thread of that name is there: that is no reason to give up
        taken.until(lambda: any(batch.detection for batch in taken.batches))
        assert old in taken.all("died")
        assert profiler.workers == []
        new = int(child.ask("spinner api-7"))
        taken.until(lambda: [w.tid for w in profiler.workers] == [new])
        assert profiler.detection.rung is Rung.NAMES
        taken.until(lambda: any(s.tid == new and s.kind == Kind.CPU for s in taken.samples))
        states = profiler.states().states or []
        assert {state.tid for state in states} <= {child.pid, new}


def test_exec_into_what_cannot_be_read_leaves_the_last_rung_attached(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    child.ask("sleeper api-0")

    def refuse(*_: object) -> None:
        raise TargetError("no such luck")

    with profiled(child, workers="api") as profiler:
        taken = Taken(profiler)
        monkeypatch.setattr("hud.profiler.profiler.find_target", refuse)
        child.tell("exec")
        taken.until(lambda: any(batch.detection for batch in taken.batches))
        assert profiler.detection.rung is Rung.LATENCY
        assert profiler.detection.reason == "after exec: no such luck"
        before = profiler.counters()["switches"]
        new = int(child.ask("sleeper api-7"))
        taken.until(lambda: profiler.counters()["switches"] > before + 10)
        # by its name, as before
        taken.until(lambda: [w.tid for w in profiler.workers] == [new])


def a_copy(tls_offset: int) -> Copy:
    layout = ContextLayout("1.45 to 1.54", 80, tls_offset, -1, 48, 68, 70, 40, 24, 104, -1, "why")
    return Copy(layout, "", f"tokio at {tls_offset}", {})


def test_a_layout_is_judged_by_its_own_readings(child: Child) -> None:
    child.ask("sleeper api-0")
    with profiled(child, workers="api") as profiler:
        profiler.options = profiler._ladder._options = Options(workers="api")
        profiler._ladder._facts_used = profiler._naming.image.facts
        # beyond the thread's memory, so that the kernel reads nothing
        counters = profiler._events.probe.counters
        counters.context_unreadable += 5_000  # of an image before exec
        detection = Detection(Rung.CONTEXT, "two")
        found = Context((a_copy(-1 << 40), a_copy(-1 << 41)), detection, incomplete=False)
        assert profiler._ladder._use_layouts(found) == list(found.copies)
        batch = Batch()
        profiler._ladder.judge(batch)
        assert len(profiler._ladder.copies.known) == 2
        taken = Taken(profiler)
        # the latest goes first, with a note, then the other with the rung
        taken.until(lambda: len(profiler._ladder.copies.known) == 1)
        assert "tokio at -2199023255552: no longer looked at" in list(profiler.notes)[-1]
        taken.until(lambda: not profiler._ladder.copies.known)
        assert profiler.detection.rung is Rung.NAMES
        assert "readings of CONTEXT failed" in profiler.detection.reason
        # what was refused stays so
        assert profiler._ladder._use_layouts(found) == []
        assert profiler._events.probe.config.layouts == 0


@pytest.mark.parametrize(
    ("end", "reason"),
    [("kill", "target exited (killed by SIGKILL)"), ("exit", "target exited (status 0)")],
)
def test_end_of_the_target(child: Child, end: str, reason: str) -> None:
    child.ask("sleeper api-0")
    with profiled(child, workers="api") as profiler:
        taken = Taken(profiler)
        taken.until(lambda: len(taken.batches) > 20)
        if end == "kill":
            child.process.kill()
        else:
            child.tell("exit")
        taken.until(lambda: any(batch.ended for batch in taken.batches))
        assert next(batch.ended for batch in taken.batches if batch.ended) == reason
        for batch in profiler.finish():
            taken.take(batch)
        assert profiler.pump().samples == []


def run_briefly(child: Child) -> None:
    with profiled(child, workers="api") as profiler:
        Taken(profiler).until(lambda: profiler.counters()["switches"] > 10)
        profiler.finish()


def test_nothing_stays_behind(child: Child) -> None:
    before = descriptors()
    child.ask("sleeper api-0")
    run_briefly(child)
    assert descriptors() == before


def test_resolver_that_dies_costs_names_only(child: Child) -> None:
    child.ask("spinner api-0")
    with profiled(child, workers="api", sample_hz=299) as profiler:
        profiler._naming.resolver.close()
        taken = Taken(profiler)

        def enough() -> bool:
            keys = {s.stack for s in taken.samples if s.kind == Kind.CPU and s.stack}
            return len(keys) > 5 and all(taken.stacks[key].frames for key in keys)

        taken.until(enough)
        assert profiler.losses().symbols_late > 0
        modules = {f.module for stack in taken.stacks.values() for f in stack.frames or ()}
        python = str(Path(sys.executable).resolve())
        assert any(module == python or "/libpython" in module for module in modules)


def test_a_run_loads_no_parser(child: Child) -> None:
    """What reads the bytes of others' files is loaded in the resolver's child only."""
    child.ask("sleeper api-0")
    script = f"""
import platform, sys, time
from hud import resources
from hud.profiler import Options, Profiler
from hud.process.find import find_target

def read():
    return resources.read(f"hud-{{platform.machine()}}.bpf.o")

with Profiler(find_target(None, {child.pid}), Options(workers="api"), read) as profiler:
    end = time.monotonic() + 30
    found = []
    while not found and time.monotonic() < end:
        found = [one for one in profiler.pump().stacks.values() if one.frames]
        profiler.states()
    profiler.finish()
assert found, "no stack has names"
print(*(name for name in sys.modules if name.startswith("hud.symbols")))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) == {"hud.symbols", "hud.symbols.facts"}


# --------------------------------------------------------------------------- mappings


def test_mappings_are_not_read_at_every_strange_address(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[float] = []
    real = module.read_mappings

    def counted(pid: int) -> object:
        reads.append(time.monotonic())
        return real(pid)

    monkeypatch.setattr(module, "read_mappings", counted)
    child.ask("sleeper api-0")
    with profiled(child, workers="api") as profiler:
        reads.clear()
        began = time.monotonic()
        for _ in range(200):
            profiler._events.stacks._refresh_wanted = True
            profiler._events.stacks.refresh()
        assert len(reads) <= 1
        # one that had to wait is made up for
        while time.monotonic() < began + 2 * REFRESH_INTERVAL_S:
            profiler.pump()
            time.sleep(0.02)
        assert len(reads) == 2
