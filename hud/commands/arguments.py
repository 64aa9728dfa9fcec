"""Options that several commands have, and the values they take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from hud.commands.streams import show
from hud.errors import UsageError
from hud.export import DEFAULT, FORMATS

THRESHOLD_MS = (0.1, 60_000.0)
SECONDS = (0.0, 31_536_000.0)
OVERHEAD_PERCENT = (0.1, 100.0)
AUTO = "auto"


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


_SECONDS_OF = {"s": 1, "m": 60, "h": 3600}


def length(name: str, low: float, high: float) -> Callable[[str], float]:
    """A type of argparse: ``90``, ``90s``, ``5m``, ``1h``, in seconds from ``low`` to ``high``."""
    within = number(name, low, high, "s; 90, 90s, 5m, 1h")

    def parse(text: str) -> float:
        factor = _SECONDS_OF.get(text[-1:], 0)
        try:
            return within(repr(float(text[:-1]) * factor) if factor else text)
        except ValueError:
            return within(text)

    return parse


def add_duration(parser: argparse._ActionsContainer, does: str, until: str) -> None:
    """``duration``: seconds; ``until`` says what 0 means."""
    parser.add_argument(
        "--duration",
        type=length("a duration", *SECONDS),
        default=0.0,
        metavar="TIME",
        help=f"{does} after TIME: 90, 90s, 5m, 1h (default 0: {until})",
    )


def _threshold_or_auto(text: str) -> float:
    """Milliseconds; 0 = auto."""
    return 0.0 if text == AUTO else number("a threshold", *THRESHOLD_MS, "ms, or auto")(text)


def process_id(text: str) -> int:
    """A type of argparse: what the kernel may give as a pid."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 22:
        raise argparse.ArgumentTypeError(f"{text!r}: a process id is 1 to {(1 << 22) - 1}")
    return int(text)


def add_process(parser: Parser) -> None:
    """``process`` or ``pid``, and files that say more about it: ``target``, ``debug_file``."""
    parser.add_argument("process", nargs="?", metavar="PROCESS", help="name of the process")
    parser.add_argument("-p", "--pid", type=process_id, help="its process id, instead of the name")
    add_files(parser)


def add_files(parser: Parser) -> None:
    """``target``, ``debug_file``: files that say more about the program."""
    parser.add_argument(
        "-t",
        "--target",
        metavar="FILE",
        help="a file of the same build that has symbols, if the running one has none",
    )
    parser.add_argument(
        "--debug-file",
        action="append",
        default=[],
        metavar="FILE",
        help="debug info of the same build: a .debug or .dwp file (repeatable)",
    )


def check_process(options: argparse.Namespace, command: str) -> None:
    """UsageError unless one process is given."""
    if options.process and options.pid:
        raise UsageError("both a process name and --pid", "give one of them")
    if not options.process and not options.pid:
        raise UsageError("no process given", f"{command} PROCESS, or {command} --pid PID")


def add_theme(parser: argparse._ActionsContainer) -> None:
    """``theme``: how the screen is coloured; empty = as environment and terminal say."""
    parser.add_argument(
        "--theme",
        choices=("dark", "light", "none"),
        default="",
        help="colours of the screen (default: from the terminal's background; none with NO_COLOR)",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that profiles; ``request_of`` reads them."""
    run = parser.add_argument_group("what to look for")
    run.add_argument(
        "--threshold",
        type=_threshold_or_auto,
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
        help="only threads whose names start with PREFIX are workers (default: hud finds them)",
    )
    run.add_argument(
        "--exact",
        action="store_true",
        help="time every poll, with uprobes in Tokio's functions, for figures by type of task",
    )
    run.add_argument(
        "--max-overhead",
        type=number("a limit", *OVERHEAD_PERCENT, "%"),
        default=3.0,
        metavar="PCT",
        help="what --exact may cost, in %% of the workers' CPU time; above it hud times polls in "
        "bursts (default 3)",
    )
    run.add_argument(
        "--no-context",
        action="store_true",
        help="do not read Tokio's own state; find workers by their stacks and names",
    )
    out = parser.add_argument_group("what to do with it")
    out.add_argument(
        "--headless", action="store_true", help="no screen: print a summary at the end"
    )
    add_theme(out)
    out.add_argument(
        "--export",
        metavar="FILE",
        help="write the result to FILE at the end (- for standard output)",
    )
    out.add_argument(
        "--record", metavar="FILE.hud", help="keep everything hud sees in FILE.hud, for later"
    )
    add_format(out)
    add_gates(out)
    out.add_argument("-q", "--quiet", action="store_true", help="print only errors and the export")
    out.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="say more: how hud sees the target, timings, details of errors; in the summary, each "
        "blocker's tasks, files, stack, source and machine code",
    )
    out.add_argument(
        "--btf",
        metavar="FILE",
        help="types (BTF) of the running kernel, if it does not provide them itself",
    )


def add_format(parser: argparse._ActionsContainer) -> None:
    """``format``: empty = by the name of the file."""
    known = (f"{name} (the default)" if name == DEFAULT else name for name in FORMATS)
    parser.add_argument(
        "--format",
        metavar="NAME",
        default="",
        help=f"format of the export, if its name does not tell: {', '.join(known)}; "
        "see hud help exports",
    )


def add_gates(parser: argparse._ActionsContainer, *, compares: bool = False) -> None:
    """``fail_on``, ``suppressions``, ``junit``, and ``baseline`` unless the command ``compares``;
    see hud.commands.gating.
    """
    parser.add_argument(
        "--fail-on",
        action="append",
        default=[],
        metavar="GATE",
        help="exit with 1 if GATE is true: 'max>50ms', 'total>1%%', 'blockers>0', "
        "'count(cause=lock)>10', 'worse>20%%' (repeatable; hud help ci)",
    )
    if not compares:
        parser.add_argument(
            "--baseline", metavar="FILE.hud", help="an earlier recording, for 'worse>20%%'"
        )
    parser.add_argument(
        "--suppressions", metavar="FILE", help="a list of what may block without failing a gate"
    )
    parser.add_argument(
        "--junit", metavar="FILE.xml", help="write the result of each gate to FILE.xml (JUnit)"
    )


def add_verbose(parser: argparse._ActionsContainer) -> None:
    """``verbose``, for a command that has no more to say than this."""
    parser.add_argument("-v", "--verbose", action="store_true", help="show details of errors")


def add_recording(parser: argparse.ArgumentParser) -> None:
    """``file`` and ``verbose``: the arguments of every command on a recording."""
    parser.add_argument("file", metavar="FILE", help="a recording (hud --record)")
    add_verbose(parser)
