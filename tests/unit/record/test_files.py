"""Recording files: written while they grow, read as far as they go, whoever wrote them."""

from __future__ import annotations

import io
import os
import resource
import stat
import struct
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hud.errors import ExportError, FormatError, HudError, UsageError
from hud.export import summary, trace
from hud.export.write import check_regular
from hud.model import Batch, RunInfo
from hud.record import format as hud_format
from hud.record import reader as hud_reader
from hud.record.format import CHUNK, HEAD, MAGIC, MOST_CHUNK, RECORD, Encoder, End, Look, RecordKind
from hud.record.reader import Reader, open_recording
from hud.record.replay import Replay
from hud.record.writer import FLUSH_S, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from hud.record.format import Entry

DATA = Path(__file__).parents[2] / "data"
REAL = DATA / "demo.hud"
GOLDEN = DATA / "golden" / "demo-summary.txt"


def read(data: bytes) -> tuple[list[Entry], str]:
    reader = Reader(io.BytesIO(data))
    entries = list(reader.entries())
    return entries, reader.lacks


def replayed(data: bytes) -> Replay:
    run = Replay(Reader(io.BytesIO(data)).entries())
    run.advance()
    return run


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def chunk(plain: bytes, deflate: zlib._Compress | None = None) -> bytes:
    deflate = deflate or zlib.compressobj(6, zlib.DEFLATED, -15)
    payload = deflate.compress(plain) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return CHUNK.pack(len(payload), zlib.crc32(payload)) + payload


START = HEAD.pack(MAGIC, 1, 0)

# --------------------------------------------------------------------------- writing


def test_what_is_told_is_on_the_disk_within_the_second(build: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "run.hud"
    clock = Clock()
    writer = Writer(str(path), clock=clock)
    writer.begin(build.info())
    writer.take(Batch(time_ns=1, names={1: "first"}))
    clock.now += FLUSH_S
    writer.take(Batch(time_ns=2, names={2: "second"}))
    writer.take(Batch(time_ns=3, names={3: "third"}))
    entries, lacks = read(path.read_bytes())
    assert [entry.time_ns for entry in entries if isinstance(entry, Batch)] == [1, 2]
    assert lacks == "no end: hud was killed, or the disk was full"
    writer.look(4)
    writer.end(5, "quit")
    assert read(path.read_bytes())[1] == ""
    writer.take(Batch(time_ns=6, names={1: "learned later"}))
    writer.close()
    writer.close()
    assert writer.size == path.stat().st_size
    entries, lacks = read(path.read_bytes())
    assert entries[0] == build.info()
    assert entries[-3:-1] == [Look(4), End(5, "quit")]
    assert isinstance(entries[-1], Batch)
    assert lacks == ""
    assert FLUSH_S <= 0.9


def test_a_file_is_replaced_and_a_link_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    path = tmp_path / "run.hud"
    path.symlink_to(precious)
    before = os.umask(0o022)
    try:
        Writer(str(path), (os.getuid(), os.getgid())).close()
    finally:
        os.umask(before)
    assert precious.read_text() == "kept"
    assert not path.is_symlink()
    assert path.read_bytes() == START
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["precious", "run.hud"]


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no such file or directory"):
        Writer(str(tmp_path / "absent" / "run.hud"))
    with pytest.raises(ExportError, match="is a directory"):
        Writer(str(tmp_path))


@pytest.mark.parametrize("path", ["-", "/dev/null", "/dev/stdout", "/proc/self/fd/1", "/"])
def test_a_recording_goes_to_a_regular_file(path: str) -> None:
    with pytest.raises(UsageError, match="not a regular file"):
        check_regular(path)


def test_without_room_the_whole_chunks_stay(build: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "run.hud"
    clock = Clock()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, before[1]))
    try:
        writer = Writer(str(path), clock=clock)
        writer.begin(build.info())
        for at in range(100):
            clock.now += 1
            writer.take(Batch(time_ns=at + 1, names={at: os.urandom(100).hex()}))
        writer.end(1_000, "quit")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert writer.trouble is not None
    assert str(writer.trouble) == f"write {path}: file too large"
    assert "ulimit" in writer.trouble.hint
    assert writer.size == path.stat().st_size <= 4_000
    entries, lacks = read(path.read_bytes())
    assert [entry.time_ns for entry in entries if isinstance(entry, Batch)] == [
        *range(1, len(entries))
    ]
    assert len(entries) > 10
    assert lacks.startswith("no end")


def test_the_descriptor_is_closed_and_not_inherited(tmp_path: Path) -> None:
    path = tmp_path / "run.hud"

    def descriptors() -> list[int]:
        links = Path("/proc/self/fd").iterdir()
        return [int(link.name) for link in links if os.path.realpath(link) == str(path)]

    writer = Writer(str(path))
    (mine,) = descriptors()
    assert not os.get_inheritable(mine)
    writer.close()
    assert descriptors() == []


# --------------------------------------------------------------------------- a real one


def test_a_real_recording_tells_the_same_for_ever(request: pytest.FixtureRequest) -> None:
    run = replayed(REAL.read_bytes())
    text = summary.text(run.snapshot())
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_the_summary_rests_on_what_is_in_the_file() -> None:
    run = replayed(REAL.read_bytes())
    snapshot = run.snapshot()
    functions = {blocker.function for blocker in snapshot.blockers}
    assert "demo_server::handlers::hash_password" in functions
    assert len(snapshot.workers) == 4
    assert snapshot.ended == "duration over"
    assert snapshot.stacks_complete == snapshot.stacks_total > 100
    assert not snapshot.live
    out = io.BytesIO()
    trace.write(run.analyzer, snapshot, out)
    assert out.getvalue().count(b'"ph":"B"') == snapshot.episodes > 20


def test_a_real_recording_cut_off_anywhere_is_read_as_far_as_it_goes() -> None:
    data = REAL.read_bytes()
    whole, lacks = read(data)
    assert lacks == ""
    lengths = set()
    for size in [*range(HEAD.size, len(data), 611), len(data) - 1]:
        entries, lacks = read(data[:size])
        assert entries == whole[: len(entries)]
        assert lacks.startswith(("cut off at byte", "no end"))
        lengths.add(len(entries))
    assert len(lengths) >= 6
    snapshot = replayed(data[: len(data) // 2]).snapshot()
    assert snapshot.ended == "the recording breaks off here"
    assert snapshot.episodes > 5


def test_one_changed_byte_is_noticed() -> None:
    data = bytearray(REAL.read_bytes())
    whole, _ = read(bytes(data))
    data[len(data) // 2] ^= 0x10
    entries, lacks = read(bytes(data))
    assert 0 < len(entries) < len(whole)
    assert entries == whole[: len(entries)]
    assert lacks.startswith("damaged at byte")
    assert lacks.endswith("its checksum is wrong")


# --------------------------------------------------------------------------- no recording


@pytest.mark.parametrize("data", [b"", b"\x89hud", b"{}" * 50, MAGIC, b"\x7fELF" + b"\0" * 60])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="not a recording of hud"):
        Reader(io.BytesIO(data))


def test_a_later_format_is_refused_and_a_later_minor_is_not() -> None:
    with pytest.raises(FormatError, match=r"format 2\.3: this hud reads format 1") as caught:
        Reader(io.BytesIO(HEAD.pack(MAGIC, 2, 3)))
    assert "newer" in caught.value.hint
    assert Reader(io.BytesIO(HEAD.pack(MAGIC, 1, 9))).minor == 9


def test_a_recording_without_a_run() -> None:
    for data in (START, START + chunk(Encoder().look(5)), START + b"junk"):
        with pytest.raises(FormatError, match="no run in it"):
            replayed(data)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file") as caught:
        open_recording(str(tmp_path / "absent.hud"))
    assert "--record" in caught.value.hint
    with pytest.raises(UsageError, match="not a file"):
        open_recording(str(tmp_path))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError, match="not a file"):
        open_recording(str(tmp_path / "fifo"))
    with pytest.raises(UsageError, match="not a file"):
        open_recording("/dev/zero")


# --------------------------------------------------------------------------- hostile files


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (chunk(b"\0" * (MOST_CHUNK + 1)), "grows beyond measure"),
        (CHUNK.pack(MOST_CHUNK + 1, 0) + b"x" * 50, f"a chunk of {MOST_CHUNK + 1} bytes"),
        (CHUNK.pack(4, zlib.crc32(b"\xff" * 4)) + b"\xff" * 4, "not compressed"),
        (chunk(RECORD.pack(RecordKind.BEGIN, 1 << 31)), "longer than its chunk"),
        (chunk(RECORD.pack(RecordKind.LOOK, 3_000) + b"\x91" * 3_000), "makes no sense"),
        (b"\x01\x02", "cut off at byte 12"),
    ],
)
def test_chunks_that_cannot_be(data: bytes, says: str) -> None:
    entries, lacks = read(START + data)
    assert entries == []
    assert says in lacks


def test_a_deflate_stream_that_ends_is_refused() -> None:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    payload = deflate.compress(b"") + deflate.flush(zlib.Z_FINISH)
    _, lacks = read(START + CHUNK.pack(len(payload), zlib.crc32(payload)) + payload)
    assert "grows beyond measure" in lacks


def test_many_chunks_that_inflate_are_bounded_in_all() -> None:
    plain = RECORD.pack(200, MOST_CHUNK - RECORD.size) + b"\0" * (MOST_CHUNK - RECORD.size)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = START + b"".join(chunk(plain, deflate) for _ in range(30))
    assert len(data) < 500_000
    begun = time.process_time()
    entries, lacks = read(data)
    assert (entries, "grows beyond measure" in lacks) == ([], True)
    assert time.process_time() - begun < 20


def test_what_adds_up_is_bounded(monkeypatch: pytest.MonkeyPatch, build: ModuleType) -> None:
    monkeypatch.setattr(hud_reader, "MOST_KEPT", 10_000)
    encoder = Encoder()
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    data = START + chunk(encoder.begin(build.info()), deflate)
    for at in range(20):
        records = encoder.batch(Batch(time_ns=at, names={at: os.urandom(500).hex()}))
        data += chunk(b"".join(records), deflate)
    entries, lacks = read(data)
    assert 5 < len(entries) < 15
    assert "more than fits the memory" in lacks


def payloads() -> Iterator[bytes]:
    """Those of the real recording, inflated."""
    data = REAL.read_bytes()
    inflate = zlib.decompressobj(-15)
    at = HEAD.size
    while at < len(data):
        length, _ = CHUNK.unpack_from(data, at)
        at += CHUNK.size + length
        yield inflate.decompress(data[at - length : at])


PLAIN = list(payloads())
SEVERAL = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def answer(data: bytes) -> None:
    """Our own error, or a result that everything can be derived from; in bounded time."""
    begun = time.process_time()
    try:
        run = replayed(data)
        snapshot = run.snapshot()
        text = summary.text(snapshot)
        trace.write(run.analyzer, snapshot, io.BytesIO())
    except HudError:
        pass
    else:
        assert all(char.isprintable() or char == "\n" for char in text)
    assert time.process_time() - begun < 20


@SEVERAL
@given(st.data())
def test_mutations_of_the_file(data: st.DataObject) -> None:
    content = bytearray(REAL.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    answer(bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))]))


@SEVERAL
@given(st.data())
def test_mutations_of_what_is_compressed(data: st.DataObject) -> None:
    """With checksums that are right: what is inside is wrong."""
    plain = [bytearray(one) for one in PLAIN]
    for _ in range(data.draw(st.integers(1, 6))):
        one = plain[data.draw(st.integers(0, len(plain) - 1))]
        at = data.draw(st.integers(0, len(one) - 1))
        kind = data.draw(st.sampled_from(["byte", "ends", "cut", "double"]))
        if kind == "byte":
            one[at] = data.draw(st.integers(0, 255))
        elif kind == "ends":
            size = min(8, len(one) - at)
            extreme = data.draw(st.sampled_from([0, 1, (1 << 63) - 1, (1 << 64) - 1]))
            one[at : at + size] = struct.pack("<Q", extreme)[:size]
        elif kind == "cut":
            del one[at : at + data.draw(st.integers(1, 64))]
        else:
            one[at:at] = one[at : at + data.draw(st.integers(1, 64))]
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    answer(START + b"".join(chunk(bytes(one), deflate) for one in plain))


WHOLE = st.integers(-(1 << 63), (1 << 64) - 1) | st.sampled_from(
    [0, 1, 2, (1 << 63), (1 << 64) - 1]
)


@SEVERAL
@given(st.data())
def test_well_formed_nonsense(
    data: st.DataObject,
) -> None:
    """Values of the right type that no kernel would tell."""
    import msgspec

    entries, _ = read(REAL.read_bytes())
    encoder = Encoder()
    parts = []
    for entry in entries:
        if isinstance(entry, RunInfo):
            parts.append(encoder.begin(entry))
        elif isinstance(entry, Look):
            parts.append(encoder.look(entry.time_ns))
        elif isinstance(entry, Batch):
            nonsense = data.draw(st.sampled_from(["", "", "samples", "states", "batch"]))
            if nonsense == "samples":
                entry.samples = [
                    sample._replace(
                        **{
                            name: data.draw(st.integers(0, (1 << bits) - 1))
                            for name, bits in (
                                ("time_ns", 64),
                                ("duration_ns", 64),
                                ("stack", 64),
                                ("poll_start_ns", 64),
                                ("flags", 16),
                                ("kind", 8),
                                ("value", 64),
                            )
                            if data.draw(st.booleans())
                        }
                    )
                    for sample in entry.samples[:3]
                ]
            elif nonsense == "states" and entry.states:
                columns = hud_format._columns(entry.states[:2])
                for name in columns:
                    if name not in ("running", "runnable", "where", "syscall") and data.draw(
                        st.booleans()
                    ):
                        columns[name] = [data.draw(WHOLE) for _ in columns[name]]
                body = msgspec.msgpack.encode({"columns": msgspec.msgpack.encode(columns)})
                parts.append(RECORD.pack(RecordKind.PASSING, len(body)) + body)
                entry.states = None
            elif nonsense == "batch":
                entry.workers = entry.workers * 2
                entry.died = [data.draw(WHOLE)]
                entry.threshold_ns = data.draw(WHOLE)
                entry.cost = (data.draw(WHOLE), data.draw(WHOLE))
            parts += encoder.batch(entry)
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    answer(START + b"".join(chunk(part, deflate) for part in parts))
