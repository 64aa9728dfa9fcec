"""``hud run``: start a program under hud, see it from its first poll, end with it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from hud.commands.arguments import Parser, add_duration, add_files, add_run_options
from hud.commands.streams import say
from hud.errors import UsageError
from hud.text import printable

if TYPE_CHECKING:
    from hud.process.launch import Launched

SAYS = "Starts a program, watches it from its first poll to its end, and prints a summary."
EPILOG = """\
The program keeps its standard streams; hud writes to standard error. Under sudo
the program runs as the user who called sudo. hud exits with the program's exit
code (128 plus the signal, if a signal ended it), unless a gate fails (--fail-on).
After --duration hud sends the program SIGTERM and exits with 0.

hud watches only the program itself, not what it starts: name the binary
(target/release/my-app), not cargo run.
"""


def add_arguments(parser: Parser) -> None:
    parser.usage = "hud run [options] -- PROGRAM [ARGUMENTS]"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("program", nargs="+", metavar="PROGRAM", help="what to start")
    add_files(parser)
    add_duration(parser, "stop the program", "wait until it ends")
    add_run_options(parser)


def run(options: argparse.Namespace) -> int:
    from hud.commands.profile import check, profile
    from hud.commands.request import request_of
    from hud.process.find import find_target
    from hud.process.launch import Launched, code_of
    from hud.process.rights import invoking_user

    if options.export == "-":
        raise UsageError("--export -: the program uses standard output", "name a file")
    request = request_of(options, headless=True)
    check(request)
    with Launched(options.program, invoking_user()) as launched:
        # what hud shows must not be taken for what the program writes
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        if launched.status is not None:
            say(f"hud: {printable(options.program[0])} has ended: there was nothing to watch")
            return code_of(launched.status)
        ends: list[bool] = []
        code = profile(
            find_target(None, launched.pid),
            request,
            launched.let_go,
            lambda why: ends.append(_end(launched, why)),
        )
        status = launched.wait()
    ours = any(ends) and os.WIFSIGNALED(status)
    return code or (0 if ours else code_of(status))


def _end(launched: Launched, why: str) -> bool:
    """Whether hud has ended the program."""
    if why == "duration over":
        launched.send(signal.SIGTERM)
        return True
    asked = why.removeprefix("stopped by ")
    if asked != why and not (asked == "SIGINT" and _shares_terminal()):
        launched.send(signal.Signals[asked])
    return False


def _shares_terminal() -> bool:
    """Ctrl-C reaches the program without hud."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
