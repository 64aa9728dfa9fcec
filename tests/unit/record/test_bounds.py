"""Numbers that no run can have seen, and more rows than fit, end where a recording is read."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hud.errors import FormatError
from hud.model import BUCKETS, Batch, PollStats
from hud.record import bounds
from hud.record.format import RECORD, Decoder, Encoder, RecordKind
from tests import peak

from .recordings import START, chunk

if TYPE_CHECKING:
    from types import ModuleType

LAST = bounds.LAST_NS - 1
MANY = bounds.MOST_ROWS + 1


def decode(*records: bytes) -> list[object]:
    return list(Decoder().entries(b"".join(records)))


def record(kind: RecordKind, value: object) -> bytes:
    body = msgspec.msgpack.encode(value)
    return RECORD.pack(kind, len(body)) + body


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(
            (name, wrong)
            for name in ("start_monotonic_ns", "start_unix_ns")
            for wrong in (-1, 1 << 62)
        ),
        *(
            (name, wrong)
            for name in ("threshold_ns", "sample_period_ns")
            for wrong in (-1, 1 << 62)
        ),
        *(("window_ns", wrong) for wrong in (-1, 1 << 62)),
        *(("clock_ticks", wrong) for wrong in (0, -1)),
    ],
)
def test_how_no_run_begins(name: str, wrong: int, build: ModuleType) -> None:
    info = build.info()
    assert decode(Encoder().begin(replace(info, **{name: 5}))) == [replace(info, **{name: 5})]
    with pytest.raises(FormatError, match="begin of a run"):
        decode(Encoder().begin(replace(info, **{name: wrong})))


@pytest.mark.parametrize(
    ("name", "last"),
    [
        *((name, LAST) for name in ("since_ns", "poll_start_ns", "slept_ns", "waited_ns")),
        ("tid", (1 << 32) - 1),
        ("task_id", (1 << 64) - 1),
        ("asleep_stack", (1 << 64) - 1),
        ("file_type", 0xFFFF),
        ("doubts", 0xFFFF),
    ],
)
def test_states_of_no_thread(name: str, last: int, build: ModuleType) -> None:
    (entry,) = decode(*Encoder().batch(Batch(states=[replace(build.state(7), **{name: last})])))
    assert isinstance(entry, Batch)
    assert entry.states
    assert getattr(entry.states[0], name) == last
    for wrong in {-1, last + 1} - {1 << 64}:
        with pytest.raises(FormatError, match="makes no sense"):
            decode(*Encoder().batch(Batch(states=[replace(build.state(7), **{name: wrong})])))


@pytest.mark.parametrize("name", ["time_ns", "duration_ns", "poll_start_ns"])
def test_samples_of_no_moment(name: str, build: ModuleType) -> None:
    sample = build.cpu(7, 5_000, 1)
    assert decode(*Encoder().batch(Batch(samples=[sample._replace(**{name: LAST})])))
    with pytest.raises(FormatError, match="a sample"):
        decode(*Encoder().batch(Batch(samples=[sample, sample._replace(**{name: LAST + 1})])))


@pytest.mark.parametrize(
    "batch",
    [
        Batch(threshold_ns=-1),
        Batch(sample_period_ns=1 << 62),
        Batch(cost=(-1, 5)),
        Batch(cost=(5, 1 << 63)),
        Batch(polls=[PollStats(1, -1, 2, 3, ())]),
        Batch(polls=[PollStats(1, 1, 2, 3, (0, 1 << 63))]),
        Batch(polls=[PollStats(1, 1, 2, 3, (0,) * (BUCKETS + 1))]),
    ],
)
def test_batches_of_no_run(batch: Batch) -> None:
    with pytest.raises(FormatError, match=r"cannot be|buckets"):
        decode(*Encoder().batch(batch))


@pytest.mark.parametrize(
    "fields",
    [
        {"names": dict.fromkeys(range(MANY), "x")},
        {"died": [1] * MANY},
        {"withdrawn": [1] * MANY},
        {"notes": ["x"] * MANY},
        {"task_ids": dict.fromkeys(range(MANY), 1)},
        {"new_frames": [{"address": 1}] * MANY},
        {"rows": {number: ([], True, "", None) for number in range(MANY)}},
        {"sample_bytes": bytes(64 * MANY)},
        {"columns": msgspec.msgpack.encode({"tid": [1] * MANY})},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_more_rows_than_the_kernel_has(fields: dict[str, Any]) -> None:
    kind = RecordKind.PASSING if "columns" in fields else RecordKind.BATCH
    with pytest.raises(FormatError, match=r"of length <= 65536|65537 samples"):
        decode(record(kind, fields))


def test_stacks_that_are_too_deep() -> None:
    frames = [{"address": 1}]
    for addresses, named in ((129, 0), (1, 2049)):
        rows = {7: ([1] * addresses, True, "", [0] * named)}
        with pytest.raises(FormatError, match="too deep"):
            decode(record(RecordKind.BATCH, {"new_frames": frames, "rows": rows}))
    rows = {7: ([1] * 128, True, "", [0] * 2048)}
    assert decode(record(RecordKind.BATCH, {"new_frames": frames, "rows": rows}))


def test_what_stacks_refer_to_is_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_REFERENCES", 100)

    def stacks(keys: Iterable[int]) -> bytes:
        return record(RecordKind.BATCH, {"rows": {key: ([1] * 10, True, "", None) for key in keys}})

    assert len(decode(*[stacks(range(10))] * 5)) == 5, "the same ones again"
    with pytest.raises(FormatError, match="more stacks than fit"):
        decode(stacks(range(10)), stacks([10]))


def test_frames_and_lines_of_code_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_FRAMES", 10)
    frames = record(RecordKind.BATCH, {"new_frames": [{"address": 1}] * 5})
    assert len(decode(frames, frames)) == 2
    with pytest.raises(FormatError, match="more frames than fit"):
        decode(frames, frames, frames)
    lines = [(1, "x")] * (bounds.MOST_LINES + 1)
    with pytest.raises(FormatError, match="more code"):
        decode(record(RecordKind.BATCH, {"code": [{"address": 1, "source": lines}]}))


def states(first: int) -> bytes:
    many = bounds.MOST_ROWS
    zeros, names = [0] * many, ("where", "since_ns", "poll_start_ns", "task_id")
    columns = {"tid": list(range(first, first + many)), **dict.fromkeys(names, zeros)}
    columns |= {"running": [True] * many, "runnable": [False] * many}
    passing = record(RecordKind.PASSING, {"columns": msgspec.msgpack.encode(columns)})
    return passing + record(RecordKind.BATCH, {"time_ns": first})


def stacks(first: int) -> bytes:
    rows = {key: ([1], True, "", [0] * 2000) for key in range(first, first + 2000)}
    return record(RecordKind.BATCH, {"new_frames": [{"address": 1}], "rows": rows})


def workers(first: int) -> bytes:
    many = range(first, first + bounds.MOST_ROWS)
    rows = [{"worker_id": tid, "tid": tid, "name": "w"} for tid in many]
    return record(RecordKind.BATCH, {"workers": rows})


@pytest.mark.parametrize("part", [states, stacks, workers])
def test_a_small_file_takes_no_gigabyte(part: Any, tmp_path: Path, build: ModuleType) -> None:
    """Half a megabyte at most, of what compresses best."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = START + chunk(Encoder().begin(build.info()), deflate)
    for at in range(4):
        data += chunk(part(at * bounds.MOST_ROWS), deflate)
    path = tmp_path / "bomb.hud"
    path.write_bytes(data)
    ran = peak.run(tmp_path, "info", path)
    assert ran.code == 0
    assert ran.megabytes < 400
