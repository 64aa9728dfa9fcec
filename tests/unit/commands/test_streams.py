"""Standard streams that are closed, full, or that nobody reads."""

from __future__ import annotations

import subprocess
import sys

import pytest

SHOW = """
import sys
from hud.commands import streams
from hud.errors import ExportError
streams.prepare()
streams.say("for people")
try:
    streams.show("result\\n")
except BrokenPipeError:
    streams.say("nobody reads")
except ExportError as error:
    streams.say(str(error))
"""


def run(redirection: str) -> subprocess.CompletedProcess[str]:
    command = f'exec "$0" -c "$1" {redirection}'
    return subprocess.run(
        ["bash", "-c", command, sys.executable, SHOW], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("redirection", "out", "err"),
    [
        ("", "result\n", "for people\n"),
        (">/dev/full", "", "for people\nwrite standard output: no space left on device\n"),
        ("2>/dev/full", "result\n", ""),
        (">&-", "", "for people\n"),
        ("2>&-", "result\n", ""),
        ("<&- >&- 2>&-", "", ""),
    ],
)
def test_what_arrives_where(redirection: str, out: str, err: str) -> None:
    done = run(redirection)
    assert (done.returncode, done.stdout, done.stderr) == (0, out, err)


def test_a_reader_that_is_gone() -> None:
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "sleep=__import__(\'time\').sleep(.3)\n$1" | true', sys.executable,
         SHOW],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.stderr == "for people\nnobody reads\n"
