"""What is copied and exported: the chosen blocker as a text block, or the page as it is shown."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hud import figures
from hud.errors import ExportError
from hud.process.rights import invoking_user
from hud.tui.filters import whole
from hud.tui.text import clean
from hud.tui.views import stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Blocker, Snapshot
    from hud.tui.state import UiState
    from hud.tui.style import Line

_WIDTH = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9_.]+")
_LONGEST_NAME = 60


def what(state: UiState, seen: Snapshot, page: Sequence[Line]) -> tuple[str, str]:
    """A name for a file, and the text: printable, with line ends."""
    blocker = state.opened if state.view == "stacks" else None
    if state.view == "blockers" and state.rows:
        blocker = whole(state.rows[state.cursor])
    target = _plain(seen.info.target.name)
    if blocker is None:
        return f"hud-{target}-{state.view}.txt", _text(page)
    return f"hud-{target}-{_plain(blocker.function)}.txt", block(state, blocker, seen)


def block(state: UiState, blocker: Blocker, seen: Snapshot) -> str:
    """Everything of one blocker, as the drill-down shows it, in plain text."""
    opened = replace(state, view="stacks", opened=blocker)
    info = seen.info
    versions = ", ".join(clean(version) for version in info.detection.tokio_versions)
    about = f"{clean(info.target.name)} (pid {info.target.pid})" + (
        f", tokio {versions}" if versions else ""
    )
    lines = [stack.head(blocker, seen, _WIDTH, state.glyphs), *stack.document(seen, opened, _WIDTH)]
    return f"{about}, seen for {figures.long_duration(seen.span_ns)}\n\n{_text(lines)}"


def _text(lines: Sequence[Line]) -> str:
    rows = ("".join(span.text for span in line).rstrip() for line in lines)
    return "\n".join(rows).rstrip() + "\n"


def _plain(name: str) -> str:
    return _UNSAFE.sub("-", name).strip("-.")[-_LONGEST_NAME:].lstrip("-.") or "selection"


class YankFile:
    """The private file that holds what was yanked last, mode 0600; the one before is removed.

    In the user's runtime directory where there is one, else in the directory for temporary files.
    Under sudo it belongs to the user who called it.
    """

    def __init__(self) -> None:
        self._path = ""

    def put(self, text: str) -> str:
        """The path of the file that holds ``text`` now. Raises ExportError."""
        try:
            # Always a new one: what lies at the old path may be somebody else's by now.
            descriptor, path = tempfile.mkstemp(".txt", "hud-yank-", _directory())
            if self._path:
                with contextlib.suppress(OSError):
                    Path(self._path).unlink()
            self._path = path
            with open(descriptor, "w", encoding="utf-8") as out:
                if owner := invoking_user():
                    with contextlib.suppress(OSError):
                        os.fchown(descriptor, *owner)
                out.write(text)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise ExportError(f"save the copied text: {reason}") from error
        return self._path


def _directory() -> str | None:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return runtime if runtime.startswith("/") and os.access(runtime, os.W_OK) else None
