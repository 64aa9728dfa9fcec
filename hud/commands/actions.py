"""GitHub Actions, where hud runs in a step of it: what it shows of the gates."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hud.commands.streams import say
from hud.export.places import project
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hud.gates.breach import Verdict
    from hud.gates.grammar import Gate

_PAGE = "GITHUB_STEP_SUMMARY"
"""Names the file that becomes the page of the step."""


def here() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def tell(verdict: Verdict, gates: Iterable[Gate], found: str) -> None:
    """Annotations to standard error, which the runner reads as well; the gates and ``found``, a
    page in Markdown, to the step's page. Neither changes the exit code.
    """
    from hud.gates.github import commands, page

    for line in commands(verdict, project()):
        say(line)
    path = os.environ.get(_PAGE)
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8", errors="replace") as file:
            file.write(f"{page(verdict, gates)}\n{found}")
    except OSError as error:
        reason = (error.strerror or "refused").lower()
        say(f"hud: {_PAGE}: write {printable(path)}: {reason}")
