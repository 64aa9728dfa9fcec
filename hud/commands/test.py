"""``hud test``: run a command, say which tests below it block their runtime."""

from __future__ import annotations

import argparse
import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from hud.commands import actions
from hud.commands.arguments import THRESHOLD_MS, Parser, number
from hud.commands.streams import say
from hud.text import printable

if TYPE_CHECKING:
    from hud.testrun.excuses import Excused

SAYS = "Runs a command and says which tests block their Tokio runtime, and where."
EPILOG = """\
Every program below the command that holds a Tokio runtime is watched from before its
main to its end: all that cargo test or cargo nextest run starts.

  sudo hud test -- cargo test
  sudo hud test --threshold 20 -- cargo nextest run

Under sudo the command runs as the user who called sudo. Exit codes: 1 a test blocked
its runtime, 4 nothing blocked but not all was seen, else the command's own.
"""
EXIT_BLOCKED, EXIT_UNSURE = 1, 4


def add_arguments(parser: Parser) -> None:
    parser.usage = "hud test [options] -- COMMAND [ARGUMENTS]"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="what to run")
    parser.add_argument(
        "--threshold",
        type=number("a threshold", *THRESHOLD_MS, "ms"),
        default=5.0,
        metavar="MS",
        help="report polls whose own time is at least this long (default 5)",
    )
    parser.add_argument(
        "--suppressions", metavar="FILE", help="a list of what may block, as for gates: hud help ci"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="say each finding's stack, and every program"
    )


def run(options: argparse.Namespace) -> int:
    from hud import resources
    from hud.gates import suppressions
    from hud.process.launch import code_of
    from hud.process.rights import invoking_user
    from hud.process.tree import Tree
    from hud.profiler import Options
    from hud.testrun.excuses import excused
    from hud.testrun.session import Session
    from hud.testrun.text import told

    excuses = suppressions.read(options.suppressions) if options.suppressions else []
    programs = resources.read(f"hud-{os.uname().machine}.bpf.o")
    looked_for = Options(threshold_ns=round(options.threshold * 1e6), starters=True)
    with (
        Tree(options.command, invoking_user()) as tree,
        Session(tree, looked_for, programs) as session,
    ):
        status = session.run()
    outcome = excused(session.reports, excuses, datetime.now(timezone.utc).date())
    for line in told(outcome, verbose=options.verbose):
        say(printable(line))
    if actions.here():
        actions.tell(outcome.verdict, (), "")
    return _exit_code(outcome) or code_of(status)


def _exit_code(outcome: Excused) -> int:
    verdict = outcome.verdict
    if verdict.breaches:
        return EXIT_BLOCKED
    began = any(one.runtimes for one in outcome.reports)
    return 0 if began and not verdict.doubts else EXIT_UNSURE
