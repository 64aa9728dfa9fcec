"""Standard streams that are closed, full, or that nobody reads."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

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


UNBUFFERED = """
import signal, sys
from hud.commands import streams
streams.prepare()
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
if sys.argv[1] == "put":
    streams.put(b"x" * 3_000_000)
else:
    streams.show("x" * 3_000_000)
"""


@pytest.mark.parametrize("how", ["put", "show"])
def test_all_is_written_where_nothing_is_buffered_and_signals_come(how: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", UNBUFFERED, how],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        size = 0
        while piece := os.read(process.stdout.fileno(), 1 << 16):
            size += len(piece)
            time.sleep(0.002)  # the pipe is full meanwhile
    assert size == 3_000_000
