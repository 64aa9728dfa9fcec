"""The command line: which command it is, the one place that prints errors and picks exit codes.

Exit codes: see ``hud.commands.attach.EPILOG``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hud.commands import ATTACH, COMMANDS, interrupts, limits, load, streams
from hud.commands.arguments import Parser
from hud.commands.streams import say, show
from hud.errors import HudError, UsageError
from hud.garbage import rare_collections

EXIT_DONE = 0
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run hud; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = "--verbose" in arguments or "-v" in arguments
    try:
        streams.prepare()
        limits.raise_file_limit()
        interrupts.take()
        with rare_collections():
            status = _dispatch(arguments)
        show("")
        return status
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_DONE
    except (HudError, OSError, MemoryError, RuntimeError) as error:
        if interrupts.caused(error):
            return EXIT_INTERRUPTED
        shown = limits.explained(error) or error
        if not isinstance(shown, HudError):
            raise
        _print_error(shown, verbose)
        return shown.exit_code


def _print_error(error: HudError, verbose: bool) -> None:
    say(f"hud: {error}")
    for line in error.hint.splitlines():
        say(f"     {line}")
    if verbose and error.detail:
        say(error.detail)


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    parser = parser_of(name)
    if not arguments:
        say(f"{parser.format_usage().rstrip()}\n")
        say("hud --help lists the options; hud help, longer texts")
        return UsageError.exit_code
    try:
        options = parser.parse_args(arguments[1:] if name else arguments)
    except SystemExit as done:  # argparse, after --help or --version
        return int(done.code or EXIT_DONE)
    return int(options.run(options))


def parser_of(name: str) -> Parser:
    """What a command understands; its options' ``run`` does it. Empty = ``hud PROCESS``."""
    command = load(name or ATTACH)
    parser = Parser(prog=f"hud {name}".rstrip(), description=command.SAYS, allow_abbrev=False)
    command.add_arguments(parser)
    parser.set_defaults(run=command.run)
    return parser
