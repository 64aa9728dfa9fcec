"""Read a recording to its end."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from hud.commands.streams import say
from hud.text import printable

if TYPE_CHECKING:
    from hud.record.replay import Replay


def ended(path: str) -> Replay:
    """What the run had found when it was over; where the file lacks something it is said.

    Raises FormatError, with the path in it.
    """
    from hud.analysis.garbage import rare_collections
    from hud.errors import FormatError
    from hud.record.reader import Reader, open_recording
    from hud.record.replay import Replay

    with closing(open_recording(path)) as source, rare_collections():
        try:
            reader = Reader(source)
            run = Replay(reader.entries())
            run.advance()
        except FormatError as error:
            raise FormatError(f"{printable(path)}: {error}", error.hint) from error
    if reader.lacks:
        say(f"hud: {printable(path)} is incomplete, {reader.lacks}")
    return run
