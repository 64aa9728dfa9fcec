"""Make tests/data/demo.hud anew: a few seconds of the demo, without names of the machine.

    sudo .venv/bin/python tests/builders/make_recording.py
    pytest tests/unit/record --update-golden

Then read the golden files before they are committed.
"""

# ruff: noqa: E402
from __future__ import annotations

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
PLACE = re.compile(r"^.*/(?=demo-server$)")


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw.hud"
        command = [sys.executable, "-m", "hud", "demo", "--duration", str(SECONDS)]
        subprocess.run([*command, "--record", str(raw)], cwd=ROOT, check=True)
        with open_recording(str(raw)) as source:
            entries = list(Reader(source).entries())
    now = [0.0]
    out = Writer(str(MADE), clock=lambda: now[0])
    for entry in entries:
        now[0] = getattr(entry, "time_ns", 0) / 1e9
        write(out, entry)
    print(f"{MADE}: {out.size} bytes")
    return 0


def write(out: Writer, entry: Entry) -> None:
    if isinstance(entry, RunInfo):
        out.begin(replace(entry, target=moved(entry.target), kernel="Linux 6.1.0 x86_64"))
    elif isinstance(entry, Batch):
        pid = {culprit.pid for culprit in entry.culprits}
        order = {one: number for number, one in enumerate(sorted(pid))}
        entry.culprits = [
            one if one.name == "tokio-rt-worker" else one._replace(name=f"other-{order[one.pid]}")
            for one in entry.culprits
        ]
        entry.stacks = {
            key: replace(
                stack,
                frames=stack.frames
                and tuple(
                    replace(frame, module=PLACE.sub("/srv/", frame.module))
                    for frame in stack.frames
                ),
            )
            for key, stack in entry.stacks.items()
        }
        out.take(entry)
    elif isinstance(entry, Looked):
        out.look(entry.time_ns)
    else:
        out.end(*entry)  # type: ignore[misc]


def moved(target: Target) -> Target:
    return replace(target, executable=PLACE.sub("/srv/", target.executable))


if __name__ == "__main__":
    sys.exit(main())
