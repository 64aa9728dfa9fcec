"""``hud export``: the results of a recorded run, as the live run would have written them."""

from __future__ import annotations

from argparse import Namespace

from hud.commands.arguments import Parser, add_format, add_gates, add_recording
from hud.errors import UsageError

SAYS = "Prints the summary of a recording, or writes it in another format."


def add_arguments(parser: Parser) -> None:
    add_recording(parser)
    parser.add_argument(
        "-o", "--output", metavar="OUT", help="file to write (- for standard output)"
    )
    add_format(parser)
    add_gates(parser)


def run(options: Namespace) -> int:
    if options.format and options.output is None:
        raise UsageError("--format without --output", "add -o FILE")

    from hud.commands.deliver import deliver
    from hud.commands.ended import ended
    from hud.commands.gating import hold, wanted
    from hud.commands.output import Output, check

    gates = wanted(options)
    output = Output(options.output, options.format, verbose=options.verbose)
    check(output)
    run = ended(options.file)
    snapshot = run.snapshot()
    deliver(run.analyzer, snapshot, output)
    return hold(run.analyzer, snapshot, gates)
