"""README.md says what hud says: its copy of ``hud --help`` is the real one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BLOCK = re.compile(r"<!-- help begins -->\n(.*?)<!-- help ends -->", re.DOTALL)


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
    text = README.read_text(encoding="utf-8")
    found = BLOCK.search(text)
    assert found, "README.md has lost its help block"
    if request.config.getoption("--update-golden"):
        README.write_text(
            text.replace(found[1], wanted)
            if found[1]
            else BLOCK.sub(lambda _: f"<!-- help begins -->\n{wanted}<!-- help ends -->", text),
            encoding="utf-8",
        )
        return
    assert found[1] == wanted, "pytest tests/unit/test_readme.py --update-golden rewrites it"
