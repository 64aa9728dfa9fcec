"""What hud info says of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hud.commands.contents import contents
from hud.model import Batch, Worker
from hud.record.writer import Writer

if TYPE_CHECKING:
    from types import ModuleType


def test_workers_that_have_ended_are_counted_apart(build: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "run.hud"
    out = Writer(str(path))
    out.begin(build.info())
    now_ns = build.START_NS + build.SECOND
    workers = [Worker(at, tid, "tokio-rt-worker") for at, tid in enumerate(build.TIDS)]
    out.take(Batch(time_ns=now_ns, workers=workers, states=build.demo_states([], now_ns)))
    later = build.demo_states([], now_ns + build.SECOND, build.TIDS[:3])
    out.take(Batch(time_ns=now_ns + build.SECOND, states=later, died=[build.TIDS[3]]))
    out.end(now_ns + build.SECOND, "duration over")
    (said,) = [line for line in contents(str(path)) if line.startswith("workers")]
    assert said.split(maxsplit=1)[1] == "3, of 4 threads that were workers"
