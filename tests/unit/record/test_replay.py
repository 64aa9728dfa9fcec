"""What a recording file holds is replayed; what is damaged ends in an error of our own."""

from __future__ import annotations

import io
import struct
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hud.analysis.snapshot import Analyzer
from hud.commands.contents import contents
from hud.errors import FormatError, HudError
from hud.export import FORMATS, summary, trace
from hud.model import Batch, RunInfo
from hud.record import format as hud_format
from hud.record.format import CHUNK, HEAD, RECORD, Encoder, Looked, RecordKind
from hud.record.reader import Reader
from hud.record.replay import Replay

from .recordings import DATA, REAL, START, chunk, read

if TYPE_CHECKING:
    from collections.abc import Iterator


GOLDEN = DATA / "golden" / "demo-summary.txt"


def replayed(data: bytes) -> Replay:
    run = Replay(Reader(io.BytesIO(data)).entries())
    run.advance()
    return run


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


def test_of_looks_in_a_row_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may have millions of them."""
    entries, _ = read(REAL.read_bytes())
    more = []
    for entry in entries:
        times = 50 if isinstance(entry, Looked) else 1
        more += [entry] * times
    looked = []
    absorb = Analyzer.absorb
    monkeypatch.setattr(
        Analyzer, "absorb", lambda self, now: (looked.append(now), absorb(self, now))
    )
    told = []
    for some in (entries, more):
        looked.clear()
        run = Replay(iter(some))
        run.advance()
        told.append((len(looked), summary.text(run.snapshot())))
    assert told[0] == told[1]
    assert told[0][0] == sum(isinstance(entry, Looked) for entry in entries) > 2


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


def test_a_recording_without_a_run() -> None:
    for data in (START, START + chunk(Encoder().look(5)), START + b"junk"):
        with pytest.raises(FormatError, match="no run in it"):
            replayed(data)


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
DIRECTORY = tempfile.TemporaryDirectory()


def answer(data: bytes) -> None:
    """Our own error, or a result that everything can be derived from; in bounded time."""
    begun = time.process_time()
    path = Path(DIRECTORY.name) / "fuzzed.hud"
    path.write_bytes(data)
    try:
        lines = "\n".join(contents(str(path)))
        run = replayed(data)
        snapshot = run.snapshot()
        text = summary.text(snapshot)
        for row in FORMATS.values():
            row.writer()(run.analyzer, snapshot, io.BytesIO())
    except HudError:
        pass
    else:
        assert all(char.isprintable() or char == "\n" for char in text + lines)
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
        elif isinstance(entry, Looked):
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
