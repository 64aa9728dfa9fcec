"""What is written as records is read as the same values, by this version and by others."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hud.analysis.store import LAYOUT
from hud.errors import FormatError
from hud.model import (
    Batch,
    Code,
    Culprit,
    Detection,
    Frame,
    HostPressure,
    Losses,
    PollStats,
    Precision,
    Rung,
    RunInfo,
    Target,
    TaskCount,
    TaskKind,
    TasksRead,
    Where,
    Worker,
)
from hud.record.format import RECORD, Decoder, Encoder, End, Looked, RecordKind, WindowSet

if TYPE_CHECKING:
    from types import ModuleType

    from hud.record.format import Entry

LAST_64 = (1 << 64) - 1
PLACED = Frame(1, "db::get", file="src/db.rs", line=9, precision=Precision.DEFINITION)


def told_again(records: list[bytes]) -> list[Entry]:
    return list(Decoder().entries(b"".join(records)))


def full_batch(build: ModuleType) -> Batch:
    """A value in every field, the extremes among them."""
    cpu = build.cpu(7, 5_000, LAST_64, 4_000)
    return Batch(
        time_ns=9_000_000_000,
        samples=[cpu, cpu._replace(info=0xFFFFFFFF, task_id=LAST_64)],
        stacks={
            **build.STACKS,
            LAST_64: build.stack(build.unnamed(), complete=False),
            9: build.stack(replace(build.user("app::nap"), recovered=True, gap=True)),
            5: build.stack(PLACED),
        },
        workers=[Worker(0, 7, "tokio-rt-worker", "main")],
        names={7: "tokio-rt-worker", 8: "ünï\x1b[31m"},
        starters={7: "serves::one_request"},
        culprits=[Culprit(9, 8, "stress-ng")],
        died=[11],
        withdrawn=[12],
        ended="target exited (status 0)",
        detection=Detection(Rung.NAMES, "4 threads", ("1.54.1",)),
        target=Target(1, "x", "/bin/x", 99),
        states=[
            build.state(7, where=Where.POLL, running=True, poll_start_ns=4_000, syscall=-1),
            build.state(8, split=build.TimeSplit(1, 2, 3, 4, 5, 6, 7, 8), asleep_stack=LAST_64),
        ],
        unseen_ns=10,
        losses=Losses(1, 2, 3, 4, 5, 6, 7, 8),
        cost=(10, 20),
        notes=("no debug info",),
        threshold_ns=1_000_000,
        threshold_from="3 x p99 0.2 ms",
        sample_period_ns=1_003_009,
        details={(7, 5_000): "/etc/hosts"},
        tasks=TasksRead(1, (TaskCount(5, 1, 2, 3, 4),), True, 3, ((7, 2),), 1, 1, 0),
        task_kinds=[TaskKind(5, "api::login", "src/main.rs:4", True)],
        task_ids={77: 5},
        polls=[PollStats(5, 10, 20, 30, (0, 1, 2))],
        exact="every poll",
        host=HostPressure(1, 2, 3, "0.5 CPUs"),
        code=[Code(1, ((4, "let x"),), "src/main.rs", 4, ((1, "call", "f"),), 1, "no source")],
    )


def values(batch: Batch) -> dict[str, Any]:
    return {one.name: getattr(batch, one.name) for one in fields(Batch)}


def test_every_field_of_a_batch_is_carried(build: ModuleType) -> None:
    batch = full_batch(build)
    empty = Batch()
    same = [name for name, value in values(batch).items() if value == getattr(empty, name)]
    assert same == [], "this test gives every field another value than the default"
    entries = told_again(Encoder().batch(batch))
    assert len(entries) == 1
    assert isinstance(entries[0], Batch)
    assert values(entries[0]) == values(batch)


def test_none_is_not_empty() -> None:
    (entry,) = told_again(Encoder().batch(Batch(time_ns=1, states=[], polls=[], notes=())))
    assert isinstance(entry, Batch)
    assert (entry.states, entry.polls, entry.notes) == ([], [], ())
    assert (entry.losses, entry.detection) == (None, None)


def test_a_batch_that_says_nothing_costs_nothing() -> None:
    assert Encoder().batch(Batch(time_ns=5)) == []


def test_the_other_entries(build: ModuleType) -> None:
    info: RunInfo = build.info(window_ns=30, notes=("a", "b"))
    encoder = Encoder()
    records = [
        encoder.begin(info),
        encoder.look(5),
        encoder.window(6),
        encoder.end(7, "quit"),
    ]
    assert told_again(records) == [info, Looked(5), WindowSet(6), End(7, "quit")]


def test_frames_are_told_once(build: ModuleType) -> None:
    encoder = Encoder()
    stack = build.STACKS[build.HASH]
    first = encoder.batch(Batch(stacks={1: stack}))
    second = encoder.batch(Batch(stacks={2: stack}))
    assert len(b"".join(second)) < len(b"".join(first)) / 4
    one, other = told_again(first + second)
    assert isinstance(one, Batch)
    assert isinstance(other, Batch)
    assert one.stacks[1] == other.stacks[2] == stack


def test_many_stacks_are_told_in_portions(build: ModuleType) -> None:
    stacks = dict.fromkeys(range(1, 5001), build.STACKS[build.HASH])
    records = Encoder().batch(Batch(time_ns=5, stacks=stacks, cost=(1, 2)))
    assert len(records) > 3
    found: dict[int, object] = {}
    for entry in told_again(records):
        assert isinstance(entry, Batch)
        found |= entry.stacks
    assert found == stacks
    assert isinstance(entry, Batch)
    assert (entry.time_ns, entry.cost) == (5, (1, 2))


def test_bytes_that_were_no_utf8_are_told_as_they_are_shown() -> None:
    (entry,) = told_again(Encoder().batch(Batch(names={3: "a\udcffb\ud800"})))
    assert isinstance(entry, Batch)
    assert entry.names == {3: "a\\xffb\\ud800"}


# --------------------------------------------------------------------------- other versions


def record(kind: int, value: object) -> bytes:
    body = msgspec.msgpack.encode(value)
    return RECORD.pack(kind, len(body)) + body


def test_unknown_kinds_and_fields_are_skipped(build: ModuleType) -> None:
    info = msgspec.to_builtins(build.info())
    columns = msgspec.msgpack.encode({"tid": [4], "mood": ["good"], "where": [2], "since_ns": [9]})
    with pytest.raises(FormatError, match="1 threads with 0 of running"):
        told_again([record(RecordKind.PASSING, {"columns": columns})])
    entries = told_again(
        [
            record(200, ["of a later version"]),
            record(RecordKind.BEGIN, {**info, "weather": {"rain": True}}),
            record(RecordKind.BATCH, {"names": {4: "x"}, "colour": [1, 2]}),
        ]
    )
    assert entries[0] == build.info()
    assert isinstance(entries[1], Batch)
    assert entries[1].names == {4: "x"}
    assert len(entries) == 2


def test_the_frames_of_an_earlier_version() -> None:
    """They say nothing of how well their place is known: it was the call's own line."""
    frame = msgspec.to_builtins(PLACED)
    del frame["precision"]
    rows = {7: ([1], True, "", [0])}
    (entry,) = told_again([record(RecordKind.BATCH, {"new_frames": [frame], "rows": rows})])
    assert isinstance(entry, Batch)
    assert entry.stacks[7].frames == (replace(PLACED, precision=Precision.EXACT),)


def test_samples_that_a_later_version_made_longer(build: ModuleType) -> None:
    sample = build.cpu(7, 5_000, 1)
    packed = (LAYOUT.pack(*sample) + b"\xff" * 8) * 2
    body = {"sample_bytes": packed, "sample_size": LAYOUT.size + 8}
    (entry,) = told_again([record(RecordKind.BATCH, body)])
    assert isinstance(entry, Batch)
    assert entry.samples == [sample, sample]


# --------------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        (RecordKind.BATCH, {"rows": {1: ([1], True, "", [0])}}, "frames that are not in the file"),
        (RecordKind.BATCH, {"rows": {1: ([1], True, "", [-1])}}, "frames that are not in the file"),
        (RecordKind.BATCH, {"sample_bytes": b"x" * 63}, "samples of a size"),
        (RecordKind.BATCH, {"sample_bytes": b"x", "sample_size": 0}, "samples of a size"),
        (RecordKind.BATCH, {"names": {4: 5}}, "makes no sense"),
        (RecordKind.BATCH, {"time_ns": -1}, "moment"),
        (RecordKind.BATCH, {"time_ns": 1 << 63}, "moment"),
        (RecordKind.LOOK, -5, "moment"),
        (RecordKind.END, [1], "makes no sense"),
        (RecordKind.BEGIN, {}, "makes no sense"),
        (RecordKind.PASSING, {"columns": b"\xc1"}, "makes no sense"),
    ],
)
def test_records_that_make_no_sense(kind: int, value: object, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        told_again([record(kind, value)])


def test_a_record_longer_than_its_chunk() -> None:
    with pytest.raises(FormatError, match="longer than its chunk"):
        told_again([RECORD.pack(RecordKind.LOOK, 10) + b"x"])
    with pytest.raises(FormatError, match="without its head"):
        told_again([b"\x04\x01"])
