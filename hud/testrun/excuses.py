"""What a suppressions file lets tests do: the findings that are left, and what the file itself is
to blame for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hud.gates.breach import Breach, Verdict, expired
from hud.testrun.findings import says

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from hud.gates.suppressions import Excuse
    from hud.testrun.findings import Finding, Report


class Excused(NamedTuple):
    """The reports without what is excused."""

    reports: tuple[Report, ...]
    expired: tuple[Breach, ...] = ()
    """Of lines whose day is over."""
    unused: tuple[Excuse, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """As gates have it: a finding fails its test."""
        found = [
            Breach(one.test or report.program, says(one), one.file, one.line, one.worst_ns)
            for report in self.reports
            for one in report.findings
        ]
        doubts = [Breach(one.program, one.doubt) for one in self.reports if one.doubt]
        return Verdict((*found, *self.expired), tuple(doubts), self.unused)


def excused(reports: Sequence[Report], excuses: Sequence[Excuse], today: date) -> Excused:
    """A line covers a function, or a test, by its name."""
    valid = [one for one in excuses if not one.expired(today)]
    used: set[str] = set()

    def stays(finding: Finding) -> bool:
        covering = {one.place for one in valid if _covers(one, finding)}
        used.update(covering)
        return not covering

    left = tuple(
        msgspec.structs.replace(one, findings=tuple(filter(stays, one.findings))) for one in reports
    )
    over = tuple(expired(one) for one in excuses if one.expired(today))
    return Excused(left, over, tuple(one for one in valid if one.place not in used))


def _covers(excuse: Excuse, finding: Finding) -> bool:
    names = filter(None, (finding.function, finding.test))
    return any(excuse.covers(name, finding.cause) for name in names)
