"""Stacks as gdb sees them: the truth that hud's own unwinding is held to."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

# Inlined calls share the pc of the call they are inlined into, and a tail call leaves nothing on
# the stack (gdb makes its frame up from call sites in debug info): both are left out.
_SCRIPT = """
import gdb, json
gdb.execute("set backtrace past-main on")
gdb.execute("set backtrace past-entry on")
found = {}
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame, pcs = gdb.newest_frame(), []
    while frame is not None and len(pcs) < 1000:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            pcs.append(int(frame.pc()) & (1 << 64) - 1)
        frame = frame.older()
    found[thread.ptid[1]] = pcs
print("TRUTH " + json.dumps(found))
"""


def at_hand() -> bool:
    return shutil.which("gdb") is not None


def stacks(pid: int) -> dict[int, list[int]]:
    """tid -> pcs, innermost first, of every thread; the process is stopped for a moment."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(_SCRIPT)
        script.flush()
        quiet = ["-nx", "-batch", "-iex", "set auto-load no", "-iex", "set debuginfod enabled off"]
        ran = subprocess.run(
            ["gdb", *quiet, "-p", str(pid), "-x", script.name],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    lines = [line for line in ran.stdout.splitlines() if line.startswith("TRUTH ")]
    assert lines, ran.stdout + ran.stderr
    return {int(tid): pcs for tid, pcs in json.loads(lines[-1][6:]).items()}


def described(pid: int, pcs: list[int]) -> str:
    """The pcs with the files they are in, for a failing test."""
    maps = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(None, 5)
        start, end = (int(part, 16) for part in fields[0].split("-"))
        maps.append((start, end, int(fields[2], 16), fields[5] if len(fields) > 5 else ""))
    words = []
    for pc in pcs:
        hit = next((m for m in maps if m[0] <= pc < m[1]), None)
        words.append(f"{pc:#x} {hit[3]}+{pc - hit[0] + hit[2]:#x}" if hit else f"{pc:#x}")
    return "\n".join(words)
