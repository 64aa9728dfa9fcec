"""What hud reports of the zoo against the zoo's own truth, through the real command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import targets

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from benchmarks.truth import Verdict, judge, read_deeds  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.e2e

SECONDS = 6
INLINED = ("cpu", "deep_await", "root")
"""Kinds whose function has no symbol of its own in a release build without debug info."""


def verdict_on(binary: Path, flavor: str, place: Path) -> Verdict:
    truth, trace = place / "truth", place / "trace.json"
    with targets.zoo(binary, truth, "--flavor", flavor, "--seconds", str(SECONDS + 2)) as zoo:
        command = [sys.executable, "-m", "hud", "--pid", str(zoo.pid), "--headless", "--quiet"]
        command += ["--duration", str(SECONDS), "--export", str(trace)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    return judge(read_deeds(truth), json.loads(trace.read_text()))


@pytest.mark.parametrize("flavor", ["multi_thread", "current_thread"])
def test_blockers_are_found_and_named_and_nothing_else_is(
    build_target: Callable[..., Path], flavor: str, tmp_path: Path
) -> None:
    verdict = verdict_on(build_target("zoo"), flavor, tmp_path)
    total = verdict.total()
    assert total.expected >= 100
    assert total.found >= 0.95 * total.expected, total.missed
    assert [(find.function, deed.kind) for find, deed in verdict.allowed_alarms] == []
    named = [score for kind, score in verdict.scores.items() if kind not in INLINED]
    found = sum(score.found for score in named)
    assert sum(score.blamed for score in named) >= 0.9 * found, total.wrong
    nap = verdict.scores["thread_sleep"]  # a tail call has removed its frame
    assert nap.blamed >= 0.9 * nap.found > 0, nap.wrong
    assert total.cause >= 0.97 * total.found, total.wrong
    assert total.holder >= 0.9 * total.woken > 0
    assert verdict.split <= 0.02 * total.found
