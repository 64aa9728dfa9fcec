"""The call that a source file of std stands for, where a stripped file has no name for it.

Code with a panic location in these files and none of anybody else's is std's own: they hold hardly
anything generic.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hud.model import Frame, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROCESS = re.compile(r"^std/src/(?:sys/(?:\w+/)*)?process[/.]")
_FILES = re.compile(r"^std/src/(?:sys/(?:\w+/)*)?fs[/.]")
_WAITS = re.compile(r"^_*(?:wait4|waitid|waitpid)$")


def call_in(frame: Frame, inside: Sequence[Frame]) -> str:
    """``std::process::Command::spawn`` for ``~std/src/sys/process/unix/unix.rs:149``; else empty.

    ``inside``: the frames that it called.
    """
    if not frame.inferred or frame.origin is not Origin.STD:
        return ""
    if _PROCESS.search(frame.function):
        waits = any(_WAITS.search(one.function) for one in inside)
        return "std::process::Child::wait" if waits else "std::process::Command::spawn"
    return "std::fs::File" if _FILES.search(frame.function) else ""
