"""the screen: what a redraw costs with many blockers, without a target"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import table

from hud.analysis.recording import Recording
from hud.analysis.results import Snapshot
from hud.analysis.snapshot import Analyzer
from hud.garbage import rare_collections
from hud.model import Worker
from hud.tui import keys
from hud.tui.frame import compose
from hud.tui.settle import settle
from hud.tui.state import Size, UiState
from hud.tui.terminal import Screen
from hud.tui.update import update

SIZE = Size(160, 50)
PER_SECOND = 4
BUSY = 12
"""Blockers with a new episode between two redraws."""
_FIRST_TID = 30_000
VIEWS = {
    "overview": (),
    "overview, cursor far down": ("end",),
    "blockers": ("2",),
    "blockers, cursor far down": ("2", "end"),
    "blockers by count": ("2", "s"),
    "blockers, searched": ("2", "/", "7", "enter"),
    "blockers per file": ("2", "g"),
    "stacks": ("2", "enter"),
    "workers": ("3",),
    "timeline": ("4",),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--blockers", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=512)
    parser.add_argument("--redraws", type=int, default=100)


def run(options: argparse.Namespace) -> int:
    shape = (1_000, 64) if options.quick else (options.blockers, options.workers)
    redraws = 10 if options.quick else options.redraws
    with rare_collections():
        rows = [
            _in_a_terminal(lambda row=row: _measured(*row, shape, redraws)) for row in VIEWS.items()
        ]
    head = ("view", "analysis", "settle", "compose", "draw", "ms in all", "at 4/s")
    of = f"{shape[0]:,} blockers, {shape[1]} workers, {SIZE.width} x {SIZE.height}"
    table.show(f"CPU ms per redraw: {of}", head, rows)
    return 0


class _Run:
    """A recording of many blockers that goes on."""

    def __init__(self, number: int, workers: int) -> None:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        from tests.builders import sample_recording as build

        self._build = build
        self._number = number
        self._turn = 0
        self.now_ns = build.START_NS
        self.recording: Recording = build.empty_recording()
        more = range(len(build.TIDS), workers)
        self._tids = (*build.TIDS, *(_FIRST_TID + at for at in more))
        for at in more:
            self.recording.add_worker(Worker(at, _FIRST_TID + at, "tokio-rt-worker"))
        for at in range(number):
            name = f"service::module_{at % 97}::function_{at}"
            inner = build.user(name, f"src/module_{at % 97}.rs", at + 1)
            self.recording.add_stack(1_000 + at, build.stack(build.c("futex_wait"), inner))
            for _ in range(3):
                self.now_ns += 6 * build.MS
                self._block(at, 5 * build.MS + 100 * (number - at))

    def _block(self, at: int, length_ns: int) -> None:
        build = self._build
        tid = self._tids[at % len(self._tids)]
        start = self.now_ns - length_ns
        poll = build.poll(tid, start, length_ns, asleep_ns=length_ns, task_id=at)
        slept = build.asleep(tid, self.now_ns, length_ns, 1_000 + at, start, build.FUTEX)
        self.recording.add_samples([slept, poll])

    def go_on(self) -> None:
        """A quarter of a second, in which some blockers block again."""
        build = self._build
        for at in range(BUSY):
            self.now_ns += 20 * build.MS
            self._block((at * 797 + self._turn % 16) % self._number, 7 * build.MS)
        self.now_ns += 10 * build.MS
        self._turn += 1
        parked = build.demo_states([], self.now_ns)[0]
        states = [replace(parked, tid=tid) for tid in self._tids]
        self.recording.set_states(states, self.now_ns)


def _measured(
    name: str, pressed: tuple[str, ...], shape: tuple[int, int], redraws: int
) -> list[table.Cell]:
    made = _Run(*shape)
    analyzer = Analyzer(made.recording)
    snapshot = analyzer.snapshot(made.now_ns, live=True)
    state = settle(UiState(), snapshot)
    for key in pressed:
        action = keys.action(key, state.scope)
        assert action is not None
        state, _ = update(state, action, snapshot, SIZE)
    spent = dict.fromkeys(("analysis", "settle", "compose", "draw"), 0.0)

    def timed(what: str, work: Callable[[], object]) -> object:
        began = time.thread_time()
        result = work()
        spent[what] += time.thread_time() - began
        return result

    with Screen("dark") as screen:
        for _ in range(redraws):
            made.go_on()
            seen = timed("analysis", lambda: analyzer.snapshot(made.now_ns, live=True))
            assert isinstance(seen, Snapshot)
            held = state.cursor > 0
            settled = timed("settle", partial(settle, state, seen, held))
            assert isinstance(settled, UiState)
            state = settled
            lines = timed("compose", partial(compose, seen, state, SIZE))
            assert isinstance(lines, list)
            timed("draw", partial(screen.draw, lines, SIZE))
    times = [spent[what] / redraws for what in spent]
    total = sum(times)
    parts = [f"{one * 1e3:.2f}" for one in times]
    return [name, *parts, f"{total * 1e3:.2f}", f"{100 * total * PER_SECOND:.1f} %"]


def _in_a_terminal(work: Callable[[], list[table.Cell]]) -> list[table.Cell]:
    """What ``work`` gives in a process whose input and output are a terminal that is read."""
    reader, writer = os.pipe()
    child, terminal = pty.fork()
    if not child:
        os.environ |= {"TERM": "xterm-256color", "COLORFGBG": "15;0"}
        with open(writer, "w", encoding="utf-8") as out:
            json.dump(work(), out)
        os._exit(0)
    os.close(writer)
    with contextlib.suppress(OSError):  # it has hung up
        while os.read(terminal, 65536):
            pass
    with open(reader, "rb") as results:
        row: list[table.Cell] = json.loads(results.read())
    os.close(terminal)
    os.waitpid(child, 0)
    return row
