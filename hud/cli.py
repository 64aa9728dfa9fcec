"""The command line: arguments to a run, the one place that prints errors and picks exit codes.

Exit codes: see ``EPILOG``.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from hud import __version__
from hud.errors import ExportError, HudError, UsageError
from hud.request import Request

EXIT_DONE = 0
EXIT_INTERRUPTED = 130

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


class _Parser(argparse.ArgumentParser):
    """argparse whose errors look like all others of hud."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"{self.prog} --help shows how")

    def _print_message(self, message: str, _file: object = None) -> None:
        _show(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run hud; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = "--verbose" in arguments or "-v" in arguments
    try:
        _prepare_streams()
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _interrupt)
        status = _dispatch(arguments)
        _show("")
        return status
    except HudError as error:
        _print_error(error, verbose)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_DONE


def _interrupt(_number: int, _frame: object) -> None:
    """Whatever was started is stopped and removed on the way out, as after Ctrl-C."""
    raise KeyboardInterrupt


def _prepare_streams() -> None:
    """Standard streams that were closed at the start lead nowhere, and none fails on a letter."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while os.open(os.devnull, os.O_RDWR) <= 2:
            pass
        sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
        sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
        sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _print_error(error: HudError, verbose: bool) -> None:
    _say(f"hud: {error}")
    for line in error.hint.splitlines():
        _say(f"     {line}")
    if verbose and error.detail:
        _say(error.detail)


def _say(text: str) -> None:
    """A line for people, on standard error; never fatal."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        _lead_nowhere(sys.stderr)


def _show(text: str) -> None:
    """Results, on standard output. Raises BrokenPipeError when nobody reads, or ExportError."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _lead_nowhere(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        reason = (error.strerror or "refused").lower()
        raise ExportError(f"write standard output: {reason}") from error


def _lead_nowhere(stream: TextIO) -> None:
    """What is still buffered must not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _dispatch(arguments: list[str]) -> int:
    try:
        command = COMMANDS.get(arguments[0]) if arguments else None
        return command(arguments[1:]) if command is not None else _profile(arguments)
    except SystemExit as done:  # argparse, after --help or --version
        return int(done.code or EXIT_DONE)


# --------------------------------------------------------------------------- options


def _number(name: str, low: float, high: float, unit: str) -> Callable[[str], float]:
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
    return 0.0 if text == AUTO else _number("a threshold", *THRESHOLD_MS, "ms, or auto")(text)


def _pid(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 22:
        raise argparse.ArgumentTypeError(f"{text!r}: a process id is 1 to {(1 << 22) - 1}")
    return int(text)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
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
        type=_number("a window", *SECONDS, "s"),
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
        type=_number("a limit", *OVERHEAD_PERCENT, "%"),
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


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hud",
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("process", nargs="?", metavar="PROCESS", help="name of the process")
    parser.add_argument("-p", "--pid", type=_pid, help="its process id, instead of the name")
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
        type=_number("a duration", *SECONDS, "s"),
        default=0.0,
        metavar="S",
        help="end after S seconds (default 0: until Ctrl-C)",
    )
    parser.add_argument("--version", action="version", version=f"hud {__version__}")
    _add_run_options(parser)
    return parser


# --------------------------------------------------------------------------- commands


def _profile(arguments: list[str]) -> int:
    parser = _parser()
    if not arguments:
        _say(parser.format_help().rstrip())
        return UsageError.exit_code
    options = parser.parse_args(arguments)
    if options.process and options.pid:
        raise UsageError("both a process name and --pid", "give one of them")
    if not options.process and not options.pid:
        raise UsageError("no process given", "hud PROCESS, or hud --pid PID")

    from hud import run
    from hud.target.find import find_target

    request = _request(options, headless=options.headless)
    run.check(request)
    return run.run(find_target(options.process, options.pid), request, _say, _show)


def _request(options: argparse.Namespace, *, headless: bool) -> Request:
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
        export=options.export,
        record=options.record,
        format=options.format,
        quiet=options.quiet,
        verbose=options.verbose,
    )


def _doctor(arguments: list[str]) -> int:
    parser = _Parser(
        prog="hud doctor",
        description="What this kernel, these privileges and that process allow.",
        epilog="exit codes: 0 hud can run; 3 no such process; 4 hud cannot run here",
        allow_abbrev=False,
    )
    parser.add_argument("pid", nargs="?", type=_pid, metavar="PID", help="a process to look at")
    parser.add_argument("--btf", metavar="FILE", help="types of the running kernel")
    parser.add_argument("-v", "--verbose", action="store_true", help="details of errors")
    options = parser.parse_args(arguments)

    from hud import doctor

    btf = Path(options.btf) if options.btf else None
    able = True
    for line in doctor.examine(options.pid, btf):
        _show(doctor.in_words(line) + "\n")
        able = able and (line.ok or not line.needed)
    return EXIT_DONE if able else HudError.exit_code


def _demo(arguments: list[str]) -> int:
    parser = _Parser(
        prog="hud demo",
        description="Starts a server that blocks its workers, puts load on it and profiles it.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--duration",
        "--seconds",
        type=_number("a duration", 1.0, 3600.0, "s"),
        default=10.0,
        metavar="S",
        help="how long to profile (default 10)",
    )
    parser.add_argument("--live", action="store_true", help="the screen instead of a summary")
    parser.add_argument(
        "--build", action="store_true", help="build the server from source with cargo"
    )
    parser.set_defaults(target=None, debug_file=[])
    _add_run_options(parser)
    options = parser.parse_args(arguments)

    from hud import run
    from hud.demo import run_demo
    from hud.target.find import find_target

    request = _request(options, headless=options.headless or not options.live)
    run.check(request)

    def tell(text: str) -> None:
        if not options.quiet:
            _say(f"hud demo: {text}")

    return run_demo(
        lambda pid: run.run(find_target(None, pid), request, _say, _show),
        seconds=options.duration,
        say=tell,
        build=options.build,
    )


def _file_parser(command: str, description: str) -> _Parser:
    parser = _Parser(prog=f"hud {command}", description=description, allow_abbrev=False)
    parser.add_argument("file", metavar="FILE", help="a recording (hud --record)")
    parser.add_argument("-v", "--verbose", action="store_true", help="details of errors")
    return parser


def _info(arguments: list[str]) -> int:
    options = _file_parser("info", "What is in a recording.").parse_args(arguments)

    from hud import recordings

    for line in recordings.info(options.file):
        _show(line + "\n")
    return EXIT_DONE


def _export(arguments: list[str]) -> int:
    parser = _file_parser(
        "export", "Writes what the recorded run would have written, and prints its summary."
    )
    parser.add_argument("-o", "--output", metavar="OUT", help="where to (- stdout)")
    parser.add_argument(
        "--format", metavar="NAME", default="", help="trace (the default) or summary"
    )
    options = parser.parse_args(arguments)
    if options.format and options.output is None:
        raise UsageError("--format without --output", "add -o FILE")

    from hud import recordings

    recordings.export(
        options.file, options.output, options.format, _say, _show, verbose=options.verbose
    )
    return EXIT_DONE


def _view(arguments: list[str]) -> int:
    parser = _file_parser("view", "Shows a recording on the screen, at its end or from --at on.")
    parser.add_argument(
        "--at",
        type=_number("a position", *SECONDS, "s"),
        metavar="S",
        help="play from S seconds after its begin",
    )
    parser.add_argument(
        "--speed",
        type=_number("a speed", 0.1, 1000.0, "times"),
        default=1.0,
        metavar="X",
        help="play X times as fast (default 1)",
    )
    options = parser.parse_args(arguments)

    from hud import recordings

    recordings.view(options.file, options.speed, options.at, _say, _show)
    return EXIT_DONE


def _help(arguments: list[str]) -> int:
    parser = _Parser(prog="hud help", description="Longer texts.", allow_abbrev=False)
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="without one: which there are")
    options = parser.parse_args(arguments)

    from hud import topics

    topics.read(options.topic, _show)
    return EXIT_DONE


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "doctor": _doctor,
    "demo": _demo,
    "info": _info,
    "view": _view,
    "export": _export,
    "help": _help,
}
