"""Loading and attaching on the real kernel: each kind sees events, and nothing stays behind."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from hud.errors import KernelError, ObjectError
from hud.kernel import attach, btf, denied, features, syscalls
from hud.kernel.elf import parse_object
from hud.kernel.loader import load
from hud.kernel.maps import Map
from hud.kernel.ring import RingBuffer
from hud.kernel.spec import MapSpec

pytestmark = pytest.mark.kernel

EVENT = struct.Struct("<QQII")


@pytest.fixture(scope="module")
def kernel_types():
    return btf.kernel_btf()


@pytest.fixture(scope="module")
def kinds(compile_bpf):
    return parse_object(compile_bpf("kinds"), "kinds")


@pytest.fixture(scope="module")
def maps_object(compile_bpf):
    return parse_object(compile_bpf("maps"), "maps")


def descriptors() -> dict[str, str]:
    """What each descriptor of this process is, BPF programs and maps by their ids."""
    found = {}
    for path in Path("/proc/self/fdinfo").iterdir():
        with suppress(OSError):
            text = path.read_text()
            found[path.name] = " ".join(re.findall(r"(?:prog|map|link)_id:\s*\d+", text))
    return found


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


def program_exists(number: int) -> bool:
    try:
        return syscalls.prog_get_next_id(number - 1) == number
    except OSError as error:
        assert error.errno == errno.ENOENT
        return False


def function_in_libc(name: str) -> tuple[str, int]:
    """(path, file offset) of a function that this process can call."""
    maps = Path("/proc/self/maps").read_text()
    path = next(line.split()[-1] for line in maps.splitlines() if "libc.so" in line)
    with open(path, "rb") as file:
        image = ELFFile(file)
        value = image.get_section_by_name(".dynsym").get_symbol_by_name(name)[0]["st_value"]
        segment = next(
            part
            for part in image.iter_segments("PT_LOAD")
            if part["p_vaddr"] <= value < part["p_vaddr"] + part["p_filesz"]
        )
        return path, value - segment["p_vaddr"] + segment["p_offset"]


@pytest.fixture(scope="module")
def getppid():
    return function_in_libc("getppid")


def call_getppid(times: int) -> None:
    libc = ctypes.CDLL(None)
    for _ in range(times):
        libc.getppid()


def switch(times: int) -> None:
    for _ in range(times):
        time.sleep(0.001)


ATTACHMENTS = {
    "on_tracepoint": (
        1,
        lambda program, _, old: attach.attach_tracepoint(
            program, "sched", "sched_switch", old_way=old
        ),
    ),
    "on_raw": (2, lambda program, _, old: attach.attach_raw_tracepoint(program, "sched_switch")),
    "on_btf": (3, lambda program, _, old: attach.attach_tp_btf(program)),
    "on_perf": (
        4,
        lambda program, _, old: attach.attach_perf_event(program, period=1_000_000, old_way=old),
    ),
    "on_uprobe": (
        5,
        lambda program, place, old: attach.attach_uprobe(
            program, *place, pid=os.getpid(), old_way=old
        ),
    ),
    "on_uretprobe": (
        6,
        lambda program, place, old: attach.attach_uprobe(
            program, *place, pid=os.getpid(), on_return=True, old_way=old
        ),
    ),
}


@pytest.mark.parametrize("old_way", [False, True], ids=["link", "ioctl"])
@pytest.mark.parametrize("name", ATTACHMENTS)
def test_each_kind_sees_events_until_closed(kinds, kernel_types, getppid, name, old_way):
    kind, how = ATTACHMENTS[name]
    constants = {"target_tgid": os.getpid(), "stamp": 0xABCDEF0123456789}
    with load(kinds, programs=[name], constants=constants, btf=kernel_types) as loaded:
        assert list(loaded.programs) == [name]
        with RingBuffer(loaded.maps["events"], EVENT) as ring:
            with how(loaded.programs[name], getppid, old_way):
                switch(5)
                call_getppid(10)
                burn(0.1)
                readable, _, _ = select.select([ring], [], [], 5)
                assert readable
            events = ring.drain()
            switch(5)
            call_getppid(5)
            assert ring.drain() == []
        counters = {n: v.value for n, v in loaded.variables.items() if n.startswith("seen_")}
        seen = name.replace("on_", "seen_")
        assert {n: value for n, value in counters.items() if value} == {seen: len(events)}
        assert loaded.variables["hidden_counter"].value == len(events)
        assert {event[3] for event in events} == {kind}
        assert {event[1] for event in events} == {constants["stamp"]}
        if kind in (5, 6):
            assert [event[2] for event in events] == [threading.get_native_id()] * 10
        times = [event[0] for event in events]
        assert 0 < time.clock_gettime_ns(time.CLOCK_MONOTONIC) - max(times) < 60 * 10**9
        by_tid = {
            struct.unpack("<I", key)[0]: struct.unpack("<Q", value)[0]
            for key, value in loaded.maps["by_tid"].items()
        }
        assert sum(by_tid.values()) == len(events)
        slots = loaded.maps["per_cpu"].per_cpu(loaded.maps["per_cpu"].lookup(bytes(4)))
        assert sum(struct.unpack("<I", slot)[0] for slot in slots) == len(events)


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_uprobe_of_a_process_sees_its_other_threads(kinds, getppid):
    constants = {"target_tgid": os.getpid()}
    with load(kinds, programs=["on_uprobe"], constants=constants) as loaded:
        with attach.attach_uprobe(loaded.programs["on_uprobe"], *getppid, pid=os.getpid()):
            thread = threading.Thread(target=call_getppid, args=(7,))
            thread.start()
            thread.join()
        assert loaded.variables["seen_uprobe"].value == 7


@pytest.mark.parametrize("old_way", [False, True], ids=["link", "ioctl"])
def test_return_comes_after_the_entry(kinds, old_way):
    """Entry and return of a function that sleeps 20 ms are 20 ms apart."""
    place, pid = function_in_libc("usleep"), os.getpid()
    names = ["on_uprobe", "on_uretprobe"]
    with (
        load(kinds, programs=names, constants={"target_tgid": pid}) as loaded,
        RingBuffer(loaded.maps["events"], EVENT) as ring,
    ):
        entry, back = (loaded.programs[name] for name in names)
        with (
            attach.attach_uprobe(entry, *place, pid=pid, old_way=old_way),
            attach.attach_uprobe(back, *place, pid=pid, on_return=True, old_way=old_way),
        ):
            ctypes.CDLL(None).usleep(20_000)
        (entered, *_, first), (returned, *_, second) = ring.drain()
        assert (first, second) == (5, 6)
        assert returned - entered >= 20_000_000


def test_live_ring_goes_round_many_times(kinds, getppid):
    """Every event arrives once and in order, whatever the position in the ring."""
    constants = {"target_tgid": os.getpid()}
    sizes = {"events": 4096}  # 128 records
    with (
        load(kinds, programs=["on_uprobe"], constants=constants, map_entries=sizes) as loaded,
        RingBuffer(loaded.maps["events"], EVENT) as ring,
    ):
        events = []
        with attach.attach_uprobe(loaded.programs["on_uprobe"], *getppid, pid=os.getpid()):
            for number in range(100):
                call_getppid(number)
                events += ring.drain()
        assert loaded.variables["seen_uprobe"].value == len(events) == sum(range(100))
        assert [event[0] for event in events] == sorted(event[0] for event in events)
        assert ring.reader.odd == 0
        ring.close()
        with pytest.raises(ValueError, match="released"):
            ring.drain()


def test_samples_of_one_thread(kinds):
    constants = {"target_tgid": os.getpid()}
    with load(kinds, programs=["on_perf"], constants=constants) as loaded:
        program = loaded.programs["on_perf"]
        with attach.attach_perf_event(program, frequency=999, pid=threading.get_native_id()):
            burn(0.2)
        assert 50 < loaded.variables["seen_perf"].value < 400


def test_everything_at_once_and_nothing_after(kinds, kernel_types):
    with load(kinds, btf=kernel_types) as loaded:
        numbers = [program.id() for program in loaded.programs.values()]
        assert len(set(numbers)) == 6
        assert all(map(program_exists, numbers))
    deadline = time.monotonic() + 10
    while any(map(program_exists, numbers)) and time.monotonic() < deadline:
        time.sleep(0.01)  # the kernel frees programs after a grace period
    assert not any(map(program_exists, numbers))


def test_variables(kinds, kernel_types):
    constants = {"target_tgid": 1, "seen_raw": 100}
    with load(kinds, programs=["on_raw"], constants=constants) as loaded:
        assert loaded.variables["target_tgid"].value == 1
        assert loaded.variables["stamp"].value == 7
        assert loaded.variables["seen_raw"].value == 100
        loaded.variables["seen_raw"].write(2**64 - 1)
        assert loaded.variables["seen_raw"].read() == b"\xff" * 8
        with pytest.raises(ObjectError, match="read-only once loaded"):
            loaded.variables["stamp"].write(1)
        with pytest.raises(ObjectError, match="does not fit in 8 bytes"):
            loaded.variables["seen_raw"].write(2**64)
        with pytest.raises(OSError, match="not permitted"):
            loaded.maps[".rodata"].update(bytes(4), bytes(16))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"programs": ["nobody"]}, "no program nobody"),
        ({"constants": {"nothing": 1}}, "no variable nothing"),
        ({"constants": {"target_tgid": 1 << 32}}, "does not fit in 4 bytes"),
        ({"constants": {"target_tgid": b"12345"}}, "5 bytes given, it has 4"),
        ({"map_entries": {"lost": 1}}, "no map lost"),
    ],
)
def test_wrong_names_and_values(kinds, arguments, message):
    with pytest.raises(ObjectError, match=message):
        load(kinds, **arguments)


def test_map_sizes_are_overridden(kinds):
    with load(kinds, programs=["on_raw"], map_entries={"by_tid": 3, "events": 8192}) as loaded:
        table = loaded.maps["by_tid"]
        assert table.spec.max_entries == 3
        for number in range(3):
            table.update(struct.pack("<I", number), bytes(8))
        with pytest.raises(OSError, match=None) as full:
            table.update(struct.pack("<I", 3), bytes(8))
        assert full.value.errno == errno.E2BIG


def test_rejected_program_quotes_the_verifier(maps_object):
    with pytest.raises(KernelError) as error:
        load(maps_object, programs=["enter", "wild"])
    assert str(error.value).startswith("load program wild: rejected by the verifier: R")
    assert "invalid mem access 'map_value_or_null'" in str(error.value)
    assert "bpf_map_lookup_elem#1" in error.value.detail


def test_tp_btf_without_types_and_with_the_wrong_ones(kinds, btf_of_nothing):
    with pytest.raises(KernelError, match=r"kernel types \(BTF\) needed"):
        load(kinds, programs=["on_raw", "on_btf"])
    with pytest.raises(KernelError, match="no tracepoint sched_switch"):
        load(kinds, programs=["on_raw", "on_btf"], btf=btf_of_nothing)


@pytest.fixture
def btf_of_nothing():
    return btf.Btf(struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, 1) + b"\0", "nothing")


def test_wrong_places(kinds, getppid, tmp_path):
    path, _ = getppid
    with load(kinds, programs=["on_tracepoint", "on_raw", "on_uprobe", "on_perf"]) as loaded:
        programs = loaded.programs
        with pytest.raises(KernelError, match="tracepoint sched/none not found"):
            attach.attach_tracepoint(programs["on_tracepoint"], "sched", "none")
        with pytest.raises(KernelError, match=r"tracepoint sched/sched_switch not found"):
            attach.attach_tracepoint(
                programs["on_tracepoint"], "sched", "sched_switch", tracefs_root=tmp_path
            )
        with pytest.raises(KernelError, match="raw tracepoint none: this kernel does not have it"):
            attach.attach_raw_tracepoint(programs["on_raw"], "none")
        with pytest.raises(KernelError, match="outside the file"):
            attach.attach_uprobe(programs["on_uprobe"], path, 1 << 40)
        with pytest.raises(KernelError, match="no such file"):
            attach.attach_uprobe(programs["on_uprobe"], str(tmp_path / "absent"), 0)
        with pytest.raises(KernelError, match="the process is gone"):
            attach.attach_perf_event(programs["on_perf"], frequency=99, pid=2**22 - 1)
        with pytest.raises(ValueError, match="either a frequency or a period"):
            attach.attach_perf_event(programs["on_perf"])


def test_wrong_ring_size_and_impossible_maps():
    with pytest.raises(KernelError, match="not a power of two of pages"):
        Map.create(MapSpec("events", 27, 0, 0, 5000))
    with pytest.raises(KernelError, match="create map odd: invalid argument"):
        Map.create(MapSpec("odd", 1, 0, 0, 1))


def test_killed_without_warning_leaves_nothing(compile_bpf, tmp_path):
    """A process that dies by SIGKILL takes its programs with it: nothing is pinned."""
    (tmp_path / "kinds.o").write_bytes(compile_bpf("kinds"))
    script = (
        "import sys, time; from pathlib import Path\n"
        "from hud.kernel import attach, elf, loader\n"
        "spec = elf.parse_object(Path(sys.argv[1]).read_bytes(), 'kinds')\n"
        "loaded = loader.load(spec, programs=['on_raw', 'on_tracepoint'])\n"
        "links = [attach.attach_raw_tracepoint(loaded.programs['on_raw'], 'sched_switch'),\n"
        " attach.attach_tracepoint(loaded.programs['on_tracepoint'], 'sched', 'sched_switch')]\n"
        "print(*(program.id() for program in loaded.programs.values()), flush=True)\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "kinds.o")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with child:
        assert child.stdout is not None
        numbers = [int(word) for word in child.stdout.readline().split()]
        assert len(numbers) == 2
        assert all(map(program_exists, numbers))
        child.kill()
    deadline = time.monotonic() + 10
    while any(map(program_exists, numbers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(program_exists, numbers))


def test_without_privileges(compile_bpf, tmp_path):
    """The message of an ordinary user."""
    place = tmp_path / "kinds.o"
    place.write_bytes(compile_bpf("kinds"))
    script = (
        "import os, sys; from pathlib import Path\n"
        "from hud.errors import KernelError\n"
        "from hud.kernel import elf, loader\n"
        "spec = elf.parse_object(Path(sys.argv[1]).read_bytes(), 'kinds')\n"
        "os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "try: loader.load(spec, programs=['on_raw'])\n"
        "except KernelError as error: print(error, '|', error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(place)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    said, _, hint = done.stdout.partition(" | ")
    assert said.startswith("create map ")
    assert said.endswith("not permitted: not root")
    assert hint == f"{denied.AS_ROOT}\n"


def test_features_of_this_kernel(need):
    found = features.probe_all()
    assert [feature.name for feature in found] == [probe.name for probe in features.PROBES]
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    for feature in found:
        since = tuple(int(part) for part in feature.since.split("."))
        # A kernel newer than the feature has it, else the probe is wrong.
        if release >= since and not feature.name.startswith(("kernel types", "tracefs")):
            assert feature.ok, feature
        assert feature.ok == (feature.detail == "")
    features.require_needed()


def test_missing_feature_says_since_when(monkeypatch):
    def refuse(*_args, **_rest):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(syscalls, "map_create", refuse)
    with pytest.raises(KernelError) as error:
        features.require_needed()
    assert str(error.value) == "BPF ring buffer not supported (requires Linux 5.8)"
