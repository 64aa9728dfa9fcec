"""What ``hud test`` says at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.testrun.findings import how_long, where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.testrun.excuses import Excused
    from hud.testrun.findings import Finding

MOST_FINDINGS = 50


def told(outcome: Excused, *, verbose: bool) -> Iterator[str]:
    """Line by line: the findings, the longest first, then what was seen."""
    reports = outcome.reports
    found = [(report.program, finding) for report in reports for finding in report.findings]
    found.sort(key=lambda one: -one[1].worst_ns)
    for program, finding in found[:MOST_FINDINGS]:
        yield from _finding(program, finding, verbose=verbose)
    if len(found) > MOST_FINDINGS:
        yield f"hud: and {figures.count(len(found) - MOST_FINDINGS, 'more finding')}"
    for breach in outcome.expired:
        yield f"hud: {breach.gate}: {breach.says}"
    for excuse in outcome.unused:
        yield f"hud: {excuse.place}: covers nothing: {excuse.function} {excuse.cause}"
    for report in reports:
        if report.doubt:
            yield f"hud: {report.program}: not all was seen: {report.doubt}"
    with_runtimes = [report.program for report in reports if report.runtimes]
    if not with_runtimes:
        yield "hud: no Tokio runtime began below this command: nothing was tested"
        return
    what = figures.count(len(found), "finding") if found else "nothing blocked"
    yield f"hud: {what} in {figures.count(len(with_runtimes), 'program')} with Tokio runtimes"
    if verbose:
        yield from (f"     {program}" for program in with_runtimes)


def _finding(program: str, finding: Finding, *, verbose: bool) -> Iterator[str]:
    length = how_long(finding)
    if finding.test:
        yield f"hud: {finding.test} ({program}) blocked its runtime for {length}"
    else:
        yield f"hud: {program} blocked a runtime for {length}; which test is not known"
    yield f"     in {where(finding)}"
    if finding.advice:
        yield f"     fix: {finding.advice}"
    if verbose:
        yield from (f"       {line}" for line in finding.stack)
