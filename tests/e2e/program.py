"""hud itself as the tests of this folder start it: a process of its own, watched for tracebacks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import targets

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from benchmarks.truth import stack_of

from hud.demo import load as demo_load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMAND = (sys.executable, "-m", "hud")
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
CRASHED = ("Traceback", "Exception ignored", "Fatal Python error")
BAD = demo_load.BAD
ATTACHED = "so far"
"""Of the line that hud says when it is attached."""


def environment(**more: str) -> dict[str, str]:
    """This process's, with hud importable and no sudo around it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
    return {**kept, "PYTHONPATH": str(targets.ROOT), **more}


def run(
    *arguments: object, code: int | tuple[int, ...] = 0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run hud to its end and check its exit code, or one of some; no traceback, ever."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "timeout": 60,
            "env": environment(),
            **options,
        },
    )
    said = f"{done.stdout or ''}{done.stderr or ''}"
    assert not [word for word in CRASHED if word in said], said
    assert done.returncode in (code if isinstance(code, tuple) else (code,)), said
    return done


class Hud:
    """hud in the background, attached."""

    def __init__(self, process: subprocess.Popen[str], greeting: str) -> None:
        self.process = process
        self.greeting = greeting

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self, code: int = 0, timeout: float = 30) -> tuple[str, str]:
        """Its whole standard output and error, once it has ended with this code."""
        out, err = self.process.communicate(timeout=timeout)
        assert not [word for word in CRASHED if word in out + err], out + err
        assert self.process.returncode == code, out + err
        return out, err


@contextlib.contextmanager
def attached(*arguments: object, **options: Any) -> Iterator[Hud]:
    """hud ``--headless``, once it says that it watches; killed at the end."""
    with subprocess.Popen(
        [*COMMAND, "--headless", *map(str, arguments)],
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "env": environment(),
            **options,
        },
    ) as process:
        try:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if ATTACHED in line:
                    break
            else:
                raise AssertionError("".join(said))
            yield Hud(process, line)
        finally:
            if process.poll() is None:
                process.kill()


@contextlib.contextmanager
def load(port: int, seconds: float = 60) -> Iterator[None]:
    """The demo's load on a server."""
    with demo_load.running(port, demo_load.LoadCounters(), seconds=seconds):
        yield


def trace(path: Path) -> dict[str, Any]:
    """An export, with the whole stack in the arguments of each event."""
    written: dict[str, Any] = json.loads(path.read_text("utf-8"))
    for event in written["traceEvents"]:
        if event["ph"] in "BX":
            event["args"]["stack"] = stack_of(written, event.get("sf", 0))
    return written


def begins(written: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for event in written["traceEvents"] if event["ph"] == "B"]


def blocked_in(written: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The ``B`` events by the last part of their function's name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for event in begins(written):
        found.setdefault(re.split(r"::", event["name"])[-1], []).append(event)
    return found


def within(seconds: float, condition: Callable[[], object]) -> bool:
    """Whether it comes true in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
