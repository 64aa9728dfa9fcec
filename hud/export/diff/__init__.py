"""A comparison of two runs for people and programs: one file per format, one row in ``FORMATS``.

To add one, write a module of this package with a function ``written``, and its row.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.analysis.comparison.compare import Comparison

    Written = Callable[[Comparison, int], str]
    """The text of a comparison, for so many columns where the format has any."""

FORMATS: dict[str, str] = {
    "text": "for the terminal",
    "markdown": "for a pull request",
    "json": "for scripts, see hud help diff",
}
"""Name, which is the module's as well -> a few words for the help."""


def written(name: str) -> Written:
    """The function of a format."""
    function: Written = import_module(f"{__name__}.{name}").written
    return function
