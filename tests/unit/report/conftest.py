"""Runs to report on, and a browser to look at the reports with."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest

from hud.analysis.comparison.compare import Comparison, compare
from hud.analysis.recording import Recording
from hud.analysis.results import Snapshot
from hud.analysis.snapshot import Analyzer
from hud.model import Frame, Losses, Origin, Target
from hud.record.reader import Reader, open_recording
from hud.record.replay import Replay
from hud.report.page import page
from tests import browser as chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType


class Run(NamedTuple):
    """A finished run, as a report is made of it."""

    analyzer: Analyzer
    snapshot: Snapshot
    comparison: Comparison | None = None

    def page(self) -> str:
        return page(self.analyzer, self.snapshot, self.comparison)


def of(recording: Recording) -> Run:
    analyzer = Analyzer(recording)
    return Run(analyzer, analyzer.snapshot(recording.ended_ns, False))


@pytest.fixture(scope="session")
def rich(build: ModuleType) -> Run:
    """Six blockers, with source lines, machine code and tasks."""
    return of(build.demo_recording(rich=True))


@pytest.fixture(scope="session")
def compared(build: ModuleType, rich: Run) -> Run:
    """Beside an earlier run, in which the code that hashes was not called."""
    earlier = build.empty_recording()
    hashes = (build.HASH, build.HASH_DEEPER)
    kept = [one for one in build.demo_samples() if one.stack not in hashes and one.task_id < 100]
    earlier.add_samples(kept)
    earlier.finish(build.START_NS + 30 * build.SECOND, "duration reached")
    return rich._replace(comparison=compare(of(earlier).snapshot, rich.snapshot))


@pytest.fixture(scope="session")
def demo() -> Run:
    """The demo server under load, without debug information."""
    with closing(open_recording("tests/data/demo.hud")) as source:
        replay = Replay(Reader(source).entries())
        replay.advance()
    return Run(replay.analyzer, replay.snapshot())


@pytest.fixture(scope="session")
def idle(build: ModuleType) -> Run:
    """Nothing blocked."""
    recording = build.empty_recording()
    recording.finish(build.START_NS + 30 * build.SECOND, "duration reached")
    return of(recording)


@pytest.fixture(scope="session")
def crowd(build: ModuleType) -> Run:
    """Forty blockers, and losses."""
    recording = build.empty_recording()
    for number in range(40):
        own = build.user(f"shop::orders::handler_{number:02}", "src/orders.rs", number + 1)
        called = build.std("std::thread::sleep")
        recording.add_stack(1000 + number, build.stack(build.c("clock_nanosleep"), called, own))
        for turn in range(3):
            length = (60 - number) * build.MS
            start = build.START_NS + (number * 3 + turn) * 80 * build.MS
            tid, slept = build.TIDS[(number + turn) % 4], length - build.MS // 2
            end = start + length
            nap = build.asleep(tid, end, slept, 1000 + number, start, build.CLOCK_NANOSLEEP)
            recording.add_samples([nap, build.poll(tid, start, length, asleep_ns=slept)])
    recording.set_losses(Losses(ring_full=12))
    recording.finish(build.START_NS + 12 * build.SECOND, "duration reached")
    return of(recording)


EVIL = '</script><img src=x onerror="alert(1)">\u2028{{data}}\'";--><script>alert(2)</script>'
"""What a thread, a file or a symbol may be called."""


@pytest.fixture(scope="session")
def hostile(build: ModuleType) -> Run:
    """All names of which are meant to be markup or script."""
    recording = build.empty_recording(target=Target(1, EVIL, EVIL), notes=(EVIL,))
    recording.add_stack(1, build.stack(Frame(16, EVIL, EVIL, EVIL, 7, EVIL, origin=Origin.USER)))
    tid, start = build.TIDS[0], build.START_NS
    recording.details[tid, start + 12 * build.MS] = EVIL
    sleep = build.asleep(tid, start + 12 * build.MS, 11 * build.MS, 1, start, 74)
    recording.add_samples([sleep._replace(value=3), build.poll(tid, start, 12 * build.MS)])
    recording.finish(start + 6 * build.SECOND, "Ctrl-C")
    return of(recording)


@pytest.fixture(scope="module")
def browser(
    need: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[chromium.Browser]:
    """Gone with the tests that look at it: it takes CPU, and later tests look at what is left."""
    need(chromium.installed(), "chromium")
    with chromium.Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def shown(browser: chromium.Browser, tmp_path: Path) -> Callable[..., chromium.Browser]:
    """``shown(run)``: its report in the browser, loaded from disk; ``link`` is what follows #."""

    def show(run: Run, link: str = "", width: int = 1280) -> chromium.Browser:
        path = tmp_path / "report.html"
        path.write_text(run.page(), encoding="utf-8")
        browser.size(width, 900)
        browser.media(prefers_color_scheme="light")
        browser.open(f"{path.as_uri()}{link}")
        return browser

    return show
