"""Make tests/data/demo.hud anew: a few seconds of the demo, without names of the machine.

    sudo .venv/bin/python tests/builders/make_recording.py
    pytest tests/unit/record --update-golden

Then read the golden files before they are committed. With --debug it makes picture.hud, which
README.md shows, of a server built with debug info; then run tools/picture --update.
"""

# ruff: noqa: E402
from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hud.model import Batch, RunInfo, Target
from hud.record.format import Entry, Looked
from hud.record.reader import Reader, open_recording
from hud.record.writer import Writer

SECONDS = 8
MADE = ROOT / "tests" / "data" / "demo.hud"
PICTURE = MADE.with_name("picture.hud")
PLACE = re.compile(r"^.*/(?=demo-server(?:$|/src/))")
REGISTRY = re.compile(r"^.*/(?=\.cargo/registry/)")


def main() -> int:
    debug = sys.argv[1:] == ["--debug"]
    made = PICTURE if debug else MADE
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw.hud"
        command = [sys.executable, "-m", "hud", "demo", "--duration", str(SECONDS)]
        command += ["--build"] if debug else []
        environment = {**os.environ, "CARGO_PROFILE_RELEASE_DEBUG": "1"}
        subprocess.run([*command, "--record", str(raw)], cwd=ROOT, env=environment, check=True)
        with open_recording(str(raw)) as source:
            entries = list(Reader(source).entries())
    now = [0.0]
    out = Writer(str(made), clock=lambda: now[0])
    for entry in entries:
        now[0] = getattr(entry, "time_ns", 0) / 1e9
        write(out, entry)
    print(f"{made}: {out.size} bytes")
    return 0


def anywhere(path: str) -> str:
    """The path as it might be on any machine."""
    return REGISTRY.sub("/home/me/", PLACE.sub("/srv/", path))


def write(out: Writer, entry: Entry) -> None:
    if isinstance(entry, RunInfo):
        out.begin(replace(entry, target=moved(entry.target), kernel="Linux 6.1.0 x86_64"))
    elif isinstance(entry, Batch):
        entry.culprits = [
            one
            if one.process == "demo-server"
            else one._replace(name=f"thread-{number}", process="other")
            for number, one in enumerate(entry.culprits)
        ]
        entry.stacks = {
            key: replace(
                stack,
                frames=stack.frames
                and tuple(
                    replace(frame, module=anywhere(frame.module), file=anywhere(frame.file))
                    for frame in stack.frames
                ),
            )
            for key, stack in entry.stacks.items()
        }
        entry.code = [replace(one, source_file=anywhere(one.source_file)) for one in entry.code]
        out.take(entry)
    elif isinstance(entry, Looked):
        out.look(entry.time_ns)
    else:
        out.end(*entry)  # type: ignore[misc]


def moved(target: Target) -> Target:
    return replace(target, executable=anywhere(target.executable))


if __name__ == "__main__":
    sys.exit(main())
