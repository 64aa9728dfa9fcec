"""``hud view``: a recording on the screen."""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing

from hud import figures
from hud.commands.arguments import SECONDS, Parser, add_recording, add_theme, number
from hud.commands.streams import say
from hud.text import printable

SAYS = "Shows a recording on the screen: at its end, or played from --at."
_LARGE = 1_000_000
"""Bytes of a file that takes a moment to read."""


def add_arguments(parser: Parser) -> None:
    add_recording(parser)
    parser.add_argument(
        "--at",
        type=number("a position", *SECONDS, "s"),
        metavar="S",
        help="start playing at S seconds",
    )
    parser.add_argument(
        "--speed",
        type=number("a speed", 0.1, 1000.0, "times"),
        default=1.0,
        metavar="X",
        help="play X times as fast (default 1)",
    )
    add_theme(parser)


def run(options: Namespace) -> int:
    """The screen where there is a terminal for it, else the summary."""
    from hud.tui.terminal import unavailable

    reason = unavailable()
    if reason:
        say(f"hud: no screen, because {reason}; here is the summary")
        _summarize(options.file)
    else:
        _play(options)
    return 0


def _summarize(path: str) -> None:
    from hud.commands.deliver import deliver
    from hud.commands.ended import ended
    from hud.commands.output import Output

    run = ended(path)
    deliver(run.analyzer, run.snapshot(), Output())


def _play(options: Namespace) -> None:
    from hud.commands.player import play
    from hud.record.reader import open_recording
    from hud.record.seekable import SeekableReplay

    with closing(open_recording(options.file)) as source:
        size = source.seek(0, 2)
        if size >= _LARGE:
            say(f"hud: reading {printable(options.file)}, {figures.size(size)}")
        run = SeekableReplay(source)
        play(run, options.speed, options.at, options.theme, run.lacks)
