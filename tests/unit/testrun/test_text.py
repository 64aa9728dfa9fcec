"""What hud test says at the end, line by line."""

from __future__ import annotations

from hud.testrun.excuses import Excused
from hud.testrun.findings import Finding, Report
from hud.testrun.text import MOST_FINDINGS, told

MS = 1_000_000
LOGIN = Finding(
    test="tests::login",
    function="api::load",
    place="src/api.rs:88",
    file="/srv/api/src/api.rs",
    line=88,
    cause="file",
    operation="std::fs::read",
    advice="use tokio::fs::read",
    worst_ns=43 * MS,
    count=1,
    stack=("std::fs::read", "api::load"),
)
UNKNOWN = Finding("", "api::spin", "", "", 0, "cpu", "", "", 60 * MS, 3, ())


def lines(*reports: Report, verbose: bool = False) -> list[str]:
    return list(told(Excused(reports), verbose=verbose))


def test_the_longest_first() -> None:
    assert lines(
        Report("api", (LOGIN,), runtimes=True), Report("lib", (UNKNOWN,), runtimes=True)
    ) == [
        "hud: lib blocked a runtime for up to 60 ms, 3 times; which test is not known",
        "     in api::spin (cpu)",
        "hud: tests::login (api) blocked its runtime for 43 ms",
        "     in std::fs::read, called by api::load src/api.rs:88 (file)",
        "     fix: use tokio::fs::read",
        "hud: 2 findings in 2 programs with Tokio runtimes",
    ]


def test_stacks_and_programs_on_request() -> None:
    said = lines(Report("api", (LOGIN,), runtimes=True), verbose=True)
    assert said[3:5] == ["       std::fs::read", "       api::load"]
    assert said[-1] == "     api"


def test_nothing_found() -> None:
    assert lines(Report("api", runtimes=True), Report("other")) == [
        "hud: nothing blocked in 1 program with Tokio runtimes"
    ]


def test_nothing_seen_is_no_pass() -> None:
    nothing = "hud: no Tokio runtime began below this command: nothing was tested"
    assert lines() == [nothing]
    assert lines(Report("api", doubt="events were lost")) == [
        "hud: api: not all was seen: events were lost",
        nothing,
    ]


def test_many() -> None:
    said = lines(Report("api", (LOGIN,) * (MOST_FINDINGS + 2), runtimes=True))
    assert sum("blocked its runtime" in line for line in said) == MOST_FINDINGS
    assert "hud: and 2 more findings" in said
