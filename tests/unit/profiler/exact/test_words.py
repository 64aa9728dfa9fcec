"""What exact mode says of itself, whenever it is asked."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

from hud.model import Batch, Kind, Sample, Where
from hud.profiler.exact import Exact

MS = 1_000_000


def watching() -> Exact:
    return Exact(
        cast("Any", SimpleNamespace(polls=list)),
        cast("Any", None),
        1,
        0.03,
        keep=True,
        choose_threshold=False,
        read_mappings=list,
    )


def poll(uncertain_us: int) -> Sample:
    """A long one, whose begin and end are known to so many microseconds."""
    return Sample(
        time_ns=1_000 * MS,
        duration_ns=20 * MS,
        stack=0,
        poll_start_ns=980 * MS,
        task_id=7,
        value=0,
        tid=42,
        other=uncertain_us,
        info=uncertain_us,
        kind=Kind.POLL,
        where=Where.POLL,
        flags=0,
    )


def test_long_polls_that_hit_no_probe_are_counted_and_no_reason_is_made_up() -> None:
    exact = watching()
    exact._began_ns = exact._since_ns = 1
    exact.watch([poll(0)] * 20 + [poll(300)] * 9)
    assert exact.in_words() == "every poll"
    exact.watch([poll(300)])
    assert exact.in_words() == "every poll, but 10 of 30 long polls hit no probe"


def test_a_batch_from_before_a_burst_makes_no_share_below_zero() -> None:
    """A batch has its time before the uprobes are attached, and its words afterwards."""
    exact = watching()
    batch = Batch(time_ns=time.monotonic_ns())
    exact._paused = True
    exact._began_ns = batch.time_ns - 1_000_000
    exact._attached_ns = 0
    exact._since_ns = time.monotonic_ns() + 2_000_000
    time.sleep(0.01)
    exact.fill(batch, last=True)
    words = batch.exact.split()
    assert words[0] == "bursts,"
    assert 0 < float(words[1]) <= 100
