"""A suppressions file and findings of tests: covered by function or test, until its day."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from hud.gates.suppressions import read
from hud.testrun.excuses import excused
from hud.testrun.findings import Finding, Report
from hud.testrun.text import told

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2027, 1, 1)
MS = 1_000_000
LOGIN = Finding("tests::login", "api::load", "", "/w/a.rs", 8, "file", "", "", 43 * MS, 1, ())
SPIN = Finding("", "api::spin", "", "", 0, "cpu", "", "", 20 * MS, 1, ())
REPORTS = (Report("api", (LOGIN, SPIN), runtimes=True), Report("lib", doubt="events were lost"))


def test_without_a_file_all_stays() -> None:
    found = excused(REPORTS, (), TODAY)
    assert found.reports == REPORTS
    (first, second), (doubt,), _ = found.verdict
    assert (first.gate, first.file, first.line, first.blocked_ns) == (
        *("tests::login", "/w/a.rs", 8),
        43 * MS,
    )
    assert (second.gate, second.file) == ("api", "")
    assert (doubt.gate, doubt.says) == ("lib", "events were lost")


def test_by_function_or_by_test(tmp_path: Path) -> None:
    path = tmp_path / "hud.txt"
    path.write_text(
        "tests::log*  file  never       a fixture\n"
        "api::spin    any   2027-01-01  on its last day\n"
        "api::load    cpu   never       another cause\n"
    )
    found = excused(REPORTS, read(str(path)), TODAY)
    assert [one.findings for one in found.reports] == [(), ()]
    assert [one.line for one in found.unused] == [3]
    assert f"hud: {path}:3: covers nothing: api::load cpu" in told(found, verbose=False)


def test_a_line_whose_day_is_over_fails(tmp_path: Path) -> None:
    path = tmp_path / "hud.txt"
    path.write_text("api::spin any 2026-12-31 soon\n")
    found = excused(REPORTS, read(str(path)), TODAY)
    assert found.reports == REPORTS
    assert [one.line for one in found.verdict.breaches] == [8, 0, 1]
    said = f"hud: {path}:1: expired on 2026-12-31: api::spin, soon"
    assert said in told(found, verbose=False)
