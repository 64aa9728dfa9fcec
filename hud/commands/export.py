"""``hud export``: the results of a recorded run, as the live run would have written them."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from hud.commands.arguments import Parser, add_format, add_recording
from hud.errors import UsageError

if TYPE_CHECKING:
    from hud.commands.deliver import Output

SAYS = "Prints the summary of a recorded run, and writes an export of it."


def add_arguments(parser: Parser) -> None:
    add_recording(parser)
    parser.add_argument("-o", "--output", metavar="OUT", help="where to (- stdout)")
    add_format(parser)


def run(options: Namespace) -> int:
    if options.format and options.output is None:
        raise UsageError("--format without --output", "add -o FILE")

    from hud.commands.deliver import Output, check

    output = Output(options.output, options.format, verbose=options.verbose)
    check(output)
    deliver_recording(options.file, output)
    return 0


def deliver_recording(path: str, output: Output) -> None:
    """As the live run would have been delivered."""
    from hud.commands.deliver import deliver
    from hud.commands.ended import ended

    run = ended(path)
    deliver(run.analyzer, run.snapshot(), output)
