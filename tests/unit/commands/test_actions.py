"""A gate in a step of GitHub Actions, from the environment to annotations and the step's page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "tests" / "data" / "demo.hud"


def export(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hud", "export", str(DEMO), *arguments],
        cwd=ROOT,
        env={**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_breach_is_an_annotation_and_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("what stood there before\n")
    done = export("--fail-on", "max>50ms", GITHUB_STEP_SUMMARY=str(page))
    assert done.returncode == 1
    says = "demo_server::handlers::hash_password: 61.1 ms (cpu in bcrypt::hash)"
    assert done.stderr.splitlines() == [
        f"hud: max>50ms failed: {says}",
        f"::error title=hud%3A max>50ms failed::{says}",
    ]
    text = page.read_text()
    assert text.startswith("what stood there before\n| gate | |\n")
    assert "| `max>50ms` | failed |" in text
    assert "### hud: `demo-server`" in text


def test_a_gate_that_holds_is_only_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    done = export("--fail-on", "max>500ms", GITHUB_STEP_SUMMARY=str(page))
    assert (done.returncode, done.stderr) == (0, "")
    assert "| `max>500ms` | passed |" in page.read_text()


@pytest.mark.parametrize("where", ["", "none/page.md"])
def test_no_page_is_no_failure(tmp_path: Path, where: str) -> None:
    path = str(tmp_path / where) if where else ""
    done = export("--fail-on", "max>500ms", GITHUB_STEP_SUMMARY=path)
    assert done.returncode == 0
    says = f"hud: GITHUB_STEP_SUMMARY: write {path}: no such file or directory\n"
    assert done.stderr == (says if where else "")


def test_elsewhere_nothing_of_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    done = export("--fail-on", "max>50ms", GITHUB_ACTIONS="", GITHUB_STEP_SUMMARY=str(page))
    assert "::error" not in done.stderr
    assert not page.exists()
