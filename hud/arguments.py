"""What may stand on the command line: the texts of the help, the options, the values they take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from hud import __version__
from hud.errors import UsageError
from hud.request import Request
from hud.streams import show

THRESHOLD_MS = (0.1, 60_000.0)
SECONDS = (0.0, 31_536_000.0)
OVERHEAD_PERCENT = (0.1, 100.0)
AUTO = "auto"

USAGE = """\
hud [options] PROCESS
       hud [options] --pid PID
       hud doctor [PID]
       hud demo
       hud info|view|export FILE.hud
       hud help [TOPIC]"""

DESCRIPTION = """\
Says which code blocks the workers of a running Tokio service, for how long
and why."""

EPILOG = """\
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
troubleshooting, how it works, security.

A process that is named like a command (doctor, demo, info, view, export, help)
is reached by --pid.
"""


class Parser(argparse.ArgumentParser):
    """argparse whose errors look like all others of hud."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"{self.prog} --help shows how")

    def _print_message(self, message: str, _file: object = None) -> None:
        show(message)


def number(name: str, low: float, high: float, unit: str) -> Callable[[str], float]:
    """A type of argparse: a number from ``low`` to ``high``."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: {name} is {low:.9g} to {high:.9g} {unit}")
        return value

    return parse


def _threshold(text: str) -> float:
    """Milliseconds; 0 = auto."""
    return 0.0 if text == AUTO else number("a threshold", *THRESHOLD_MS, "ms, or auto")(text)


def process_id(text: str) -> int:
    """A type of argparse: what the kernel may give as a pid."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 22:
        raise argparse.ArgumentTypeError(f"{text!r}: a process id is 1 to {(1 << 22) - 1}")
    return int(text)


def add_theme(parser: argparse._ActionsContainer) -> None:
    """``theme``: how the screen is coloured; empty = as environment and terminal say."""
    parser.add_argument(
        "--theme",
        choices=("dark", "light", "none"),
        default="",
        help="colours of the screen (default: for the terminal's background; none with NO_COLOR)",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that profiles; ``request_of`` reads them."""
    run = parser.add_argument_group("what to look for")
    run.add_argument(
        "--threshold",
        type=_threshold,
        default=5.0,
        metavar="MS",
        help="report polls that last at least this long (default 5; fractions allowed; auto: "
        "3 x p99 of the target's polls, at least 1)",
    )
    run.add_argument(
        "--window",
        type=number("a window", *SECONDS, "s"),
        default=0.0,
        metavar="S",
        help="show only the last S seconds (default 0: everything)",
    )
    run.add_argument(
        "--workers",
        metavar="PREFIX",
        help="only threads whose name begins like this are workers (default: hud finds them)",
    )
    run.add_argument(
        "--exact",
        action="store_true",
        help="time every poll, by uprobes in Tokio's functions: figures for each type of task",
    )
    run.add_argument(
        "--max-overhead",
        type=number("a limit", *OVERHEAD_PERCENT, "%"),
        default=3.0,
        metavar="PCT",
        help="what --exact may cost, in %% of the workers' CPU time; beyond it polls are timed in "
        "bursts (default 3)",
    )
    run.add_argument(
        "--no-context",
        action="store_true",
        help="do not read Tokio's own state: find workers by stacks and names",
    )
    out = parser.add_argument_group("what to do with it")
    out.add_argument(
        "--headless", action="store_true", help="no screen: print a summary at the end"
    )
    add_theme(out)
    out.add_argument(
        "--export", metavar="FILE", help="write the run to FILE when it ends (- stdout)"
    )
    out.add_argument(
        "--record", metavar="FILE.hud", help="write all that is seen to FILE.hud, to look at later"
    )
    out.add_argument(
        "--format",
        metavar="NAME",
        default="",
        help="format of the export: trace (Chrome Trace Event JSON, the default) or summary",
    )
    out.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing but errors and the export"
    )
    out.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="how hud sees, timings, details of errors; in the summary each blocker's raw symbol, "
        "source lines and machine code",
    )
    out.add_argument(
        "--btf", metavar="FILE", help="types of the running kernel, where it has none of its own"
    )


def run_parser() -> argparse.ArgumentParser:
    """Of ``hud PROCESS``."""
    parser = Parser(
        prog="hud",
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
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
    return parser


def request_of(options: argparse.Namespace, *, headless: bool) -> Request:
    """What the parsed options ask for."""
    return Request(
        threshold_ns=round(options.threshold * 1e6),
        window_ns=round(options.window * 1e9),
        duration_s=options.duration,
        workers=options.workers,
        executable=options.target,
        debug_files=tuple(options.debug_file),
        btf=Path(options.btf) if options.btf else None,
        use_context=not options.no_context,
        exact=options.exact,
        max_overhead=options.max_overhead / 100,
        headless=headless,
        theme=options.theme,
        export=options.export,
        record=options.record,
        format=options.format,
        quiet=options.quiet,
        verbose=options.verbose,
    )


def file_parser(command: str, description: str) -> Parser:
    """The beginning of a command on a recording."""
    parser = Parser(prog=f"hud {command}", description=description, allow_abbrev=False)
    parser.add_argument("file", metavar="FILE", help="a recording (hud --record)")
    parser.add_argument("-v", "--verbose", action="store_true", help="details of errors")
    return parser
