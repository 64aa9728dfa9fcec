"""perf's dwarf unwinding: records a process beside hud, and reads its stacks as functions.

Terms: a *chain* is a stack as functions, innermost first; a function is (file name, where it
begins), by the file's own .eh_frame, so that hud's stacks and perf's compare without names.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import NamedTuple

from hud.errors import FormatError
from hud.model import Stack
from hud.symbols.elf.file import ElfFile
from hud.symbols.unwind.bounds import Bounds

Chain = tuple[tuple[str, int], ...]

_HEAD = re.compile(r"^ *(\d+)\s*$")
_FRAME = re.compile(r"^\s+([0-9a-f]+) \((.*)\)$")


class Recorded(NamedTuple):
    path: Path
    samples: int
    cpu_s: float
    size_mb: float


class Script(NamedTuple):
    chains: Counter[Chain]
    cpu_s: float


class Functions:
    """The functions of the files of a process."""

    def __init__(self, pid: int) -> None:
        self._root = Path(f"/proc/{pid}/root")
        self._files: dict[str, tuple[ElfFile, Bounds] | None] = {}

    def of_stack(self, stack: Stack) -> Chain:
        """Of one of hud's: one function for each address, whatever was inlined into it."""
        places = {frame.address: frame for frame in stack.frames or ()}
        return tuple(
            self._function(places[address].module, places[address].offset)
            for address in stack.addresses
        )

    def of_offset(self, path: str, offset: int) -> tuple[str, int]:
        """Of an offset in a file, as perf gives them."""
        opened = self._open(path)
        vaddr = opened[0].vaddr_of(offset) if opened else None
        return self._function(path, offset if vaddr is None else vaddr)

    def _function(self, path: str, vaddr: int) -> tuple[str, int]:
        opened = self._open(path)
        found = None
        if opened is not None:
            with contextlib.suppress(FormatError):
                found = opened[1].of(vaddr)
        return Path(path).name, found[0] if found else vaddr

    def _open(self, path: str) -> tuple[ElfFile, Bounds] | None:
        if path not in self._files:
            self._files[path] = None
            with contextlib.suppress(OSError, FormatError):
                with (self._root / path.lstrip("/")).open("rb") as file:
                    elf = ElfFile(file.fileno(), path)
                self._files[path] = elf, Bounds(elf)
        return self._files[path]


@contextlib.contextmanager
def recording(pid: int, seconds: float, hz: int, dump: int) -> Iterator[Callable[[], Recorded]]:
    """perf record at work; what it gives waits for its end and tells what it took."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "perf.data"
        command = ["perf", "record", "-N", "-F", str(hz), "-e", "cpu-clock", "--user-callchains"]
        command += ["--call-graph", f"dwarf,{dump}", "-p", str(pid), "-o", str(path)]
        process = subprocess.Popen(
            [*command, "--", "sleep", f"{seconds:g}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

        def end() -> Recorded:
            assert process.stderr is not None
            said = process.stderr.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            found = re.search(r"\((\d+) samples\)", said)
            if process.returncode or found is None:
                raise SystemExit(f"bench: perf record: {said.strip()}")
            size = path.stat().st_size / 1e6
            return Recorded(path, int(found[1]), used.ru_utime + used.ru_stime, size)

        try:
            yield end
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()


def script(recorded: Recorded, functions: Functions, tids: Set[int]) -> Script:
    """The chains of these threads; perf script unwinds them now, without names of inlined calls."""
    command = ["perf", "script", "-i", str(recorded.path), "--no-inline", "-F", "tid,ip,dso"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    text = process.stdout.read()
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    chains: Counter[Chain] = Counter()
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.strip()]
        head = _HEAD.match(lines[0]) if lines else None
        if head is None or int(head[1]) not in tids:
            continue
        found = [_FRAME.match(line) for line in lines[1:]]
        chains[tuple(functions.of_offset(f[2], int(f[1], 16)) for f in found if f)] += 1
    return Script(chains, used.ru_utime + used.ru_stime)
