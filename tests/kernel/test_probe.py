"""hud's kernel programs on real processes: what moves, what is dropped, what stays behind."""

from __future__ import annotations

import gc
import os
import platform
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hud.errors import KernelError
from hud.kernel import syscalls, uapi
from hud.model import Culprit, Kind, Sample, SampleFlag, ThreadState, Where
from hud.probe import wire
from hud.probe.probe import PROGRAMS, Probe

pytestmark = pytest.mark.kernel

OBJECT = Path(__file__).parents[2] / "prebuilt" / f"hud-{platform.machine()}.bpf.o"

# Reads one command per line and answers each with a line.
CHILD = """
import mmap, os, sys, threading, time
made = []
stop = threading.Event()
def sleeper(ms):
    print(threading.get_native_id(), flush=True)
    while not stop.is_set():
        time.sleep(ms / 1000)
def spinner():
    print(threading.get_native_id(), flush=True)
    while not stop.is_set():
        pass
for line in sys.stdin:
    command, _, rest = line.strip().partition(" ")
    if command == "sleeper":
        threading.Thread(target=sleeper, args=(int(rest),), daemon=True).start()
    elif command == "spinner":
        threading.Thread(target=spinner, daemon=True).start()
    elif command == "short":
        for _ in range(int(rest)):
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
        print("done", flush=True)
    elif command == "code":
        made.append(mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC))
        print("done", flush=True)
    elif command == "pin":
        os.sched_setaffinity(0, {int(rest)})
        print("done", flush=True)
    elif command == "end-threads":
        stop.set()
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join()
        print("done", flush=True)
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
        )
        self.pid = self.process.pid

    def ask(self, command: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(command + "\n")
        return self.process.stdout.readline().strip()


@pytest.fixture
def child() -> Iterator[Child]:
    started = Child()
    yield started
    started.process.kill()
    started.process.communicate()


def load(pid: int, threshold_ns: int = 1_000_000) -> Probe:
    return Probe(
        OBJECT.read_bytes(), None, tgid=pid, threshold_ns=threshold_ns, text_bytes=32 << 20
    )


@pytest.fixture
def probe(child: Child) -> Iterator[Probe]:
    """Attached at 199 Hz, every thread reported."""
    with load(child.pid) as loaded:
        loaded.config.every_thread = 1
        loaded.attach(199)
        yield loaded


def programs_held() -> set[int]:
    """Ids of the BPF programs that this process has descriptors of."""
    found = set()
    for path in Path("/proc/self/fdinfo").iterdir():
        with suppress(OSError):
            found.update(map(int, re.findall(r"prog_id:\s*(\d+)", path.read_text())))
    return found


def program_exists(number: int) -> bool:
    try:
        return syscalls.prog_get_next_id(number - 1) == number
    except FileNotFoundError:
        return False


def descriptors() -> set[str]:
    gc.collect()  # a mapped map keeps its descriptor as long as someone holds a view of it
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def until(take: Callable[[], object], within_s: float = 20) -> object:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        found = take()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("not seen")


def states(probe: Probe) -> dict[int, ThreadState]:
    return {state.tid: state for state in probe.threads(time.monotonic_ns()).states}


def thread_ids(pid: int) -> set[int]:
    return {int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()}


# --------------------------------------------------------------------------- what moves


def test_switches_of_the_target_are_counted(child: Child, probe: Probe) -> None:
    child.ask("sleeper 1")
    before = probe.counters.switches
    until(lambda: probe.counters.switches > before + 100)


def test_other_processes_cost_nothing_that_is_counted(child: Child) -> None:
    with load(1 << 30) as probe:  # no such process
        probe.config.every_thread = 1
        probe.attach(997)
        child.ask("sleeper 1")
        time.sleep(0.2)
        assert probe.counters.switches == 0
        assert probe.events() == []
        assert states(probe) == {}


def test_time_of_a_sleeping_and_of_a_spinning_thread(child: Child, probe: Probe) -> None:
    sleeper, spinner = int(child.ask("sleeper 5")), int(child.ask("spinner"))
    until(lambda: {sleeper, spinner} <= states(probe).keys())
    first, begin = states(probe), time.monotonic_ns()
    time.sleep(1)
    second, end = states(probe), time.monotonic_ns()
    for tid in (sleeper, spinner):
        passed = second[tid].split.total_ns() - first[tid].split.total_ns()
        # every nanosecond is charged to something
        assert abs(passed - (end - begin)) < 50_000_000
    asleep = second[sleeper].split.unknown_asleep_ns - first[sleeper].split.unknown_asleep_ns
    assert asleep > 50_000_000  # the rest it waits for the interpreter's lock or a CPU
    on_cpu = second[spinner].split.unknown_cpu_ns - first[spinner].split.unknown_cpu_ns
    waiting = second[spinner].split.waiting_ns - first[spinner].split.waiting_ns
    assert on_cpu + waiting > 100_000_000


def test_cpu_time_agrees_with_the_kernels_own(child: Child, probe: Probe) -> None:
    spinner = int(child.ask("spinner"))
    schedstat = Path(f"/proc/{child.pid}/task/{spinner}/schedstat")
    until(lambda: spinner in states(probe))

    def both() -> tuple[int, int, int, int]:
        split = states(probe)[spinner].split
        cpu, waiting, _ = map(int, schedstat.read_text().split())
        return split.unknown_cpu_ns, cpu, split.waiting_ns, waiting

    first = both()
    time.sleep(1)
    ours, theirs, waiting, their_waiting = (b - a for a, b in zip(first, both(), strict=True))
    # the two are not read at one moment, and theirs lack what lasts
    assert abs(ours - theirs) < 200_000_000
    assert abs(waiting - their_waiting) < 200_000_000


def test_sleep_that_began_before_the_attach_is_not_charged(child: Child, probe: Probe) -> None:
    """The main thread sleeps in read() since before the attach."""
    time.sleep(0.2)
    child.ask("pin 0")
    state = until(lambda: states(probe).get(child.pid))
    assert isinstance(state, ThreadState)
    assert state.split.unknown_asleep_ns + state.split.parked_ns < 100_000_000


def test_cpu_samples_of_a_spinning_thread(child: Child, probe: Probe) -> None:
    spinner = int(child.ask("spinner"))
    seen: list[Sample] = []

    def enough() -> bool:
        seen.extend(s for s in probe.events() if s.kind == Kind.CPU and s.tid == spinner)
        return len(seen) > 20

    until(enough)
    assert {sample.duration_ns for sample in seen} == {1_000_000_000 // 199}
    assert {sample.where for sample in seen} == {Where.UNKNOWN}
    assert {sample.poll_start_ns for sample in seen} == {0}
    times = [sample.time_ns for sample in seen]
    assert times == sorted(times)
    stacks = [probe.stack(key) for key in {s.stack for s in seen if s.stack}]
    assert stacks
    assert all(raw and raw.addresses for raw in stacks)
    # no unwind rule is known: the walk says so
    assert {raw.stop for raw in stacks if raw} <= set(wire.STOPS[1:])


def test_the_sampling_rate_changes_and_ends_with_the_probe(child: Child) -> None:
    """Below CONTEXT every sample is an event: they can be counted."""
    with load(child.pid) as probe:
        probe.config.every_thread = 1
        probe.attach(99)
        spinner = int(child.ask("spinner"))

        def periods(count: int) -> list[int]:
            seen: list[Sample] = []

            def enough() -> bool:
                seen.extend(s for s in probe.events() if s.kind == Kind.CPU and s.tid == spinner)
                return len(seen) >= count

            until(enough)
            return [s.duration_ns for s in seen]

        assert set(periods(5)) == {1_000_000_000 // 99}
        probe.sample_at(499)
        assert periods(50)[-1] == 1_000_000_000 // 499
        probe.detach()
        probe.events()
        probe.sample_at(997)
        probe.config.enabled = 1
        time.sleep(0.2)
        assert probe.events() == []


def test_survey_reports_every_sleep_with_its_system_call(child: Child) -> None:
    with load(child.pid) as probe:
        probe.config.survey = 1
        probe.attach(99)
        sleeper = int(child.ask("sleeper 20"))
        seen: list[Sample] = []

        def enough() -> bool:
            seen.extend(s for s in probe.events() if s.kind == Kind.SLEEP and s.tid == sleeper)
            return len(seen) > 10

        until(enough)
        naps = [s for s in seen if s.duration_ns > 10_000_000]
        assert len(naps) > 5
        # clock_nanosleep
        if platform.machine() == "x86_64":
            assert {s.info for s in naps} == {230}
        asleep = until(
            lambda: next(
                (s for s in states(probe).values() if s.tid == sleeper and s.asleep_stack), None
            )
        )
        assert isinstance(asleep, ThreadState)
        assert asleep.asleep_stack in {s.stack for s in naps}


# --------------------------------------------------------------------------- latency


def pinned_rival(cpu: int) -> subprocess.Popen[bytes]:
    program = (
        f"import os; os.sched_setaffinity(0, {{{cpu}}}); open('/proc/self/comm','w').write('rival')"
        "\nwhile True: pass"
    )
    return subprocess.Popen([sys.executable, "-c", program])


def test_culprits_are_named(child: Child, probe: Probe) -> None:
    cpu = min(os.sched_getaffinity(0))
    child.ask(f"pin {cpu}")
    spinner = int(child.ask("spinner"))
    with pinned_rival(cpu) as rival:
        try:
            blamed: list[Sample] = []

            def enough() -> bool:
                blamed.extend(
                    s
                    for s in probe.events()
                    if s.kind == Kind.LATENCY and s.tid == spinner and s.other == rival.pid
                )
                # it may have been in the way before it took its name
                return len(blamed) >= 3 and probe.culprit(rival.pid) == named

            named = Culprit(rival.pid, rival.pid, "rival")
            until(enough)
        finally:
            rival.kill()
    preempted = [s for s in blamed if s.flags & SampleFlag.PREEMPTED]
    assert preempted
    assert all(1_000_000 <= s.duration_ns < 10_000_000_000 for s in blamed)
    assert probe.culprit(1 << 29) is None


def test_threshold_changes_while_it_runs(child: Child, probe: Probe) -> None:
    cpu = min(os.sched_getaffinity(0))
    child.ask(f"pin {cpu}")
    child.ask("spinner")
    probe.set_threshold(3600 * 10**9)
    assert probe.config.evidence_ns == 900 * 10**9

    def latencies() -> list[Sample]:
        return [s for s in probe.events() if s.kind == Kind.LATENCY]

    with pinned_rival(cpu) as rival:
        try:
            latencies()
            time.sleep(0.3)
            assert latencies() == []
            probe.set_threshold(1_000_000)
            until(latencies)
        finally:
            rival.kill()


# --------------------------------------------------------------------------- threads


def test_every_thread_that_runs_is_listed_and_the_ended_are_dropped(
    child: Child, probe: Probe
) -> None:
    tids = {int(child.ask("sleeper 5")) for _ in range(5)}
    until(lambda: tids <= states(probe).keys())
    assert states(probe).keys() <= thread_ids(child.pid)
    child.ask("end-threads")
    until(lambda: not tids & states(probe).keys())


def test_worker_that_ends_is_told_once_with_its_last_figures(child: Child, probe: Probe) -> None:
    worker = int(child.ask("sleeper 5"))
    probe.set_workers({worker: 0})
    until(lambda: worker in states(probe))
    time.sleep(0.2)
    child.ask("end-threads")
    read = until(lambda: next((r for r in [probe.threads(time.monotonic_ns())] if r.exited), None))
    assert read.exited == [worker]  # type: ignore[attr-defined]
    (state,) = (s for s in read.states if s.tid == worker)  # type: ignore[attr-defined]
    assert state.split.unknown_asleep_ns > 100_000_000
    later = probe.threads(time.monotonic_ns() + 10**12)
    assert later.exited == []
    assert worker not in {s.tid for s in later.states}


def test_workers_are_replaced(child: Child, probe: Probe) -> None:
    probe.set_workers({5: 0, 6: 1})
    probe.set_workers({6: 2, 7: 3})
    entries = {
        int.from_bytes(key, "little"): int.from_bytes(value, "little")
        for key, value in probe._workers.items()
    }
    assert entries == {6: 2, 7: 3}


def test_ten_thousand_short_lived_threads_do_not_fill_the_map(child: Child, probe: Probe) -> None:
    child.ask("short 10000")
    assert probe.counters.threads_full == 0
    until(lambda: states(probe).keys() <= thread_ids(child.pid))
    assert len(states(probe)) < 20


def test_forgotten_threads(child: Child, probe: Probe) -> None:
    tid = int(child.ask("sleeper 60000"))
    until(lambda: tid in states(probe))
    time.sleep(0.1)  # it sleeps by now, and makes no new entry
    probe.forget_threads([tid, 1 << 29])
    assert tid not in states(probe)


def test_killed_target(child: Child, probe: Probe) -> None:
    for _ in range(3):
        child.ask("sleeper 2")
    child.ask("spinner")
    child.process.kill()
    child.process.wait()
    until(lambda: not states(probe))
    probe.events()
    time.sleep(0.05)
    assert probe.events() == []


# --------------------------------------------------------------------------- the end


def test_nothing_comes_after_detach_and_the_maps_stay(child: Child, probe: Probe) -> None:
    sleeper = int(child.ask("sleeper 1"))
    child.ask("spinner")
    until(lambda: probe.counters.switches > 50 and sleeper in states(probe))
    probe.detach()
    probe.events()
    switches = probe.counters.switches
    time.sleep(0.1)
    assert probe.events() == []
    assert probe.counters.switches == switches
    assert sleeper in states(probe)
    probe.attach(99)
    until(lambda: probe.counters.switches > switches + 10)


def test_the_verifier_has_no_more_to_do_than_it_must(probe: Probe) -> None:
    """It is most of what the kernel does at an attach; with the parts inlined it is 115,000."""
    steps = {}
    for name, program in probe._loaded.programs.items():
        info = uapi.bpf_prog_info()
        syscalls.obj_get_info(program.fileno(), info)
        steps[name] = info.verified_insns
    assert sum(steps.values()) < 60_000, steps


def test_close_leaves_no_program_and_no_descriptor(child: Child) -> None:
    before = descriptors()
    with load(child.pid) as probe:
        probe.attach(99)
        held = programs_held()
        assert len(held) == len(PROGRAMS)
        assert all(program_exists(number) for number in held)
    del probe
    until(lambda: not any(program_exists(number) for number in held))
    assert descriptors() == before


def test_refused_load_leaves_nothing(child: Child) -> None:
    before = descriptors()
    with pytest.raises(KernelError) as caught:
        Probe(
            OBJECT.read_bytes(),
            Path("/dev/null"),
            tgid=child.pid,
            threshold_ns=1,
            text_bytes=1 << 20,
        )
    del caught
    assert programs_held() == set()
    assert descriptors() == before


def test_stacks_that_were_fetched_make_room(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    from hud.probe import probe as module

    monkeypatch.setattr(module, "STACKS_KEPT", 3)
    with load(child.pid) as probe:
        probe.config.every_thread = 1
        probe.attach(997)
        child.ask("spinner")
        met: set[int] = set()

        def enough() -> bool:
            met.update(s.stack for s in probe.events() if s.stack)
            for key in met:
                probe.stack(key)
            if probe.crowded:
                probe.make_room(met)
            return len(met) > 12

        until(enough)
        assert len(list(probe._stacks.items())) <= len(met)
    assert len(met) > 12


def test_new_code_is_told_at_once_and_not_too_often(probe: Probe, child: Child) -> None:
    poll = select.poll()
    poll.register(probe.fileno(), select.POLLIN)
    child.ask("sleeper 20")
    until(probe.code_changed)  # what it had at the attach
    assert not probe.code_changed()
    probe.events()
    child.ask("code")
    assert poll.poll(20_000)  # woken
    assert probe.code_changed()
    assert not poll.poll(0)
    probe.config.code_after_ns = time.monotonic_ns() + 300_000_000
    child.ask("code")
    assert not poll.poll(150)
    assert poll.poll(20_000)
    probe.events()
    assert probe.code_changed()


def test_a_ring_that_fills_wakes_long_before_it_is_full(probe: Probe, child: Child) -> None:
    poll = select.poll()
    poll.register(probe.fileno(), select.POLLIN)
    child.ask("spinner")
    until(probe.code_changed)
    probe.events()
    probe.sample_at(4000)
    assert poll.poll(20_000)
    assert not probe.code_changed()  # that is not what it was woken for
    assert probe.counters.ring_full == 0
    assert 1_800 <= len(probe.events()) < 12_000
    assert poll.poll(20_000)  # and again, from an empty one on


def test_threads_of_which_none_has_run_are_not_read_again(probe: Probe, child: Child) -> None:
    sleeper = int(child.ask("sleeper 600000"))
    until(lambda: not probe.threads(time.monotonic_ns()).moved)
    now = time.monotonic_ns()
    (before,) = (one for one in probe.threads(now).states if one.tid == sleeper)
    read = probe.threads(now + 7)
    (after,) = (one for one in read.states if one.tid == sleeper)
    assert not read.moved
    assert after.split.unknown_asleep_ns == before.split.unknown_asleep_ns + 7
    child.ask("sleeper 1")
    assert probe.threads(time.monotonic_ns()).moved
