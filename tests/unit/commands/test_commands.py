"""Every command has what the command line needs of it, and its help costs next to nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hud import cli
from hud.commands import ATTACH, COMMANDS, load
from hud.commands.attach import USAGE

ROOT = Path(__file__).resolve().parents[3]
LIGHT = {"cli", "commands", "errors", "export", "figures", "garbage", "text"}
"""Layers that a start needs before it is known what to do."""


@pytest.mark.parametrize("name", [ATTACH, *COMMANDS])
def test_a_command_has_its_parts(name: str) -> None:
    command = load(name)
    assert command.SAYS.endswith(".")
    assert callable(command.run)
    assert cli.parser_of("" if name == ATTACH else name).parse_args([*example(name)])


def example(name: str) -> list[str]:
    """Arguments that satisfy it."""
    words = COMMANDS.get(name, "").split()
    return [word for word in words if word.endswith(".hud") or word in ("--", "PROGRAM", "COMMAND")]


def test_the_usage_names_every_command() -> None:
    for name, rest in COMMANDS.items():
        assert f"       hud {name} {rest}".rstrip() in USAGE.splitlines()


def test_a_help_text_imports_nothing_that_profiles() -> None:
    program = (
        "import sys\n"
        "from hud import cli, commands\n"
        "for name in ('', *commands.COMMANDS): cli.parser_of(name).format_help()\n"
        "print(*sorted(name for name in sys.modules if name.startswith('hud.')))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {name.split(".")[1] for name in ran.stdout.split()} <= LIGHT
    assert "hud.commands.profile" not in ran.stdout.split()


def test_what_attaches_imports_nothing_that_concludes_or_shows() -> None:
    """That comes when hud is attached: until then every millisecond of a stall is lost."""
    program = (
        "import sys\n"
        "import hud.commands.profile, hud.commands.request, hud.process.find\n"
        "print(*sorted({'.'.join(name.split('.')[:2]) for name in sys.modules}))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    later = {f"hud.{layer}" for layer in ("analysis", "gates", "record", "session", "tui")}
    assert "hud.profiler" in ran.stdout.split()
    assert not later & set(ran.stdout.split())
