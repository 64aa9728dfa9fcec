"""The page for developers names files that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / ".github" / "CONTRIBUTING.md"
_PATH = re.compile(r"(?<![\w/.-])(?:\./)?((?:hud|tests|tools|bpf_src|prebuilt)/[\w./-]*\w|hud/)")


def named(text: str) -> set[str]:
    return {match[1] for match in _PATH.finditer(text)}


def test_paths_are_found_in_prose() -> None:
    assert named("see `hud/x.py`, ./tools/demo and hud/tui/views/: not a/hud/z.") == {
        "hud/x.py",
        "tools/demo",
        "hud/tui/views",
    }


def test_every_file_it_names_exists() -> None:
    paths = named(PAGE.read_text())
    assert len(paths) > 40
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_readme_leads_there() -> None:
    assert ".github/CONTRIBUTING.md" in (ROOT / "README.md").read_text()


def test_every_layer_is_on_the_map() -> None:
    text = PAGE.read_text()
    layers = {path.parent.name for path in (ROOT / "hud").glob("*/__init__.py")}
    assert sorted(layer for layer in layers if not re.search(rf"\b{layer}\b", text)) == []
