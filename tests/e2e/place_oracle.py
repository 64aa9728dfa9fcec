"""Holds what hud tells of places without debug info against the debug info of the same code.

Terms: asked for are the *calls* that may block in code of the user's, or in a function that has it
inlined; a call is *told* if a frame of it that is the user's has a file. That is *right* if it is
the file of one of the user's frames that are really there, its line is in that function, and of a
definition is that function's first line. It is *false* where no code of the user's is.

`debug = 1` and `debug = 0` give the same functions, but at other addresses: so the debug info is
taken off a copy.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hud.model import Frame, Origin, Precision
from hud.symbols.demangle import demangle
from hud.symbols.elf.file import ET_EXEC, ElfFile
from hud.symbols.inference.inferred import Inferred
from hud.symbols.loaded import Loaded
from hud.symbols.machine.scan import SCANS
from hud.symbols.module import Module
from hud.symbols.names import owner_of
from hud.symbols.unwind.bounds import Bounds

if TYPE_CHECKING:
    from collections.abc import Iterator

QUIET = re.compile(
    r"panic|drop|alloc|fmt|mem(?:cpy|move|set|cmp)|unwrap_failed|expect_failed|_Unwind|handle_error"
    r"|_fail\b|capacity_overflow|grow_"
)
"""Callees that do not block, or never return."""


class Call(NamedTuple):
    vaddr: int
    """Inside of the instruction, as a caller's pc is."""
    function: str


class Truth(NamedTuple):
    """A frame of the user's by the debug info."""

    file: str
    line: int
    begin: int
    """The function's first line."""
    end: int


@dataclass
class Score:
    calls: int = 0
    """In code of the user's."""
    told: Counter[Precision] = field(default_factory=Counter)
    wrong: Counter[Precision] = field(default_factory=Counter)
    exact: int = 0
    """Told the very line."""
    false: int = 0
    wrongs: list[str] = field(default_factory=list)
    silent: Counter[str] = field(default_factory=Counter)
    """Functions of the calls of which nothing is told."""


def symbolizer() -> str | None:
    return shutil.which("llvm-symbolizer-19") or shutil.which("llvm-symbolizer")


def score(binary: Path, *, stripped: bool = False) -> Score:
    """What is told of the calls of a binary with debug info; ``stripped``: without symbols too."""
    with tempfile.TemporaryDirectory() as scratch:
        bare = Path(scratch) / "bare"
        take = "--strip-all" if stripped else "--strip-debug"
        subprocess.run(["strip", take, "-o", bare, binary], check=True)
        calls = list(_calls(binary))
        truths = _truths(binary, calls)
        loaded = Loaded(bare.name, os.open(bare, os.O_RDONLY))
        found = Score()
        for call, truth in zip(calls, truths, strict=True):
            _judge(found, call, truth, _told(loaded, call.vaddr))
        loaded.elf().close()
        return found


def _calls(binary: Path) -> Iterator[Call]:
    with binary.open("rb") as opened, ElfFile(opened.fileno(), str(binary)) as elf:
        module, locations = Module(elf), Inferred(elf).locations
        for start, size in Bounds(elf):
            own = module.symbol(start)
            function = (demangle(own[0], generics=False) or own[0]) if own else ""
            if "drop_in_place" in function:  # its line is that of the type
                continue
            code = bytes(elf.read(start, size))
            for pc, callee in SCANS[elf.machine_id](code, start, elf.type == ET_EXEC).calls:
                target = locations.pointer_or_none(-callee) if callee < 0 else callee
                symbol = module.symbol(target) if target else None
                if symbol is None or not QUIET.search(demangle(symbol[0]) or symbol[0]):
                    yield Call(pc + 1, function)


def _truths(binary: Path, calls: list[Call]) -> list[list[Truth]]:
    """The user's frames of each call, innermost first."""
    command = [symbolizer() or "", "--output-style=JSON", "--no-demangle", f"--obj={binary}"]
    asked = "".join(f"0x{call.vaddr:x}\n" for call in calls)
    done = subprocess.run(command, input=asked, text=True, capture_output=True, check=True)
    return [
        [_truth(one) for one in json.loads(line).get("Symbol", ()) if _is_users(one)]
        for line in done.stdout.splitlines()
    ]


def _is_users(one: dict[str, Any]) -> bool:
    owner = owner_of(one["FileName"])
    return one["FileName"].endswith(".rs") and owner is not None and owner.origin is Origin.USER


def _truth(one: dict[str, Any]) -> Truth:
    file, begin = one["FileName"], one.get("StartLine", 0)
    return Truth(file, one["Line"], begin, _end(file, begin))


@cache
def _end(file: str, begin: int) -> int:
    """The line of the closing brace of what begins at a line, by its indent; or that line."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return begin
    if not 0 < begin <= len(lines) or lines[begin - 1].rstrip().endswith("}"):
        return begin
    indent = len(lines[begin - 1]) - len(lines[begin - 1].lstrip())
    closing = re.compile(rf" {{{indent}}}[)}}\]]")
    for number, line in enumerate(lines[begin:], begin + 1):
        if closing.match(line) and not line.rstrip().endswith("{"):
            return number
    return begin


def _told(loaded: Loaded, vaddr: int) -> Frame | None:
    """The innermost frame of the user's, if it has a file."""
    return next(
        (one for one in loaded.frames(vaddr) if one.origin is Origin.USER and one.file), None
    )


def _judge(score: Score, call: Call, truth: list[Truth], frame: Frame | None) -> None:
    score.calls += bool(truth)
    if frame is None:
        if truth:
            score.silent[call.function] += 1
    elif truth:
        score.told[frame.precision] += 1
        score.exact += any(one.line == frame.line for one in truth)
        if not any(_fits(frame, one) for one in truth):
            score.wrong[frame.precision] += 1
            score.wrongs.append(_words(call, frame, truth))
    elif frame.inlined:
        score.false += 1
        score.wrongs.append(_words(call, frame, truth))


def _words(call: Call, frame: Frame, truth: list[Truth]) -> str:
    told = f"{frame.file}:{frame.line} ({frame.precision.value})"
    return f"{call.vaddr:x} {call.function}: {told}, is {truth or 'not of the user'}"


def _fits(frame: Frame, truth: Truth) -> bool:
    if not truth.file.endswith(frame.file):
        return False
    if frame.precision is Precision.NEAR:
        return truth.begin <= frame.line <= truth.end
    odd = truth.begin == truth.end or truth.line < truth.begin
    if frame.precision is Precision.FILE or frame.line == truth.begin:
        return True
    # an attribute macro's function has another first line
    return odd and frame.line <= truth.line <= _end(truth.file, frame.line)
