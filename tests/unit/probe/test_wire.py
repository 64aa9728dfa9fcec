"""The structs of hud.probe.wire against the types in the compiled objects, and against event.h.

clang describes the types of maps, globals and functions; an event and the enums are none of these,
so that theirs are read in the source (the manifest holds sources and objects together).
"""

from __future__ import annotations

import ctypes
import re
import struct
from pathlib import Path

import pytest

from hud.kernel.btf import STRUCT, VAR, Btf
from hud.kernel.elf import parse_object
from hud.model import FILE_TYPE, Kind, Sample, SampleFlag, ThreadState, TimeSplit, Where
from hud.probe import unwind, wire
from hud.probe.probe import state_of

ROOT = Path(__file__).resolve().parents[3]
PREBUILT = ROOT / "prebuilt"
SOURCE = "".join((ROOT / "bpf_src" / name).read_text() for name in ("event.h", "state.h"))
SOURCE = re.sub(r"/\*.*?\*/", "", SOURCE, flags=re.DOTALL)
MAPS = ("threads", "stacks", "culprits", "mappings", "waits")
OBJECTS = ("hud-x86_64.bpf.o", "hud-aarch64.bpf.o")


@pytest.fixture(params=OBJECTS, scope="module")
def types(request: pytest.FixtureRequest) -> Btf:
    btf = parse_object((PREBUILT / request.param).read_bytes(), request.param).btf
    assert btf is not None
    return btf


def members(types: Btf, name: str) -> dict[str, tuple[int, int]]:
    """name -> (offset, size) of the members of a struct, and its own size as ``""``."""
    (number,) = types.named(name, (STRUCT,))
    record = types.type(number)
    found = {
        types.name(member.name_offset): (member.bit_offset // 8, types.size(member.type_id))
        for member in types.members(record)
    }
    return {**found, "": (0, record.size_or_type)}


def declared(kind: str, name: str) -> str:
    """What stands between the braces of a struct or enum in the source."""
    found = re.search(rf"^{kind} {name} {{(.*?)^}}", SOURCE, re.DOTALL | re.MULTILINE)
    assert found, name
    return found[1]


def enumerators(name: str) -> dict[str, int]:
    return {key: int(value) for key, value in re.findall(r"(\w+) = (\d+),", declared("enum", name))}


def declared_event() -> dict[str, tuple[int, int]]:
    """name -> (offset, size), by the ABI's natural alignment."""
    found, at = {}, 0
    for bits, name in re.findall(r"__u(\d+) (\w+);", declared("struct", "event")):
        size = int(bits) // 8
        at = -(-at // size) * size
        found[name] = at, size
        at += size
    return found


def items(form: struct.Struct) -> list[tuple[int, int, int]]:
    """(offset, size, how many) of each item of a struct format, pads included."""
    found, at = [], 0
    for count, code in re.findall(r"(\d*)([A-Za-z])", form.format.lstrip("<")):
        times = int(count or 1)
        if code in "sx":
            found.append((at, times, 1))
            at += times
        else:
            size = struct.calcsize("<" + code)
            found += [(at + size * number, size, 1) for number in range(times)]
            at += size * times
    assert at == form.size
    return found


def ctypes_members(kind: type[ctypes.Structure]) -> dict[str, tuple[int, int]]:
    found = {
        name: (getattr(kind, name).offset, getattr(kind, name).size) for name, *_ in kind._fields_
    }
    return {**found, "": (0, ctypes.sizeof(kind))}


def test_event_is_a_sample() -> None:
    layout = declared_event()
    assert tuple(layout) == Sample._fields
    assert list(layout.values()) == [(at, size) for at, size, _ in items(wire.EVENT)]
    assert sum(layout["flags"]) == wire.EVENT.size == 64


def test_every_field_of_an_event_reaches_its_field_of_a_sample() -> None:
    data = bytearray(wire.EVENT.size)
    for number, (at, size) in enumerate(declared_event().values(), 1):
        data[at : at + size] = number.to_bytes(size, "little")
    assert Sample._make(wire.EVENT.unpack(data)) == tuple(range(1, 13))


def test_stack(types: Btf) -> None:
    layout = members(types, "stack")
    assert layout == {
        "count": (0, 4),
        "stop": (4, 4),
        "addresses": (wire.STACK_HEAD.size, 8 * wire.MAX_FRAMES),
        "": (0, wire.STACK_SIZE),
    }


def test_thread(types: Btf) -> None:
    layout = members(types, "thread")
    assert layout.pop("") == (0, wire.THREAD.size)
    assert sum(layout.pop("pad")) == wire.THREAD.size  # no padding but that
    assert tuple(layout) == wire.Thread._fields


def test_every_field_of_a_thread_is_decoded(types: Btf) -> None:
    layout = members(types, "thread")
    data = bytearray(wire.THREAD.size)
    expected: dict[str, object] = {}
    for number, name in enumerate(wire.Thread._fields, 1):
        at, size = layout[name]
        if name in ("asleep_ns", "samples"):
            values = [1000 * number + index for index in range(len(Where))]
            data[at : at + size] = struct.pack("<6Q", *values)
            expected[name] = tuple(values)
        elif name == "other_comm":
            data[at : at + size] = expected[name] = b"0123456789abcde\0"
        else:
            data[at : at + size] = number.to_bytes(size, "little")
            expected[name] = number
    assert wire.decode_thread(bytes(data))._asdict() == expected
    assert wire.encode_thread(wire.decode_thread(bytes(data))) == bytes(data)


@pytest.mark.parametrize(
    ("name", "form"), [("mapping", wire.MAPPING), ("name", wire.NAME)], ids=["mapping", "name"]
)
def test_formats(types: Btf, name: str, form: struct.Struct) -> None:
    layout = members(types, name)
    assert layout.pop("") == (0, form.size)
    assert list(layout.values()) == [(at, size) for at, size, _ in items(form)]


def test_order_of_a_mapping(types: Btf) -> None:
    names = [name for name in members(types, "mapping") if name]
    assert names == ["start", "end", "bias", "rows", "buckets", "count", "pad"]
    assert [name for name in members(types, "name") if name] == ["tgid", "comm"]


def test_rows_and_buckets(types: Btf) -> None:
    assert members(types, "row") == {"pc": (0, 4), "rule": (4, 4), "": (0, wire.ROW_SIZE)}
    assert members(types, "bucket") == {"first": (0, 4), "last": (4, 4), "": (0, wire.BUCKET_SIZE)}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("layout", wire.Layout), ("config", wire.Config), ("counters", wire.Counters)],
    ids=["layout", "config", "counters"],
)
def test_mapped_structs(types: Btf, name: str, kind: type[ctypes.Structure]) -> None:
    assert ctypes_members(kind) == members(types, name)
    (variable,) = types.named(name, (VAR,)) or [0]
    if variable:
        assert types.size(variable) == ctypes.sizeof(kind)


@pytest.mark.parametrize("name", ["config", "counters"])
def test_config_and_counters_are_variables_that_user_space_maps(name: str) -> None:
    for object_name in OBJECTS:
        spec = parse_object((PREBUILT / object_name).read_bytes(), object_name)
        kind = {"config": wire.Config, "counters": wire.Counters}[name]
        assert spec.variables[name].size == ctypes.sizeof(kind)
        assert spec.variables[name].offset % 8 == 0


@pytest.mark.parametrize(
    ("name", "prefix", "expected"),
    [
        ("event_kind", "EVENT_", {kind.name: kind.value for kind in Kind}),
        ("where", "WHERE_", {where.name: where.value for where in Where}),
        ("event_flags", "FLAG_", {flag.name: flag.value for flag in SampleFlag}),
        (
            "scheduling",
            "SCHED_",
            {
                "UNSEEN": wire.SCHED_UNSEEN,
                "RUNNING": wire.SCHED_RUNNING,
                "ASLEEP": wire.SCHED_ASLEEP,
                "RUNNABLE": wire.SCHED_RUNNABLE,
            },
        ),
    ],
)
def test_enums(name: str, prefix: str, expected: dict[str, int]) -> None:
    found = enumerators(name)
    assert {key.removeprefix(prefix): value for key, value in found.items()} == expected


STOPS = {
    "STOP_COMPLETE": "",
    "STOP_NO_RULE": "no unwind rule",
    "STOP_UNREADABLE": "unreadable stack memory",
    "STOP_TOO_DEEP": "more than 128 frames",
    "STOP_NO_MAPPING": "code outside every known module",
    "STOP_FRAME_POINTER": "end of the frame pointers",
}


def test_words_for_every_stop() -> None:
    found = enumerators("stack_stop")
    assert {name: wire.STOPS[value] for name, value in found.items()} == STOPS
    assert len(wire.STOPS) == len(found)


def test_wait(types: Btf) -> None:
    layout = members(types, "wait")
    data = bytearray(wire.WAIT.size)
    assert layout.pop("") == (0, wire.WAIT.size)
    values = {"inode": 1, "device": 2, "mode": 3, "family": 4, "port": 5, "local": 6, "rooted": 7}
    for name, number in {**values, "names": 2, "frames": 3}.items():
        at, size = layout[name]
        data[at : at + size] = number.to_bytes(size, "little")
    data[slice(layout["peer"][0], sum(layout["peer"]))] = bytes(range(16))
    at, size = layout["kernel"]
    assert size == 8 * wire.WAIT_FRAMES
    data[at : at + 32] = struct.pack("<4Q", 11, 12, 13, 14)
    at, size = layout["name"]
    assert size == wire.WAIT_NAMES * wire.WAIT_NAME
    for number, name in enumerate((b"file\0rubbish", b"directory")):
        start = at + number * wire.WAIT_NAME
        data[start : start + len(name)] = name
    expected = (*values.values(), (b"file", b"directory"), (11, 12, 13), bytes(range(16)))
    assert wire.decode_wait(bytes(data)) == expected


def test_numbers_beside_those_of_system_calls() -> None:
    for name in ("NOT_A_SYSCALL", "STOPPED"):
        assert f"#define {name} {getattr(wire, name):#x}" in SOURCE
    assert f"#define FLAGS_FILE_TYPE {FILE_TYPE:#x} " in SOURCE


@pytest.mark.parametrize("object_name", OBJECTS)
def test_map_values(object_name: str) -> None:
    maps = parse_object((PREBUILT / object_name).read_bytes(), object_name).maps
    sizes = {name: maps[name].value_size for name in MAPS}
    assert sizes == {
        "threads": wire.THREAD.size,
        "stacks": wire.STACK_SIZE,
        "culprits": wire.NAME.size,
        "mappings": wire.MAPPING.size,
        "waits": wire.WAIT.size,
    }
    assert maps["mappings"].max_entries == wire.MAX_MAPPINGS == 2 * unwind.GENERATION


# --------------------------------------------------------------------------- what a thread does now


def thread(**fields: object) -> wire.Thread:
    blank = wire.decode_thread(bytes(wire.THREAD.size))
    return blank._replace(syscall=wire.NOT_A_SYSCALL, **fields)


def test_time_of_the_present_state_is_added() -> None:
    running = thread(tid=7, sched=1, since_ns=100, cpu_ns=50, where=3, samples=(0, 0, 0, 1, 0, 0))
    assert state_of(running, 130, True) == ThreadState(
        tid=7,
        where=Where.POLL,
        running=True,
        runnable=False,
        since_ns=100,
        poll_start_ns=0,
        task_id=0,
        split=TimeSplit(poll_cpu_ns=80),
    )
    asleep = running._replace(
        sched=2, asleep_ns=(0, 1, 2, 4, 8, 16), stack=9, syscall=35, argument=6
    )
    state = state_of(asleep, 130, True)
    assert (state.asleep_stack, state.syscall, state.running) == (9, 35, False)
    assert state.argument == 6
    assert state.split == TimeSplit(
        poll_cpu_ns=50, poll_asleep_ns=4 + 8 + 30, parked_ns=2, allowed_ns=16, outside_ns=1
    )
    runnable = state_of(asleep._replace(sched=3), 130, True)
    assert (runnable.runnable, runnable.asleep_stack) == (True, 0)
    assert runnable.split.waiting_ns == 30
    assert runnable.split.poll_asleep_ns == 12


def test_cpu_time_is_split_by_the_samples_and_nothing_gets_lost() -> None:
    busy = thread(cpu_ns=1001, samples=(1, 1, 2, 2, 1, 3))
    split = state_of(busy, 0, True).split
    assert split == TimeSplit(poll_cpu_ns=300, allowed_ns=300, unknown_cpu_ns=100, runtime_ns=301)
    assert split.total_ns() == 1001


@pytest.mark.parametrize(("known", "field"), [(True, "runtime_ns"), (False, "unknown_cpu_ns")])
def test_without_any_sample(known: bool, field: str) -> None:
    assert getattr(state_of(thread(cpu_ns=10), 0, known).split, field) == 10


@pytest.mark.parametrize(
    "odd",
    [
        thread(sched=1, since_ns=200, cpu_ns=5),  # the kernel was quicker than the clock
        thread(sched=0, since_ns=0, cpu_ns=5),
        thread(sched=1, since_ns=0, cpu_ns=5, exited=1),
    ],
)
def test_no_time_is_invented(odd: wire.Thread) -> None:
    assert state_of(odd, 100, True).split == TimeSplit(runtime_ns=5)


def test_where_that_no_enum_has() -> None:
    assert state_of(thread(where=77, sched=2, since_ns=0), 5, True).where is Where.UNKNOWN
