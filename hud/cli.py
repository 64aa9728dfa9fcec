"""The command line: arguments to a run, the one place that prints errors and picks exit codes.

Exit codes: see ``hud.arguments.EPILOG``.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hud import streams
from hud.arguments import (
    SECONDS,
    Parser,
    add_run_options,
    add_theme,
    file_parser,
    number,
    process_id,
    request_of,
    run_parser,
)
from hud.errors import HudError, UsageError
from hud.streams import say, show

EXIT_DONE = 0
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run hud; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = "--verbose" in arguments or "-v" in arguments
    try:
        streams.prepare()
        for ending in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(ending) is signal.SIG_DFL:
                signal.signal(ending, _interrupt)
        status = _dispatch(arguments)
        show("")
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


def _print_error(error: HudError, verbose: bool) -> None:
    say(f"hud: {error}")
    for line in error.hint.splitlines():
        say(f"     {line}")
    if verbose and error.detail:
        say(error.detail)


def _dispatch(arguments: list[str]) -> int:
    try:
        command = COMMANDS.get(arguments[0]) if arguments else None
        return command(arguments[1:]) if command is not None else _profile(arguments)
    except SystemExit as done:  # argparse, after --help or --version
        return int(done.code or EXIT_DONE)


# --------------------------------------------------------------------------- commands


def _profile(arguments: list[str]) -> int:
    parser = run_parser()
    if not arguments:
        say(parser.format_help().rstrip())
        return UsageError.exit_code
    options = parser.parse_args(arguments)
    if options.process and options.pid:
        raise UsageError("both a process name and --pid", "give one of them")
    if not options.process and not options.pid:
        raise UsageError("no process given", "hud PROCESS, or hud --pid PID")

    from hud import run
    from hud.target.find import find_target

    request = request_of(options, headless=options.headless)
    run.check(request)
    return run.run(find_target(options.process, options.pid), request, say, show)


def _doctor(arguments: list[str]) -> int:
    parser = Parser(
        prog="hud doctor",
        description="What this kernel, these privileges and that process allow.",
        epilog="exit codes: 0 hud can run; 3 no such process; 4 hud cannot run here",
        allow_abbrev=False,
    )
    parser.add_argument(
        "pid", nargs="?", type=process_id, metavar="PID", help="a process to look at"
    )
    parser.add_argument("--btf", metavar="FILE", help="types of the running kernel")
    parser.add_argument("-v", "--verbose", action="store_true", help="details of errors")
    options = parser.parse_args(arguments)

    from hud import doctor

    btf = Path(options.btf) if options.btf else None
    able = True
    for line in doctor.examine(options.pid, btf):
        show(doctor.in_words(line) + "\n")
        able = able and (line.ok or not line.needed)
    return EXIT_DONE if able else HudError.exit_code


def _demo(arguments: list[str]) -> int:
    parser = Parser(
        prog="hud demo",
        description="Starts a server that blocks its workers, puts load on it and profiles it.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--duration",
        "--seconds",
        type=number("a duration", 1.0, 3600.0, "s"),
        default=10.0,
        metavar="S",
        help="how long to profile (default 10)",
    )
    parser.add_argument("--live", action="store_true", help="the screen instead of a summary")
    parser.add_argument(
        "--build", action="store_true", help="build the server from source with cargo"
    )
    parser.set_defaults(target=None, debug_file=[])
    add_run_options(parser)
    options = parser.parse_args(arguments)

    from hud import run
    from hud.demo import run_demo
    from hud.target.find import find_target

    request = request_of(options, headless=options.headless or not options.live)
    run.check(request)

    def tell(text: str) -> None:
        if not options.quiet:
            say(f"hud demo: {text}")

    return run_demo(
        lambda pid: run.run(find_target(None, pid), request, say, show),
        seconds=options.duration,
        say=tell,
        build=options.build,
    )


def _info(arguments: list[str]) -> int:
    options = file_parser("info", "What is in a recording.").parse_args(arguments)

    from hud import recordings

    for line in recordings.info(options.file):
        show(line + "\n")
    return EXIT_DONE


def _export(arguments: list[str]) -> int:
    parser = file_parser(
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
        options.file, options.output, options.format, say, show, verbose=options.verbose
    )
    return EXIT_DONE


def _view(arguments: list[str]) -> int:
    parser = file_parser("view", "Shows a recording on the screen, at its end or from --at on.")
    parser.add_argument(
        "--at",
        type=number("a position", *SECONDS, "s"),
        metavar="S",
        help="play from S seconds after its begin",
    )
    parser.add_argument(
        "--speed",
        type=number("a speed", 0.1, 1000.0, "times"),
        default=1.0,
        metavar="X",
        help="play X times as fast (default 1)",
    )
    add_theme(parser)
    options = parser.parse_args(arguments)

    from hud import recordings

    recordings.view(options.file, options.speed, options.at, options.theme, say, show)
    return EXIT_DONE


def _help(arguments: list[str]) -> int:
    parser = Parser(prog="hud help", description="Longer texts.", allow_abbrev=False)
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="without one: which there are")
    options = parser.parse_args(arguments)

    from hud import topics

    topics.read(options.topic, show)
    return EXIT_DONE


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "doctor": _doctor,
    "demo": _demo,
    "info": _info,
    "view": _view,
    "export": _export,
    "help": _help,
}
