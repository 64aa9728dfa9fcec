"""The help topics are whole, true where a test can tell, and have a word on every error."""

from __future__ import annotations

import ast
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hud import cli
from hud.analysis.cause import Cause
from hud.commands import COMMANDS
from hud.commands import help as topics
from hud.errors import UsageError
from hud.export import FORMATS, sure
from hud.model import Rung

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
ERRORS = {"HudError", "UsageError", "TargetError", "KernelError", "ExportError", "ObjectError"}
ENTRY = re.compile(r"^## (.*)$", re.MULTILINE)
LEAST_LETTERS = 6
"""A message with fewer is put together elsewhere."""


def hud(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hud", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
    )


# --------------------------------------------------------------------------- the texts


def test_every_file_is_a_topic_and_fits_a_terminal() -> None:
    assert {path.stem for path in topics.DIRECTORY.iterdir()} == set(topics.ORDER)
    for topic in topics.ORDER:
        whole = topics.text(topic)
        assert whole.startswith("# ")
        assert whole.endswith("\n")
        long = [line for line in whole.splitlines() if len(line) > 80 and not line.startswith("##")]
        assert long == [], topic
        assert whole.replace("\n", "").replace("·", "").isascii(), topic


def test_the_listing_has_every_topic() -> None:
    shown = hud("help")
    assert shown.stdout == topics.listing()
    assert re.findall(r"^  ([a-z-]+)  ", shown.stdout, re.MULTILINE) == list(topics.ORDER)


def test_a_topic_in_a_pipe_is_plain() -> None:
    assert hud("help", "tuning", PAGER="false").stdout == topics.text("tuning")


def test_no_such_topic() -> None:
    shown = hud("help", "tunning")
    assert shown.returncode == UsageError.exit_code
    assert "no help topic named 'tunning'" in shown.stderr
    assert "topics: reading, tuning" in shown.stderr


@pytest.mark.parametrize(
    ("pager", "shown"),
    [("sed -n 1s/^/paged:/p", "paged:# Tuning"), ("/no/such/pager", "# Tuning")],
)
def test_a_topic_on_a_terminal_goes_through_the_pager(pager: str, shown: str) -> None:
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "hud", "help", "tuning"],
        cwd=ROOT,
        env={**os.environ, "PAGER": pager, "TERM": "xterm"},
        stdout=terminal,
    ) as process:
        os.close(terminal)
        said = b""
        while True:
            try:
                part = os.read(controller, 4096)
            except OSError:
                break
            said += part
        os.close(controller)
        assert process.wait(20) == 0
    assert said.decode().startswith(shown)
    assert ("## The window" in said.decode()) is (not pager.startswith("sed"))


def test_the_causes_are_the_rows_of_the_table(request: pytest.FixtureRequest) -> None:
    """--update-golden writes them."""
    path = topics.DIRECTORY / "reading.md"
    whole = path.read_text("utf-8")
    before, found, after = re.split(r"(?<=## The causes\n\n)(.*?)(?=\n\n)", whole, flags=re.DOTALL)
    wanted = "\n".join(f"    {cause.value:<8} {cause.meaning}" for cause in Cause)
    if request.config.getoption("--update-golden"):
        path.write_text(before + wanted + after, "utf-8")
        found = wanted
    assert found == wanted


def test_the_ways_to_see_are_those_there_are() -> None:
    how = topics.text("how-it-works")
    assert re.findall(r"^([a-z]+)\n    ", how, re.MULTILINE) == [rung.value for rung in Rung]


def test_losses_are_named_as_the_summary_names_them() -> None:
    whole = " ".join(" ".join(map(topics.text, topics.ORDER)).split())
    named = [words for words in sure.LOSSES.values() if words in whole]
    assert len(named) >= 3


def commands() -> Iterator[str]:
    for path in [*sorted(topics.DIRECTORY.iterdir()), ROOT / "README.md"]:
        for line in path.read_text("utf-8").splitlines():
            found = re.match(r"(?: {4}){0,2}(?:sudo )?hud ((?!doctor|demo|help)[^ ].*)", line)
            if found and line.startswith(("    ", "sudo hud")):
                yield re.split(r"  +|#", found[1])[0].strip()


def test_every_command_in_the_texts_is_understood() -> None:
    """By the same parsers, as far as that goes without a target."""
    shown = sorted(set(commands()))
    assert len(shown) > 12
    for command in shown:
        words = shlex.split(command)
        if words[0] in COMMANDS:
            options = cli.parser_of(words[0]).parse_args(words[1:])
            assert options
            named = [word for word in words[1:] if not word.startswith("-")]
            first = named[0].removeprefix("./")
            assert first in ("my-app", "cargo") or first.endswith(".hud"), command
        else:
            options = cli.parser_of("").parse_args(words)
            assert options.process == "my-app" or options.pid, command
            assert options.format in ("", *FORMATS)


# --------------------------------------------------------------------------- every error


def skeleton(node: ast.expr) -> str:
    """The message with ``…`` for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(skeleton(part) for part in node.values)
    return "…"


def messages() -> Iterator[tuple[str, str]]:
    """(place, skeleton) of every message that a user can meet."""
    for path in sorted((ROOT / "hud").rglob("*.py")):
        wanted = ERRORS | ({"FormatError"} if path.parent.name == "record" else set())
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            if isinstance(node.func, ast.Name) and node.func.id in wanted:
                text = skeleton(node.args[0])
                if sum(char.isalpha() for char in text) >= LEAST_LETTERS:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def patterns() -> list[re.Pattern[str]]:
    found = []
    for heading in ENTRY.findall(topics.text("troubleshooting")):
        entries = re.findall(r"`([^`]+)`", heading)
        assert entries, heading
        for entry in entries:
            parts = [re.escape(part) for part in entry.split("...")]
            found.append(re.compile(".+".join(parts)))
    return found


def test_every_error_has_an_entry() -> None:
    known = patterns()
    collected = list(messages())
    assert len(collected) > 80
    missing = [
        f"{place}: {text}"
        for place, text in collected
        if not any(pattern.fullmatch(text) for pattern in known)
    ]
    assert missing == [], "hud/help/troubleshooting.md has nothing on these"


def test_an_entry_says_more_than_its_dots() -> None:
    for pattern in patterns():
        letters = re.sub(r"[^a-z]", "", pattern.pattern.replace(".+", ""), flags=re.IGNORECASE)
        assert len(letters) >= 3, pattern.pattern
