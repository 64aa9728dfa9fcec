"""Every layout of CONTEXT in hud's table, in a program that was built with that Tokio.

Some versions by default; HUD_ALL_TOKIO=1 builds all of them (70 builds, some 15 minutes).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import program
import pytest
import targets

from hud.runtime.context import LAYOUTS, NEWEST, OLDEST
from hud.runtime.versions import minor_between, parse_version

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.e2e

NEWEST_PATCHES = (
    *("1.20.6", "1.21.2", "1.22.0", "1.23.1", "1.24.2", "1.25.3", "1.26.0", "1.27.0", "1.28.2"),
    *("1.29.1", "1.30.0", "1.31.0", "1.32.1", "1.33.0", "1.34.0", "1.35.1", "1.36.0", "1.37.0"),
    *("1.38.2", "1.39.3", "1.40.0", "1.41.1", "1.42.1", "1.43.4", "1.44.2", "1.45.1", "1.46.1"),
    *("1.47.5", "1.48.0", "1.49.0", "1.50.0", "1.51.6", "1.52.4", "1.53.3", "1.54.1"),
)
SOME = (
    *(("multi", tokio) for tokio in ("1.20.6", "1.21.2", "1.22.0", "1.40.0")),
    *(("", tokio) for tokio in ("1.20.6", "1.21.2", "1.23.1", "1.28.2", "1.54.1")),
)
"""Others are covered by the demo server and the zoo."""

ALL = tuple((features, tokio) for tokio in NEWEST_PATCHES for features in ("multi", ""))
BUILDS = ALL if os.environ.get("HUD_ALL_TOKIO") else SOME


def profile(binary: Path, file: Path, *arguments: str) -> dict[str, Any]:
    with targets.nap(binary, *arguments) as running:
        program.run("--headless", "--pid", running.pid, "--duration", 1.5, "--export", file)
    return program.trace(file)


@pytest.mark.parametrize(("features", "tokio"), BUILDS)
def test_polls_of_each_tokio_are_seen(
    build_target: Callable[..., Path], tmp_path: Path, features: str, tokio: str
) -> None:
    binary = build_target("nap", tokio=tokio, features=features, profile="dev")
    for arguments in ([], ["current"]) if features else ([],):
        written = profile(binary, tmp_path / "trace.json", *arguments)
        detection = written["otherData"]["detection"]
        workers = written["otherData"]["workers"]
        assert len(workers) == (2 if features and not arguments else 1)
        version = parse_version(tokio)
        assert version
        assert detection["rung"] == "context"
        apart = version[:2] < OLDEST
        if apart:
            assert detection["reason"].startswith(
                f"tokio {tokio} without task ids, its ticks as debug info says, confirmed in "
            )
        else:
            (row,) = (
                row
                for row in LAYOUTS
                if row.multi_thread == bool(features)
                and minor_between(version, row.first, row.last)
            )
            assert detection["reason"].startswith(
                f"tokio {tokio}, CONTEXT of {row.size} bytes as its debug info says, confirmed in "
            )
        lengths = Counter(round(length) for length in naps(written, ids=not apart))
        assert sum(lengths.values()) >= 50
        # one that the attach cut, and what waited for a CPU
        assert sum(count for ms, count in lengths.items() if ms < 12) <= 2, lengths
        assert not written["otherData"]["losses"]["context_unreadable"]


@pytest.mark.parametrize(
    ("features", "tokio"),
    [("multi", "1.20.6"), ("multi", "1.22.0"), ("", "1.20.6"), ("", "1.28.2"), ("", "1.54.1")],
)
def test_polls_without_a_budget_are_seen_and_no_park_is(
    build_target: Callable[..., Path], tmp_path: Path, features: str, tokio: str
) -> None:
    binary = build_target("nap", tokio=tokio, features=features, profile="dev")
    written = profile(binary, tmp_path / "trace.json", "unconstrained")
    assert written["otherData"]["detection"]["rung"] == "context"
    lengths = naps(written, ids=tokio != "1.20.6")
    assert len(lengths) >= 25  # of 46; the first ones may be before the way to Core is proven
    assert sorted(lengths)[len(lengths) // 2] < 20, "a park lasts 20 ms"
    functions = Counter(event["name"] for event in program.begins(written))
    # naps of 2 ms lie in polls with a budget; on a busy machine one may last for 5
    short = functions.pop("nap::take_short_naps::{async fn}", 0)
    assert short <= 2, short
    assert set(functions) == {"nap::take_a_nap"}, functions


@pytest.mark.parametrize(("features", "tokio"), [("multi", "1.52.0"), ("", "1.54.1")])
def test_a_task_that_yields_is_no_blocker_wherever_the_tick_is(
    build_target: Callable[..., Path], tmp_path: Path, features: str, tokio: str
) -> None:
    """In 1.52.0 it is elsewhere than in 1.52.2; with ``rt`` alone the scheduler has no tag."""
    binary = build_target("nap", tokio=tokio, features=features, profile="dev")
    written = profile(binary, tmp_path / "trace.json", "yield")
    functions = Counter(event["name"] for event in program.begins(written))
    assert functions["nap::take_a_nap"] >= 10
    assert set(functions) == {"nap::take_a_nap"}, functions
    assert written["otherData"]["episodes_tick_unknown"] == 0


def naps(written: dict[str, Any], *, ids: bool) -> list[float]:
    """Milliseconds that each poll of the napping task lasted."""
    return [
        (args["on_cpu_us"] + args["asleep_us"] + args["waiting_us"]) / 1000
        for args in (event["args"] for event in program.begins(written))
        if ("task_id" in args) == ids
    ]


def test_the_newest_tokio_is_in_the_matrix() -> None:
    assert NEWEST_PATCHES[-1].startswith(".".join(map(str, NEWEST)))
    assert len(NEWEST_PATCHES) == NEWEST[1] - 20 + 1


def unversioned() -> str:
    """What leaves Tokio's version out of the panic locations, as a vendored copy does."""
    asked = ["cargo", "metadata", "--format-version", "1", "--locked", "--features", "multi"]
    done = subprocess.run(
        asked, cwd=targets.CRATES / "nap", check=True, capture_output=True, text=True
    )
    packages = json.loads(done.stdout)["packages"]
    (manifest,) = (one["manifest_path"] for one in packages if one["name"] == "tokio")
    return f"--remap-path-prefix={Path(manifest).parent}=there"


@pytest.mark.parametrize("build", ["no version, stripped", "taskdump"])
def test_layouts_that_no_version_and_no_size_tells(
    build_target: Callable[..., Path], tmp_path: Path, build: str
) -> None:
    if build == "taskdump":
        flags = "--cfg tokio_unstable"
        binary = build_target("nap", features="multi,tokio/taskdump", rustflags=flags)
    else:
        binary = targets.stripped(build_target("nap", features="multi", rustflags=unversioned()))
    written = profile(binary, tmp_path / "trace.json")
    detection = written["otherData"]["detection"]
    assert detection["rung"] == "context", detection
    wanted = "with taskdump" if build == "taskdump" else "layout as in 1.40 to 1.54, CONTEXT found"
    assert wanted in detection["reason"]
    assert bool(written["otherData"]["detection"].get("tokio_versions")) == (build == "taskdump")
    lengths = naps(written, ids=True)
    assert len(lengths) >= 20
    assert sum(length < 12 for length in lengths) <= 2, lengths
