"""``hud report``: a recorded run as one HTML file for a browser; of two, what changed as well."""

from __future__ import annotations

from argparse import Namespace

from hud.commands.arguments import Parser, add_verbose
from hud.commands.streams import say
from hud.text import printable

SAYS = "Writes a recorded run as one HTML file, which a browser opens without a network."


def add_arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="a recording (hud --record)")
    parser.add_argument(
        "after",
        nargs="?",
        metavar="AFTER",
        help="a later one: the report covers it, and compares both",
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", help="file to write (default FILE.html; - standard output)"
    )
    add_verbose(parser)


def run(options: Namespace) -> int:
    from hud import figures
    from hud.analysis.comparison.compare import compare
    from hud.commands.ended import ended
    from hud.export.write import STANDARD_OUTPUT, check_writable, write_text
    from hud.process.rights import invoking_user
    from hud.report.page import page

    shown = options.after or options.file
    output = options.output or f"{shown.removesuffix('.hud')}.html"
    check_writable(output, "cannot write the report to")
    before = ended(options.file) if options.after else None
    later = ended(shown)
    snapshot = later.snapshot()
    comparison = compare(before.snapshot(), snapshot) if before else None
    text = page(later.analyzer, snapshot, comparison)
    write_text(output, text, invoking_user())
    if output != STANDARD_OUTPUT:
        say(f"hud: {printable(output)} written ({figures.size(len(text.encode()))})")
    return 0
