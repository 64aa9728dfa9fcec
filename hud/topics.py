"""``hud help``: the texts in hud/help, in the pager on a terminal, plain elsewhere.

Terms: a *topic* is one of these files; its first line is its title.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hud.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

DIRECTORY = Path(__file__).resolve().parent / "help"
ORDER = (
    "reading",
    "tuning",
    "exports",
    "recordings",
    "how-it-works",
    "troubleshooting",
    "security",
)


def text(topic: str) -> str:
    """The whole text. UsageError if there is none of that name."""
    if topic not in ORDER:
        raise UsageError(f"no help topic named {topic!r}", f"topics: {', '.join(ORDER)}")
    return (DIRECTORY / f"{topic}.md").read_text("utf-8")


def listing() -> str:
    """All topics with their titles."""
    rows = [f"  {topic:<16} {text(topic).splitlines()[0].lstrip('# ')}" for topic in ORDER]
    return "\n".join(["hud help TOPIC", "", *rows, "", "hud --help has the options.", ""])


def read(topic: str | None, show: Callable[[str], None]) -> None:
    """Show the topic, or which there are."""
    if topic is None:
        show(listing())
        return
    whole = text(topic)
    if not (sys.stdout.isatty() and _paged(whole)):
        show(whole)


def _paged(whole: str) -> bool:
    """Whether a pager has shown it. ``LESS`` as git sets it: leave it where it fits the screen."""
    environment = {"LESS": "FRX", **os.environ}
    command = shlex.split(os.environ.get("PAGER", "")) or ["less"]
    if os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        ran = subprocess.run(command, input=whole.encode(), env=environment, check=False)
    except OSError:
        return False
    return ran.returncode not in (126, 127)
