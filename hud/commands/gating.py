"""``--fail-on``: gates as the command line gives them, and what becomes of the exit code."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.commands import actions
from hud.commands.streams import say
from hud.errors import UsageError
from hud.text import printable

if TYPE_CHECKING:
    from argparse import Namespace

    from hud.analysis.comparison.compare import Comparison
    from hud.analysis.results import Snapshot
    from hud.analysis.snapshot import Analyzer
    from hud.gates.breach import Verdict
    from hud.gates.grammar import Gate
    from hud.gates.suppressions import Excuse

EXIT_HELD, EXIT_BREACH, EXIT_UNSURE = 0, 1, 4
_MOST_LINES = 20
"""Of the breaches."""


class Gates(NamedTuple):
    """What a run is held against when it is over."""

    gates: tuple[Gate, ...] = ()
    excuses: tuple[Excuse, ...] = ()
    junit: str = ""
    """Where what came of them goes; empty = nowhere."""
    baseline: str = ""
    """The recording that ``worse`` compares with; empty = there is no such gate."""


def wanted(options: Namespace, *, compares: bool = False) -> Gates:
    """HudError for what is not understood or cannot be written: before a run, not after it.

    ``compares``: a comparison will be there, without a baseline.
    """
    baseline = "" if compares else options.baseline or ""
    for name in ("suppressions", "junit", *([] if compares else ["baseline"])):
        if getattr(options, name) and not options.fail_on:
            raise UsageError(f"--{name} without --fail-on", "add --fail-on 'blockers>0'")
    if not options.fail_on:
        return Gates()
    from hud.export.write import check_writable
    from hud.gates import grammar, suppressions

    gates = tuple(map(grammar.parse, options.fail_on))
    excuses = tuple(suppressions.read(options.suppressions) if options.suppressions else ())
    if options.junit:
        check_writable(options.junit)
    if not compares:
        _check_baseline(gates, baseline)
    return Gates(gates, excuses, options.junit or "", baseline)


def _check_baseline(gates: tuple[Gate, ...], path: str) -> None:
    """HudError where it is missing, cannot be read, or nothing asks for it."""
    from hud.commands.ended import check
    from hud.gates.grammar import WORSE

    asking = [gate.text for gate in gates if gate.measure == WORSE]
    if asking and not path:
        raise UsageError(f"--fail-on {asking[0]}: worse than what?", "add --baseline FILE.hud")
    if path and not asking:
        raise UsageError("--baseline without a gate on it", "add --fail-on 'worse>20%'")
    if path:
        check(path)


def hold(
    analyzer: Analyzer, snapshot: Snapshot, against: Gates, comparison: Comparison | None = None
) -> int:
    """Say on standard error what was found, a line each, and write what was asked for; the exit
    code. ``comparison``: with the baseline, where it is made already. Raises HudError.
    """
    if not against.gates:
        return EXIT_HELD
    from hud.gates.judge import judge

    if against.baseline:
        comparison = _compared(against.baseline, snapshot)
    today = datetime.now(timezone.utc).date()
    verdict = judge(analyzer, snapshot, against.gates, against.excuses, today, comparison)
    _say(verdict)
    if actions.here():
        actions.tell(verdict, against.gates, _page(snapshot, comparison))
    if against.junit:
        _write(against, verdict, snapshot)
    if verdict.breaches:
        return EXIT_BREACH
    return EXIT_UNSURE if verdict.doubts else EXIT_HELD


def _compared(baseline: str, snapshot: Snapshot) -> Comparison:
    from hud.analysis.comparison.compare import compare
    from hud.commands.ended import ended

    return compare(ended(baseline).snapshot(), snapshot)


def _page(snapshot: Snapshot, comparison: Comparison | None) -> str:
    from hud.export import markdown
    from hud.export.diff import written

    compared = f"\n{written('markdown')(comparison, 0)}" if comparison else ""
    return markdown.text(snapshot) + compared


def _say(verdict: Verdict) -> None:
    for breach in verdict.breaches[:_MOST_LINES]:
        say(f"hud: {printable(breach.gate)} failed: {printable(breach.says)}")
    more = len(verdict.breaches) - _MOST_LINES
    if more > 0:
        say(f"hud: and {figures.count(more)} more")
    for doubt in verdict.doubts:
        say(f"hud: {printable(doubt.gate)} cannot be decided: {printable(doubt.says)}")
    for excuse in verdict.unused:
        say(f"hud: {excuse.place}: covers nothing: {printable(excuse.function)} {excuse.cause}")


def _write(against: Gates, verdict: Verdict, snapshot: Snapshot) -> None:
    from hud.export.write import write_text
    from hud.gates.junit import written
    from hud.process.rights import invoking_user

    write_text(against.junit, written(verdict, against.gates, snapshot), invoking_user())
