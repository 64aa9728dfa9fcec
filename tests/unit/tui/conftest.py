"""Goldens of whole frames, and the constructed snapshots importable by name."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hud.tui.style import Line

HERE = Path(__file__).parent
GOLDEN = HERE.parents[1] / "data" / "golden" / "tui"

sys.path.insert(0, str(HERE))

GoldenCheck = Callable[[str, Sequence[Line]], None]


def as_text(lines: Sequence[Line]) -> str:
    """The text of a frame, then each line's spans that have a style."""
    text = ["".join(span.text for span in line).rstrip() for line in lines]
    styles = []
    for number, line in enumerate(lines):
        styled = [f"{span.style}={span.text.strip()!r}" for span in line if span.style]
        if styled:
            styles.append(f"{number:3d} {' '.join(styled)}")
    return "\n".join([*text, "=" * 20, *styles]) + "\n"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> GoldenCheck:
    """``golden(name, lines)`` compares with the stored frame; --update-golden writes it."""

    def check(name: str, lines: Sequence[Line]) -> None:
        compared(request, GOLDEN / f"{name}.txt", as_text(lines))

    return check


def compared(request: pytest.FixtureRequest, path: Path, found: str) -> None:
    """With the file; --update-golden writes it."""
    if request.config.getoption("--update-golden", default=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")
        return
    wanted = path.read_text(encoding="utf-8") if path.exists() else ""
    difference = "".join(
        difflib.unified_diff(wanted.splitlines(True), found.splitlines(True), "golden", "now")
    )
    assert not difference, f"{path.name} (pytest --update-golden rewrites it):\n{difference}"
