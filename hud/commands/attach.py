"""``hud PROCESS``: profile a running process."""

from __future__ import annotations

import argparse

from hud import __version__
from hud.commands import COMMANDS
from hud.commands.arguments import (
    Parser,
    add_duration,
    add_process,
    add_run_options,
    check_process,
)

SAYS = """\
Shows which code blocks the workers of a running Tokio service, for how long,
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
  sudo hud --pid 1234 --threshold 1    look closer: polls of 1 ms and longer
  sudo hud my-app --window 30          only the last 30 seconds
  sudo hud my-app --headless --duration 60
                                       print a summary after a minute
  sudo hud my-app --headless --export trace.json
                                       and write a trace: Perfetto, jq
  sudo hud my-app --record run.hud     keep everything hud sees, for later
  sudo hud run -- ./my-app             start it, watch it from its first poll
  sudo hud test -- cargo test          which tests block their runtime
  hud view run.hud                     the same screen, played again
  hud report run.hud                   one HTML file to show to others
  hud diff before.hud after.hud        what changed, and how sure hud is of it
  sudo hud dump my-app                 what each worker is doing, with its stack
  sudo hud doctor 1234                 what this kernel and that process allow
  sudo hud demo                        try hud on a server of its own, with load

threshold:
  1 ms    low latency: games, trading, real-time APIs
  5 ms    web services (the default)
  10 ms   background workers
  50 ms   only what hurts most

exit codes:
  0    done
  1    a gate failed (--fail-on)
  2    wrong usage
  3    target not found, or gone before anything was seen
  4    not permitted, not supported here, the result could not be written, or
       hud saw too little to say that no gate failed
  130  interrupted before anything could be written

hud help lists longer texts: reading the screen, tuning, exact mode, exports,
gates in CI, tests, recordings, reports, how hud works, troubleshooting,
security, cost.

If your process is named like a command
({", ".join(COMMANDS)}),
use --pid.
"""


def add_arguments(parser: Parser) -> None:
    parser.usage, parser.epilog = USAGE, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_process(parser)
    add_duration(parser, "stop", "run until Ctrl-C")
    parser.add_argument("--version", action="version", version=f"hud {__version__}")
    add_run_options(parser)


def run(options: argparse.Namespace) -> int:
    check_process(options, "hud")

    from hud.commands.profile import check, profile
    from hud.commands.request import request_of
    from hud.process.find import find_target

    request = request_of(options, headless=options.headless)
    check(request)
    return profile(find_target(options.process, options.pid), request)
