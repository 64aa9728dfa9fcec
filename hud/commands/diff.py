"""``hud diff``: what changed between two recorded runs, and how sure that is."""

from __future__ import annotations

import sys
from argparse import Namespace
from shutil import get_terminal_size

from hud.commands.arguments import Parser, add_gates
from hud.commands.streams import say, show
from hud.export.diff import FORMATS, written
from hud.export.write import STANDARD_OUTPUT
from hud.text import printable

SAYS = "Shows what changed between two recordings, and how sure hud is of it."
_WIDTH = 160
"""Columns where there is no terminal."""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("before", metavar="BEFORE", help="a recording (hud --record)")
    parser.add_argument("after", metavar="AFTER", help="a recording of the changed service")
    said = "; ".join(f"{name}: {says}" for name, says in FORMATS.items())
    parser.add_argument("--format", choices=FORMATS, default="text", help=said)
    parser.add_argument(
        "-o",
        "--output",
        default=STANDARD_OUTPUT,
        metavar="OUT",
        help="file to write (- for standard output)",
    )
    add_gates(parser, compares=True)


def run(options: Namespace) -> int:
    """0 whatever has changed, unless a gate fails; also where the runs cannot be compared."""
    from hud.analysis.comparison.compare import compare
    from hud.commands.ended import ended
    from hud.commands.gating import hold, wanted
    from hud.export.write import check_writable

    gates = wanted(options, compares=True)
    if options.output != STANDARD_OUTPUT:
        check_writable(options.output)
    before, after = ended(options.before).snapshot(), ended(options.after)
    now = after.snapshot()
    comparison = compare(before, now)
    terminal = sys.stdout.isatty()
    width = get_terminal_size().columns if terminal else _WIDTH
    _put(options.output, written(options.format)(comparison, width))
    return hold(after.analyzer, now, gates, comparison)


def _put(path: str, text: str) -> None:
    from hud.export.write import write_text
    from hud.process.rights import invoking_user

    if path == STANDARD_OUTPUT:
        show(text)
    else:
        write_text(path, text, invoking_user())
        say(f"hud: {printable(path)} written")
