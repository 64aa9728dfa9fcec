"""The commands of hud: one file each, and one row here.

A command is a module of this package with what ``Command`` has. It is imported to print its help
too, so it imports what it works with no sooner than in ``run``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from argparse import Namespace

    from hud.commands.arguments import Parser

COMMANDS: dict[str, str] = {
    "run": "-- PROGRAM [ARGUMENTS]",
    "test": "-- COMMAND [ARGUMENTS]",
    "dump": "PROCESS",
    "doctor": "[PID]",
    "demo": "",
    "info": "FILE.hud",
    "view": "FILE.hud",
    "export": "FILE.hud",
    "report": "FILE.hud [AFTER.hud]",
    "diff": "BEFORE.hud AFTER.hud",
    "help": "[TOPIC]",
}
"""Name, which is the module's as well -> what follows it on the command line."""
ATTACH = "attach"
"""The command without a name: ``hud PROCESS``."""


class Command(Protocol):
    """What each module of a command has."""

    @property
    def SAYS(self) -> str:  # noqa: N802
        """One sentence for its help."""

    def add_arguments(self, parser: Parser) -> None: ...
    def run(self, options: Namespace) -> int:
        """Do it; the exit code. Raises HudError."""


def load(name: str) -> Command:
    """The command of that name, ``ATTACH`` included."""
    return cast("Command", import_module(f"{__name__}.{name}"))
