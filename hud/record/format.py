"""The layout of a ``.hud`` file, and its values as bytes and back.

A file is ``MAGIC``, the version (two u16: major, minor) and then chunks: u32 length, u32 CRC-32 of
the payload, payload; all little-endian. The payloads are the pieces of one raw deflate stream,
each ending at a sync flush, so that whatever is on the disk up to the last whole chunk can be read.
Inflated, a payload is a row of records: u8 kind, u32 length, body in msgpack.

What a reader does not know it skips: kinds of records, and fields of their bodies. A change that
this does not cover raises the major version, and older readers refuse the file.

An *entry* is what a record says: how a run began, a batch, a *look* (a moment at which somebody
looked: the analysis depends on these), another window, the end.
"""

from __future__ import annotations

import re
import struct
from dataclasses import MISSING, dataclass, field, fields
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, get_type_hints

import msgspec

from hud.analysis.store import LAYOUT
from hud.errors import FormatError
from hud.model import Batch, Frame, RunInfo, Sample, Stack, ThreadState, TimeSplit
from hud.record import bounds
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAGIC = b"\x89hud\r\n\x1a\n"
MAJOR, MINOR = 1, 0
HEAD = struct.Struct("<8sHH")
CHUNK = struct.Struct("<II")
RECORD = struct.Struct("<BI")

MOST_CHUNK = 8 << 20
"""Bytes of a chunk's payload, inflated or not: the writer stays far below."""


class RecordKind(IntEnum):
    BEGIN = 1
    """A run begins, or begins anew: ``RunInfo``."""
    BATCH = 2
    """``Batch`` without its ``PASSING`` fields."""
    PASSING = 3
    """Those fields of the next batch."""
    LOOK = 4
    """A moment, ns."""
    WINDOW = 5
    """From here on the run is seen through another window, ns."""
    END = 6
    """The moment, ns, and the reason. Batches of what is learned later may follow."""


PASSING = ("states", "losses", "cost", "tasks", "polls", "host")
"""What a later batch replaces. All else of a batch adds up in a reader's memory."""


class Looked(NamedTuple):
    time_ns: int


class WindowSet(NamedTuple):
    window_ns: int


class End(NamedTuple):
    time_ns: int
    reason: str


Entry: TypeAlias = RunInfo | Batch | Looked | WindowSet | End


_STATE_FIELDS = tuple(one.name for one in fields(ThreadState) if one.name != "split")
_SPLIT_FIELDS = TimeSplit._fields


def _columns_type() -> Any:
    """Thread states by field, a list each: they are most of a file."""
    types: dict[str, Any] = {**get_type_hints(ThreadState), **get_type_hints(TimeSplit)}
    columns: Any = [
        (name, bounds.column(name, types[name]), []) for name in (*_STATE_FIELDS, *_SPLIT_FIELDS)
    ]
    return msgspec.defstruct("_Columns", columns)


@dataclass(slots=True)
class _Packed(Batch):
    """A batch as it is stored."""

    new_frames: list[Frame] = field(default_factory=list)
    """They get the next numbers, which count from 0 over the whole file."""
    rows: dict[int, tuple[list[int], bool, str, list[int] | None]] = field(default_factory=dict)
    """Stacks: addresses, complete, stop, numbers of frames."""
    columns: bytes = b""
    """The states."""
    sample_bytes: bytes = b""
    sample_size: int = LAYOUT.size
    """A later version may append to a sample."""


# msgspec reads the types of a class from here: those of the values, with their bounds
_Packed.__annotations__ = {
    name: bounds.rows(hint) for name, hint in get_type_hints(_Packed).items()
}


def _default(one: Any) -> object:
    return one.default_factory() if one.default is MISSING else one.default


_DEFAULTS = {one.name: _default(one) for one in fields(Batch)}
_APART = (*PASSING, "samples", "stacks")
_encode = msgspec.msgpack.Encoder().encode


# --------------------------------------------------------------------------- values to bytes


def _columns(states: list[ThreadState]) -> dict[str, list[Any]]:
    splits = [state.split for state in states]
    return {
        **{name: [getattr(state, name) for state in states] for name in _STATE_FIELDS},
        **{name: [getattr(split, name) for split in splits] for name in _SPLIT_FIELDS},
    }


def _states(columns: Any) -> list[ThreadState]:
    """The reverse; a column that is missing is the field's default."""
    count = len(columns.tid)

    def column(name: str, default: Any) -> list[Any]:
        values: list[Any] = getattr(columns, name)
        if not values and count and default is not MISSING:
            return [default] * count
        if len(values) != count:
            raise FormatError(f"recording: {count} threads with {len(values)} of {name}")
        return values

    splits = list(map(TimeSplit, *(column(name, 0) for name in _SPLIT_FIELDS)))
    return list(
        map(
            ThreadState,
            *(
                splits if one.name == "split" else column(one.name, one.default)
                for one in fields(ThreadState)
            ),
        )
    )


class Encoder:
    """Entries as records. Remembers which frames the file has already."""

    def __init__(self) -> None:
        self._numbers: dict[Frame, int] = {}

    def begin(self, info: RunInfo) -> bytes:
        return _record(RecordKind.BEGIN, info)

    def look(self, time_ns: int) -> bytes:
        return _record(RecordKind.LOOK, time_ns)

    def window(self, window_ns: int) -> bytes:
        return _record(RecordKind.WINDOW, window_ns)

    def end(self, time_ns: int, reason: str) -> bytes:
        return _record(RecordKind.END, (time_ns, reason))

    def batch(self, batch: Batch) -> list[bytes]:
        """Its records, none for a batch that says nothing."""
        values = {
            name: value
            for name, default in _DEFAULTS.items()
            if (value := getattr(batch, name)) is not None and value != default
        }
        values.pop("time_ns", None)
        if not values:
            return []
        passing = {name: values[name] for name in PASSING if name in values}
        if batch.states is not None:
            passing["columns"] = _encode(_columns(passing.pop("states")))
        kept = {name: value for name, value in values.items() if name not in _APART}
        kept["time_ns"] = batch.time_ns
        if batch.samples:
            kept["sample_bytes"] = b"".join(LAYOUT.pack(*sample) for sample in batch.samples)
        parts = _portions(list(batch.stacks.items()))
        records = [self._stacks(part) for part in parts[:-1]]
        if passing:
            records.append(_record(RecordKind.PASSING, passing))
        if parts:
            kept |= self._rows(parts[-1])
        records.append(_record(RecordKind.BATCH, kept))
        return records

    def _stacks(self, stacks: list[tuple[int, Stack]]) -> bytes:
        return _record(RecordKind.BATCH, self._rows(stacks))

    def _rows(self, stacks: list[tuple[int, Stack]]) -> dict[str, object]:
        numbers = self._numbers
        fresh: list[Frame] = []
        rows = {}
        for key, stack in stacks:
            named: list[int] | None = None
            if stack.frames is not None:
                named = []
                for frame in stack.frames:
                    number = numbers.get(frame)
                    if number is None:
                        number = numbers[frame] = len(numbers)
                        fresh.append(frame)
                    named.append(number)
            rows[key] = (stack.addresses, stack.complete, stack.stop, named)
        return {"new_frames": fresh, "rows": rows}


_FRAMES_AT_ONCE = 10_000


def _portions(stacks: list[tuple[int, Stack]]) -> list[list[tuple[int, Stack]]]:
    """For a record each, so that none comes near ``MOST_CHUNK``."""
    found: list[list[tuple[int, Stack]]] = []
    room = 0
    for key, stack in stacks:
        if room <= 0:
            found.append([])
            room = _FRAMES_AT_ONCE
        found[-1].append((key, stack))
        room -= 1 + len(stack.addresses) + len(stack.frames or ())
    return found


def _record(kind: RecordKind, value: object) -> bytes:
    try:
        body = _encode(value)
    except UnicodeEncodeError:
        body = _encode(_without_surrogates(value))
    return RECORD.pack(kind, len(body)) + body


_SURROGATE = re.compile("[\ud800-\udfff]")


def _without_surrogates(value: Any) -> Any:
    """Bytes of names that were not UTF-8, as they are shown; msgpack cannot carry them."""
    if isinstance(value, str):
        return _SURROGATE.sub(lambda found: printable(found[0]), value)
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(one) for one in value]
    if hasattr(value, "__dataclass_fields__"):
        return {one.name: _without_surrogates(getattr(value, one.name)) for one in fields(value)}
    return value


# --------------------------------------------------------------------------- bytes to values


class _Decoders(NamedTuple):
    info: msgspec.msgpack.Decoder[RunInfo]
    packed: msgspec.msgpack.Decoder[_Packed]
    columns: msgspec.msgpack.Decoder[Any]
    number: msgspec.msgpack.Decoder[int]
    end: msgspec.msgpack.Decoder[tuple[int, str]]


@lru_cache(maxsize=1)
def _decoders() -> _Decoders:
    of = msgspec.msgpack.Decoder
    return _Decoders(of(RunInfo), of(_Packed), of(_columns_type()), of(int), of(tuple[int, str]))


class Known(NamedTuple):
    """What a decoder knows at some place of a file."""

    frames: list[Frame]
    """The first so ``many``; later ones are added to the same list."""
    many: int
    passing: _Packed | None
    kept: int


class Decoder:
    """Records as entries, from the begin or as ``known`` before. FormatError for what does not make
    sense.
    """

    def __init__(self, known: Known | None = None) -> None:
        self._frames: list[Frame] = known.frames[: known.many] if known else []
        self._passing: _Packed | None = known.passing if known else None
        self._stacks = bounds.Stacks()
        self.kept = known.kept if known else 0
        """Bytes of all bodies that a reader may have to hold on to."""

    @property
    def known(self) -> Known:
        return Known(self._frames, len(self._frames), self._passing, self.kept)

    def entries(self, plain: bytes) -> Iterator[Entry]:
        """Those of one inflated payload; kinds that are not known are left out."""
        at = 0
        while at < len(plain):
            if len(plain) - at < RECORD.size:
                raise FormatError("recording: a record without its head")
            kind, length = RECORD.unpack_from(plain, at)
            at += RECORD.size
            body = plain[at : at + length]
            if len(body) < length:
                raise FormatError("recording: a record that is longer than its chunk")
            at += length
            try:
                entry = self._entry(kind, body)
            except (msgspec.DecodeError, OverflowError, RecursionError, UnicodeError) as error:
                raise FormatError(f"recording: a record that makes no sense: {error}") from error
            if entry is not None:
                yield entry

    def _entry(self, kind: int, body: bytes) -> Entry | None:
        of = _decoders()
        if kind == RecordKind.BATCH:
            return self._batch(of.packed.decode(body), len(body))
        if kind == RecordKind.PASSING:
            passing = self._passing = of.packed.decode(body)
            if passing.columns:
                passing.states = _states(of.columns.decode(passing.columns))
        elif kind == RecordKind.LOOK:
            return Looked(_moment(of.number.decode(body)))
        elif kind == RecordKind.BEGIN:
            info = of.info.decode(body)
            bounds.require_info(info)
            return info
        elif kind == RecordKind.WINDOW:
            return WindowSet(_moment(of.number.decode(body)))
        elif kind == RecordKind.END:
            time_ns, reason = of.end.decode(body)
            return End(_moment(time_ns), reason)
        return None

    def _batch(self, batch: _Packed, length: int) -> Batch:
        self.kept += length - len(batch.sample_bytes)
        if self._passing is not None:
            for name in PASSING:
                setattr(batch, name, getattr(self._passing, name))
            self._passing = None
        self._frames += batch.new_frames
        frames = self._frames
        if len(frames) > bounds.MOST_FRAMES:
            raise FormatError("recording: more frames than fit the memory")
        # What a hostile file has in these fields is not what ``Encoder`` writes there.
        batch.stacks = {}
        for key, (addresses, complete, stop, numbers) in batch.rows.items():
            self._stacks.require(key, addresses, numbers or ())
            named: tuple[Frame, ...] | None = None
            if numbers is not None:
                if numbers and not 0 <= min(numbers) <= max(numbers) < len(frames):
                    raise FormatError("recording: a stack of frames that are not in the file")
                named = tuple([frames[number] for number in numbers])
            batch.stacks[key] = Stack(tuple(addresses), complete, stop, named)
        batch.samples = list(_samples(batch.sample_bytes, batch.sample_size))
        batch.new_frames, batch.rows, batch.sample_bytes = [], {}, b""
        bounds.require_batch(batch)
        return batch


def _samples(packed: bytes, size: int) -> Iterable[Sample]:
    if not packed:
        return ()
    if size < LAYOUT.size or len(packed) % size:
        raise FormatError("recording: samples of a size that cannot be")
    if size > LAYOUT.size:
        starts = range(0, len(packed), size)
        packed = b"".join([packed[at : at + LAYOUT.size] for at in starts])
    return map(Sample._make, LAYOUT.iter_unpack(packed))


def _moment(time_ns: int) -> int:
    if not 0 <= time_ns < bounds.LAST_NS:
        raise FormatError(f"recording: a moment that cannot be: {time_ns}")
    return time_ns
