"""Read a recording to its end."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from hud.commands.streams import say
from hud.errors import FormatError
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.record.replay import Replay


def check(path: str) -> None:
    """It is a recording that this hud reads. Raises HudError."""
    from hud.record.reader import Reader, open_recording

    with closing(open_recording(path)) as source, named(path):
        Reader(source)


def ended(path: str) -> Replay:
    """What the run had found when it was over; where the file lacks something it is said.

    Raises FormatError, with the path in it.
    """
    from hud.record.reader import Reader, open_recording
    from hud.record.replay import Replay

    with closing(open_recording(path)) as source, named(path):
        reader = Reader(source)
        run = Replay(reader.entries())
        run.advance()
    if reader.lacks:
        say(f"hud: {printable(path)} is incomplete, {reader.lacks}")
    return run


@contextmanager
def named(path: str) -> Iterator[None]:
    """Errors say which file it is."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{printable(path)}: {error}", error.hint) from error
