"""README.md says what hud says: help, keys and the picture of the screen are the real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hud.runtime.context import APART, NEWEST
from hud.tui import keys

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PICTURES = ROOT / "tests" / "data" / "screen"
SHOWN_ROWS = 3
"""Of the table of blockers, each of them two lines."""


def _compare(request: pytest.FixtureRequest, name: str, wanted: str) -> None:
    """The part of README.md between two marks is ``wanted``; --update-golden makes it so."""
    begin, end = f"<!-- {name} begins -->\n", f"<!-- {name} ends -->"
    before, begun, rest = README.read_text(encoding="utf-8").partition(begin)
    found, ended, after = rest.partition(end)
    assert begun and ended, f"README.md has lost its {name}"
    if request.config.getoption("--update-golden"):
        README.write_text(f"{before}{begin}{wanted}{end}{after}", encoding="utf-8")
        return
    assert found == wanted, "pytest tests/unit/test_readme.py --update-golden rewrites it"


def test_help_in_the_readme_is_current(request: pytest.FixtureRequest) -> None:
    environment = {**os.environ, "COLUMNS": "100"}
    ran = subprocess.run(
        [sys.executable, "-m", "hud", "--help"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    # what argparse calls the options differs between Python versions in headings only
    wanted = f"```\n{ran.stdout}```\n"
    _compare(request, "help", wanted)


def test_keys_in_the_readme_are_current(request: pytest.FixtureRequest) -> None:
    rows = ["| key | | where |", "|---|---|---|"]
    for names, what, where in keys.help_rows():
        shown = " ".join(f"`{name}`" for name in names.split(" "))
        rows.append(f"| {shown} | {what} | {where} |")
    _compare(request, "keys", "\n".join(rows) + "\n")


def test_the_result_in_the_readme_is_that_of_the_picture(request: pytest.FixtureRequest) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "hud", "export", "tests/data/picture.hud"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    _, verdict, table, remedies, *_ = ran.stdout.split("\n\n")
    rows = table.splitlines()[: 1 + 2 * SHOWN_ROWS]
    fixes = remedies.splitlines()[: 1 + SHOWN_ROWS]
    shown = "\n".join([*verdict.splitlines(), "", *rows, "", *fixes])
    _compare(request, "summary", f"```\n{shown}\n```\n")


@pytest.mark.parametrize("page", ["README.md", "hud/help/how-it-works.md"])
def test_the_range_of_tokios_is_that_of_the_layouts(page: str) -> None:
    first, last = (".".join(map(str, version)) for version in (APART[0], NEWEST))
    assert f"Tokio {first} to {last}" in (ROOT / page).read_text("utf-8")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_pictures_of_the_screen_are_current(request: pytest.FixtureRequest, theme: str) -> None:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "picture"), "--theme", theme],
        capture_output=True,
        text=True,
        check=True,
    )
    path = PICTURES / f"{theme}.svg"
    assert f'"{path.relative_to(ROOT)}"' in README.read_text(encoding="utf-8")
    if request.config.getoption("--update-golden"):
        path.write_text(ran.stdout, encoding="utf-8")
        return
    assert path.read_text(encoding="utf-8") == ran.stdout, "tools/picture --update rewrites it"
