"""Episodes that have not ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis import lasting
from hud.analysis.advice.advise import advise
from hud.analysis.snapshot import Analyzer
from hud.model import BEGAN_BEFORE, Kind, Sample, SampleFlag

if TYPE_CHECKING:
    from types import ModuleType


def _poll_so_far(build: ModuleType, tid: int, start: int, length: int, asleep: int = 0) -> Sample:
    poll: Sample = build.poll(tid, start, length, asleep_ns=asleep, flags=SampleFlag.IN_PROGRESS)
    return poll


def test_what_has_not_ended_has_no_cost_yet(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start, ms = build.TIDS[0], build.START_NS, build.MS
    length = 7_200 * ms
    recording.add_samples(
        [build.cpu(tid, start + ms, build.HASH, start), _poll_so_far(build, tid, start, length)]
    )
    (row,) = Analyzer(recording).snapshot(start + length, False).blockers
    assert (row.count, row.lasting, row.lasting_ns) == (1, 1, length)
    assert lasting.in_words(row) == ["has not ended, 7.2 s so far"]
    assert advise(row, recording.stacks).text == "call bcrypt::hash in spawn_blocking"


def test_typical_is_what_has_ended(build: ModuleType) -> None:
    recording = build.empty_recording()
    start, ms = build.START_NS, build.MS
    for number, length in enumerate((10, 30, 20, 30)):
        at = start + number * 100 * ms
        recording.add_samples(
            [
                build.cpu(build.TIDS[0], at + ms, build.HASH, at),
                build.poll(build.TIDS[0], at, length * ms),
            ]
        )
    for tid, length in ((build.TIDS[1], 30), (build.TIDS[2], 5_000)):
        recording.add_samples(
            [
                build.cpu(tid, start + ms, build.HASH, start),
                _poll_so_far(build, tid, start, length * ms),
            ]
        )
    snapshot = Analyzer(recording).snapshot(start + 5 * build.SECOND, False)
    (row,) = snapshot.blockers
    assert (row.count, row.lasting, row.max_ns) == (6, 2, 5_000 * ms)
    assert (row.p50_ns, row.p99_ns) == (20 * ms, 30 * ms)
    said = ["2 of 6 have not ended, the longest 5 s so far"]
    assert lasting.in_words(row) == said


def test_what_began_before_the_attach_lasts_too(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[0], build.START_NS
    poll = _poll_so_far(build, tid, start, build.SECOND)._replace(info=BEGAN_BEFORE)
    assert poll.kind == Kind.POLL
    recording.add_samples([poll])
    recording.finish(start + build.SECOND, "duration reached")
    snapshot = Analyzer(recording).snapshot(start + build.SECOND, False)
    assert [one.began_before for one in snapshot.lasting] == [True]
