"""How much memory a run of hud took at the most.

``ru_maxrss`` cannot say so: a process inherits in it what the one that started it takes
(fs/exec.c, begin_new_exec), which late in a run of all tests is more than hud does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
_PROGRAM = """
import sys
from hud.cli import main
code = main(sys.argv[2:])
with open("/proc/self/status") as status, open(sys.argv[1], "w") as out:
    out.write(next(line for line in status if line.startswith("VmHWM:")))
sys.exit(code)
"""


class Ran(NamedTuple):
    """A whole run."""

    code: int
    out: str
    cpu_s: float
    """Of the process itself and what it has waited for."""
    megabytes: float


def run(place: Path, *arguments: object) -> Ran:
    """``hud`` with these arguments; ``place`` is an empty folder for what it says."""
    peak, said = place / "peak", place / "said"
    with said.open("w") as out:
        ran = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(peak), *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
        )
        _, status, used = os.wait4(ran.pid, 0)
        ran.returncode = os.waitstatus_to_exitcode(status)
    kilobytes = int(peak.read_text().split()[1])
    return Ran(ran.returncode, said.read_text(), used.ru_utime + used.ru_stime, kilobytes / 1e3)
