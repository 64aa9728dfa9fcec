"""``hud help``: the texts in hud/help, in the pager on a terminal, plain elsewhere.

A topic is one of these files; its first line is its title.
"""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from pathlib import Path

from hud.commands.arguments import Parser
from hud.commands.streams import show
from hud.errors import UsageError

SAYS = "Shows a help text."
DIRECTORY = Path(__file__).resolve().parent.parent / "help"
ORDER = (
    "reading",
    "tuning",
    "exact",
    "exports",
    "ci",
    "test",
    "recordings",
    "report",
    "diff",
    "how-it-works",
    "troubleshooting",
    "security",
    "cost",
)


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "topic", nargs="?", metavar="TOPIC", help="which text; without it, the list of topics"
    )


def run(options: Namespace) -> int:
    whole = listing() if options.topic is None else text(options.topic)
    if options.topic is None or not (sys.stdout.isatty() and _paged(whole)):
        show(whole)
    return 0


def text(topic: str) -> str:
    """The whole text. UsageError if there is none of that name."""
    if topic not in ORDER:
        raise UsageError(f"no help topic named {topic!r}", f"topics: {', '.join(ORDER)}")
    return (DIRECTORY / f"{topic}.md").read_text("utf-8")


def listing() -> str:
    """All topics with their titles."""
    rows = [f"  {topic:<16} {text(topic).splitlines()[0].lstrip('# ')}" for topic in ORDER]
    return "\n".join(["hud help TOPIC", "", *rows, "", "hud --help lists the options.", ""])


def _paged(whole: str) -> bool:
    """Whether a pager has shown it. ``LESS`` as git sets it: leave it where it fits the screen."""
    import subprocess

    environment = {"LESS": "FRX", **os.environ}
    command = shlex.split(os.environ.get("PAGER", "")) or ["less"]
    if os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        ran = subprocess.run(command, input=whole.encode(), env=environment, check=False)
    except OSError:
        return False
    return ran.returncode not in (126, 127)
