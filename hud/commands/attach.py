"""``hud PROCESS``: profile a running process."""

from __future__ import annotations

import argparse

from hud import __version__
from hud.commands import COMMANDS
from hud.commands.arguments import (
    SECONDS,
    Parser,
    add_run_options,
    number,
    process_id,
)
from hud.errors import UsageError

SAYS = """\
Says which code blocks the workers of a running Tokio service, for how long
and why."""

USAGE = "\n".join(
    [
        "hud [options] PROCESS",
        "       hud [options] --pid PID",
        *(f"       hud {name} {rest}".rstrip() for name, rest in COMMANDS.items()),
    ]
)

EPILOG = f"""\
examples:
  sudo hud my-app                      watch it live
  sudo hud --pid 1234 --threshold 1    look closer: polls of 1 ms and more
  sudo hud my-app --window 30          only the last 30 seconds
  sudo hud my-app --headless --duration 60
                                       print a summary after a minute
  sudo hud my-app --headless --export trace.json
                                       and write a trace: Perfetto, jq
  sudo hud my-app --record run.hud     keep all that is seen, to look at later
  hud view run.hud                     the same screen, played again
  sudo hud doctor 1234                 what this machine and that process allow
  sudo hud demo                        hud on a server of its own, with load

threshold:
  1 ms    low latency: games, trading, real-time APIs
  5 ms    web services (the default)
  10 ms   background workers
  50 ms   only what hurts badly

exit codes:
  0    done
  2    wrong usage
  3    target not found, or gone before anything was seen
  4    not permitted, not supported here, or the result could not be written
  130  interrupted before anything could be written

hud help lists what there is to read: tuning, reading the screen, exports,
recordings, troubleshooting, how it works, security.

A process that is named like a command ({", ".join(COMMANDS)})
is reached by --pid.
"""


def add_arguments(parser: Parser) -> None:
    parser.usage, parser.epilog = USAGE, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("process", nargs="?", metavar="PROCESS", help="name of the process")
    parser.add_argument("-p", "--pid", type=process_id, help="its process id, instead of the name")
    parser.add_argument(
        "-t",
        "--target",
        metavar="FILE",
        help="a file of the same build with symbols, where the running one has none",
    )
    parser.add_argument(
        "--debug-file",
        action="append",
        default=[],
        metavar="FILE",
        help="debug information of the same build: a .debug or .dwp file (repeatable)",
    )
    parser.add_argument(
        "--duration",
        type=number("a duration", *SECONDS, "s"),
        default=0.0,
        metavar="S",
        help="end after S seconds (default 0: until Ctrl-C)",
    )
    parser.add_argument("--version", action="version", version=f"hud {__version__}")
    add_run_options(parser)


def run(options: argparse.Namespace) -> int:
    if options.process and options.pid:
        raise UsageError("both a process name and --pid", "give one of them")
    if not options.process and not options.pid:
        raise UsageError("no process given", "hud PROCESS, or hud --pid PID")

    from hud.commands.profile import check, profile
    from hud.commands.request import request_of
    from hud.process.find import find_target

    request = request_of(options, headless=options.headless)
    check(request)
    return profile(find_target(options.process, options.pid), request)
