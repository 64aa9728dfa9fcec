"""A recording in which one goes back and forth."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hud.record import seekable
from hud.record.reader import Reader, open_recording
from hud.record.replay import Replay
from hud.record.seekable import SeekableReplay

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.record.format import Entry

REAL = Path(__file__).parents[2] / "data" / "demo.hud"
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    with open_recording(str(REAL)) as source:
        return list(Reader(source).entries())


@pytest.fixture
def run() -> SeekableReplay:
    return SeekableReplay(io.BytesIO(REAL.read_bytes()))


def at(entries: list[Entry], position_ns: int) -> Snapshot:
    run = Replay(iter(entries))
    run.advance(position_ns)
    return run.snapshot()


def test_a_run_opens_at_its_end(run: SeekableReplay, entries: list[Entry]) -> None:
    whole = run.snapshot()
    assert 8 * SECOND <= run.length_ns < 9 * SECOND
    assert (whole.live, whole.ended) == (False, "duration over")
    assert whole == at(entries, run.length_ns + SECOND)


def test_the_way_to_a_position_does_not_matter(run: SeekableReplay, entries: list[Entry]) -> None:
    for position_ns in (SECOND, 3 * SECOND, 2 * SECOND, 0, run.length_ns, 2 * SECOND + 1):
        run.seek(position_ns)
        shown = run.snapshot()
        assert shown == at(entries, position_ns) or position_ns >= run.length_ns
        assert shown.live is (position_ns < run.length_ns)
        assert shown.elapsed_ns <= max(1, position_ns) or not shown.live
    run.seek(0)
    assert run.snapshot().episodes == 0
    run.seek(2 * SECOND)
    half = run.snapshot().episodes
    run.seek(run.length_ns)
    assert 0 < half < run.snapshot().episodes


def test_checkpoints_on_the_way_change_nothing(
    entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stops in the middle of chunks, before and behind the present; and again with a window."""
    monkeypatch.setattr(seekable, "_WORK_S", 0.0)
    monkeypatch.setattr(seekable, "_WORK_PER_COST", 0)
    monkeypatch.setattr(seekable, "_MOST_BYTES", 20 << 20)
    run = SeekableReplay(io.BytesIO(REAL.read_bytes()))
    points = run._checkpoints
    assert len(points) > 10
    assert {point.skipped for point in points} > {0}
    assert sum(len(point.state) for point in points) <= 20 << 20
    assert [point.now_ns for point in points] == sorted({point.now_ns for point in points})
    for position_ns in range(run.length_ns, -1, -7 * SECOND // 8):
        run.seek(position_ns - 1)
        assert run.snapshot() == at(entries, position_ns - 1)
    for position_ns in (SECOND, 3 * SECOND, 2 * SECOND):
        run.seek(position_ns)
        assert run.snapshot() == at(entries, position_ns)
    run.set_window(SECOND)
    run.seek(4 * SECOND)
    run.seek(2 * SECOND)
    straight = Replay(iter(entries), SECOND)
    straight.advance(2 * SECOND)
    assert run.snapshot() == straight.snapshot()


def test_another_window(run: SeekableReplay) -> None:
    whole = run.snapshot().episodes
    run.set_window(SECOND)
    assert 0 < run.snapshot().episodes < whole
    assert run.snapshot().span_ns == SECOND
    run.set_window(0)
    assert run.snapshot().episodes == whole


def test_a_checkpoint_hands_on_no_old_rows(run: SeekableReplay, entries: list[Entry]) -> None:
    """Types of tasks are derived once a second: not from before the checkpoint."""
    run._checkpoints.clear()
    run.seek(SECOND)
    run.snapshot()
    run._work_s = 0.0
    run.seek(3 * SECOND)
    assert run._checkpoints
    run.seek(SECOND * 19 // 10)
    assert run.snapshot() == at(entries, SECOND * 19 // 10)
