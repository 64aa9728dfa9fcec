"""Asks three symbolizers the same addresses of one binary, and compares what they say.

Terms: a *call* is one frame of an address, innermost first: (raw name, file, line). *Cold* means a
new process and a file that is not in the page cache, *warm* a new process alone.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hud.resolver.client import Resolver
from hud.resolver.confinement import NICE
from hud.resolver.messages import AskFrames, Failed, Frames
from hud.symbols.elf.file import ElfFile
from hud.symbols.module import Module
from hud.symbols.unwind.bounds import Bounds

SUFFIX = re.compile(r"(\.(cold|part|isra|constprop|llvm|specialized)(\.\d+)*|\.\d+)+$")
PATIENCE_S = 600.0


class Call(NamedTuple):
    name: str
    file: str
    line: int


class Asked(NamedTuple):
    """What a symbolizer said, and what that took."""

    calls: list[list[Call]]
    """For each address; empty lists from one whose answers are not read."""
    wall_s: float
    cpu_s: float
    peak_mb: float
    """Resident, mapped files included (VmHWM)."""
    own_mb: float = 0.0
    """The most that was resident without mapped files (RssAnon, RssShmem); 0 = not measured."""


def pick(binary: Path, count: int, seed: int) -> tuple[list[int], list[int]]:
    """(vaddrs, file offsets) of distinct addresses: random bytes of random functions."""
    with binary.open("rb") as opened, ElfFile(opened.fileno(), str(binary)) as elf:
        functions = list(Bounds(elf))
        random.Random(seed).shuffle(functions)
        draw = random.Random(seed + 1)
        vaddrs: dict[int, int] = {}
        for start, size in functions * (1 + count // max(1, len(functions))):
            vaddr = start + draw.randrange(size)
            offset = elf.offset_of(vaddr)
            if offset is not None:
                vaddrs[vaddr] = offset
            if len(vaddrs) == count:
                break
        return list(vaddrs), list(vaddrs.values())


def evict(binary: Path) -> None:
    """Drop the file from the page cache, but for pages that a process has mapped."""
    with binary.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# --------------------------------------------------------------------------- hud


def ask_hud(binary: Path, *questions: Sequence[int]) -> list[Asked]:
    """A new resolver is asked for file offsets, one question after the other.

    The first one counts from before the fork on; memory is that of the resolver so far.
    """
    answers = []
    began = time.monotonic()
    used_s = own = 0.0
    with Resolver() as resolver, binary.open("rb") as opened:
        module = resolver.add_module(opened.fileno(), str(binary))
        for offsets in questions:
            found: list[Frames | Failed] = []
            resolver.ask(AskFrames(module, list(offsets)), found.append)
            while not found:
                resolver.run(0.02)
                own = max(own, _memory(resolver.pid, "RssAnon", "RssShmem"))
                if time.monotonic() - began > PATIENCE_S:
                    raise SystemExit(f"bench: no answer within {PATIENCE_S:g} s")
            (reply,) = found
            if isinstance(reply, Failed):
                raise SystemExit(f"bench: hud's resolver says {reply}")
            now, cpu_s = time.monotonic(), resolver.cpu_ns() / 1e9
            calls = [
                [Call(frame.raw, frame.file, frame.line) for frame in frames]
                for frames in reply.frames
            ]
            peak = _memory(resolver.pid, "VmHWM")
            answers.append(Asked(calls, now - began, cpu_s - used_s, peak, own))
            began, used_s = time.monotonic(), cpu_s
    return answers


def _memory(pid: int, *fields: str) -> float:
    """The sum of these fields of /proc/PID/status, MB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return (
        sum(int(re.findall(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)[0]) for field in fields)
        / 1e3
    )


# --------------------------------------------------------------------------- others


def ask_llvm(symbolizer: str, binary: Path, vaddrs: Sequence[int]) -> Asked:
    """llvm-symbolizer, with inlined calls, names as they are in the file."""
    command = [symbolizer, f"--obj={binary}", "--inlines", "--output-style=JSON", "--no-demangle"]
    text, *used = _run(command, vaddrs)
    by_address = {}
    for answer in map(json.loads, text.splitlines()):
        calls = [Call(s["FunctionName"], s["FileName"], s["Line"]) for s in answer["Symbol"]]
        by_address[int(answer["Address"], 16)] = calls
    return Asked([by_address[vaddr] for vaddr in vaddrs], *used)


def ask_addr2line(command: str, binary: Path, vaddrs: Sequence[int]) -> Asked:
    """addr2line of binutils, with inlined calls and functions; its answers are not compared."""
    _, *used = _run([command, "-i", "-f", "-e", str(binary)], vaddrs)
    return Asked([], *used)


def _run(command: list[str], vaddrs: Sequence[int]) -> tuple[str, float, float, float]:
    """(what it printed, seconds, CPU seconds, peak MB), at the niceness of hud's resolver."""
    with tempfile.TemporaryFile("w+") as asked, tempfile.TemporaryFile("w+") as answered:
        asked.writelines(f"{vaddr:#x}\n" for vaddr in vaddrs)
        asked.seek(0)
        began = time.monotonic()
        process = subprocess.Popen(
            ["nice", "-n", str(NICE), *command],
            stdin=asked,
            stdout=answered,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"bench: {command[0]} ended with {process.returncode}")
        answered.seek(0)
        return answered.read(), wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3


# --------------------------------------------------------------------------- comparison


class Verdict(NamedTuple):
    """How the answers of hud compare with llvm-symbolizer's."""

    calls: int
    """Of llvm-symbolizer, all addresses together."""
    reasons: Counter[str]
    """How many calls are equal, or differ for a known reason."""
    wrong: list[str]
    """The differences without a known reason, a line each."""


EQUAL = "equal"


def compare(
    binary: Path, vaddrs: Sequence[int], hud: Sequence[list[Call]], llvm: Sequence[list[Call]]
) -> Verdict:
    """Every call of every address: file, line and function."""
    reasons: Counter[str] = Counter()
    wrong = []
    with binary.open("rb") as opened, ElfFile(opened.fileno(), str(binary)) as elf:
        module = Module(elf)
        starts: dict[str, set[int]] = {}
        for name, start, _ in module.defined(b"^"):
            starts.setdefault(name, set()).add(start)
        for vaddr, ours, theirs in zip(vaddrs, hud, llvm, strict=True):
            if len(ours) != len(theirs):
                wrong.append(f"{vaddr:#x}: {len(ours)} calls, not {len(theirs)}")
                continue
            for one, other in zip(ours, theirs, strict=True):
                reason = _reason(one, other)
                if not reason and one[1:] == other[1:] and one is ours[-1]:
                    start = module.frames(vaddr)[-1].symbol_start
                    if start in starts.get(other.name, ()):
                        reason = "several functions at one address, merged by the compiler"
                if reason:
                    reasons[reason] += 1
                else:
                    wrong.append(f"{vaddr:#x}: {one} is not {other}")
    return Verdict(sum(map(len, llvm)), reasons, wrong)


def _reason(one: Call, other: Call) -> str:
    """Why two calls are the same, or may differ; empty: not by what they say."""
    if one[1:] != other[1:]:
        no_line = not one.line and not other.line and not one.file
        return "no line: llvm-symbolizer gives a file of the symbol table" if no_line else ""
    if one.name == other.name:
        return EQUAL
    if SUFFIX.sub("", one.name) == SUFFIX.sub("", other.name):
        return "the symbol has a suffix of the compiler"
    if "::" in one.name and one.name.rpartition("::")[2] == other.name:
        return "no linkage name: hud adds the namespaces"
    return ""
