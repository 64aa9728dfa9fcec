"""What exact mode says of itself, whenever it is asked."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

from hud.model import Batch
from hud.profiler.exact import Exact


def test_a_batch_from_before_a_burst_makes_no_share_below_zero() -> None:
    """A batch has its time before the uprobes are attached, and its words afterwards."""
    probe = SimpleNamespace(polls=list)
    exact = Exact(
        cast("Any", probe),
        cast("Any", None),
        1,
        0.03,
        keep=True,
        choose_threshold=False,
        read_mappings=list,
    )
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
