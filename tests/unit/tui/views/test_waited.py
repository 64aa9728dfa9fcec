"""Who had no CPU, as the page of the pressure lists them."""

from __future__ import annotations

from dataclasses import replace

from draw import drawn, text_of
from screen_build import INFO, MS, NOW, RICH, S, snapshot

from hud.analysis.results import Latency
from hud.tui.actions import Show
from hud.tui.state import Size


def pressure(**changes: object) -> list[str]:
    return text_of(drawn(snapshot(**{**RICH, **changes}), Size(120, 36), Show("pressure")))


def test_the_latest_waits_say_who_ran_instead() -> None:
    waits = tuple(
        Latency(at, 22969 + at, NOW - (at + 1) * S, 7 * MS, 0, 9, name, pid, True, process)
        for at, (name, pid, process) in enumerate(
            [("pool-3", INFO.target.pid, "api"), ("cc1", 9000, "make"), ("", 0, "")]
        )
    )
    lines = pressure(waits=waits)
    at = next(at for at, line in enumerate(lines) if "the latest waits" in line)
    told = [line.partition("│")[0].strip().split(maxsplit=3) for line in lines[at + 1 : at + 4]]
    assert [one[1:] for one in told] == [
        ["W0", "7.0ms", "pool-3, of this process"],
        ["W1", "7.0ms", "make, pid 9000"],
        ["W2", "7.0ms", "(idle CPU, or not known)"],
    ]


def test_code_is_ranked_by_how_long_its_polls_had_no_cpu() -> None:
    first, second, *others = RICH["blockers"]
    waiting = (replace(first, waiting_ns=20 * MS), replace(second, waiting_ns=90 * MS), *others)
    lines = pressure(blockers=waiting)
    at = next(at for at, line in enumerate(lines) if "code whose long polls" in line)
    rows = [line.rpartition("│")[2].split() for line in lines[at + 1 : at + 3]]
    assert [(row[0], row[-1]) for row in rows] == [
        ("90ms", "store::Index::save"),
        ("20ms", "api::login::hash_password"),
    ]
