"""``hud info``: what is in a recording."""

from __future__ import annotations

from argparse import Namespace

from hud.commands.arguments import Parser, add_recording
from hud.commands.streams import show

SAYS = "Shows what is in a recording."


def add_arguments(parser: Parser) -> None:
    add_recording(parser)


def run(options: Namespace) -> int:
    from hud.commands.contents import contents

    for line in contents(options.file):
        show(line + "\n")
    return 0
