"""``hud doctor``: what hud can do here, a check a line."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from hud.commands.arguments import Parser, add_verbose, process_id
from hud.commands.streams import show
from hud.errors import HudError
from hud.text import printable

if TYPE_CHECKING:
    from hud.commands.checks import Check

SAYS = "Shows what this kernel, your privileges and a process allow."


def add_arguments(parser: Parser) -> None:
    parser.epilog = "exit codes: 0 hud can run; 3 no such process; 4 hud cannot run here"
    parser.add_argument("pid", nargs="?", type=process_id, metavar="PID", help="a process to check")
    parser.add_argument("--btf", metavar="FILE", help="types (BTF) of the running kernel")
    add_verbose(parser)


def run(options: Namespace) -> int:
    from hud.commands.checks import examine

    able = True
    for check in examine(options.pid, Path(options.btf) if options.btf else None):
        show(in_words(check) + "\n")
        able = able and (check.ok or not check.needed)
    show(f"\nhud {'can run here' if able else 'cannot run here: see FAIL'}\n")
    return 0 if able else HudError.exit_code


def in_words(check: Check) -> str:
    """``ok    BPF ring buffer``, with the remedy on a line of its own."""
    sign = "ok  " if check.ok else ("FAIL" if check.needed else "note")
    text = f"{sign}  {check.what}"
    if check.detail:
        text += f": {printable(check.detail)}"
    return text + (f"\n      {printable(check.remedy)}" if check.remedy else "")
