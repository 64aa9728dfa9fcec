"""Functions and lines of real programs against llvm-symbolizer, every inlined call included.

Known differences, all accepted below:
- Of the outermost call llvm-symbolizer gives the symbol table's name, hud the linkage name:
  compiler suffixes (``.cold``, ``.isra.0``, ``.llvm.123``) and aliases differ, and functions with
  the same code that LLVM merged have several names at one address.
- Without a line llvm-symbolizer may name the file of an STT_FILE symbol; hud leaves it empty.
- Names without a linkage name: hud's have their namespaces, llvm-symbolizer's have not.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import targets

from hud.symbols.elf.file import ElfFile
from hud.symbols.module import Module, RawFrame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Need = Callable[[object, str], None]

SUFFIX = re.compile(r"(\.(cold|part|isra|constprop|llvm|specialized)(\.\d+)*|\.\d+)+$")

C_SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static __thread int counter = 3;
static inline int square(int x) { counter++; return x * x + (int)strlen("abc"); }
static inline __attribute__((always_inline)) int twice(int x) {
    int s = 0;
    for (int i = 0; i < x; i++) { s += square(x + i); if (s % 7 == 3) s ^= rand(); }
    return s;
}
__attribute__((noinline)) int outer(int n) {
    int r = twice(n);
    if (r < 0) { fprintf(stderr, "negative %d\n", r); abort(); }
    return r + twice(n / 2);
}
__attribute__((cold, noinline)) void die(const char *w) { fprintf(stderr, "%s\n", w); exit(1); }
int cmp(const void *a, const void *b) { return square(*(const int *)a) - square(*(const int *)b); }
int main(int argc, char **argv) {
    int v[64];
    for (int i = 0; i < 64; i++) v[i] = outer(argc + i);
    qsort(v, 64, sizeof v[0], cmp);
    if (v[0] == 12345678) die(argv[0]);
    return v[0] & 1;
}
"""
GC_SECTIONS = ("-ffunction-sections", "-Wl,--gc-sections")
FLAGS = [
    ("-gdwarf-4", "-O2"),
    ("-gdwarf-5", "-O2"),
    ("-gdwarf-5", "-O0"),
    ("-gdwarf-5", "-gdwarf64", "-O2"),
    ("-gdwarf-4", "-O2", "-gz", *GC_SECTIONS),
    ("-gdwarf-5", "-O2", "-gz", *GC_SECTIONS),
    ("-gdwarf-5", "-O2", "-no-pie"),
]


def tool(*names: str) -> str:
    return next((found for name in names if (found := shutil.which(name))), "")


@pytest.fixture
def symbolizer(need: Need) -> str:
    found = tool("llvm-symbolizer-19", "llvm-symbolizer")
    need(found, "llvm-symbolizer")
    return found


def oracle(symbolizer: str, path: Path, addresses: list[int]) -> dict[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [symbolizer, f"--obj={path}", "--inlines", "--output-style=JSON", "--no-demangle"],
        input="".join(f"{address:#x}\n" for address in addresses),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = map(json.loads, done.stdout.splitlines())
    return {int(answer["Address"], 16): answer["Symbol"] for answer in answers}


def same_name(module: Module, address: int, got: RawFrame, want: str) -> bool:
    name = got.name_raw or got.name.rpartition("::")[2]
    if SUFFIX.sub("", want) == SUFFIX.sub("", name):
        return True
    at = {symbol for symbol, start, _ in module.defined(b"^") if start == got.symbol_start}
    stripped = {SUFFIX.sub("", symbol) for symbol in at}
    return want in at and not got.inlined and (name in stripped or got.name != "")


def differences(
    symbolizer: str,
    path: Path,
    count: int,
    complete: Callable[[ElfFile, list[int]], Module] = lambda elf, addresses: Module(elf),
) -> tuple[list[str], int]:
    """What differs at ``count`` random addresses of .text, and how many frames have a line.

    ``complete`` adds further files with debug information.
    """
    wrong = []
    lines = 0
    with path.open("rb") as opened, ElfFile(opened.fileno(), str(path)) as elf:
        text = elf.section(".text")
        assert text is not None
        pick = random.Random(1)
        addresses = [pick.randrange(text.addr, text.addr + text.size) for _ in range(count)]
        module = complete(elf, addresses)
        answers = oracle(symbolizer, path, addresses)
        assert len(answers) == len(set(addresses))
        for address, wanted in answers.items():
            frames = module.frames(address)
            lines += sum(frame.line > 0 for frame in frames)
            if not frames and not wanted[0]["FunctionName"]:
                continue
            if len(frames) != len(wanted):
                wrong.append(f"{address:#x}: {len(frames)} calls, not {len(wanted)}")
                continue
            for frame, want in zip(frames, wanted, strict=True):
                if not same_name(module, address, frame, want["FunctionName"]):
                    wrong.append(f"{address:#x}: {frame} is not {want['FunctionName']}")
                if (frame.line, frame.file) != (want["Line"], want["FileName"]) and (
                    frame.line or want["Line"] or frame.file
                ):
                    wrong.append(f"{address:#x}: {frame} not at {want['FileName']}:{want['Line']}")
    return wrong, lines


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
def test_c(
    compiler: str, flags: tuple[str, ...], symbolizer: str, need: Need, tmp_path: Path
) -> None:
    found = tool(compiler) or tool(f"{compiler}-19")
    need(found, compiler)
    (tmp_path / "a.c").write_text(C_SOURCE)
    subprocess.run([found, *flags, "a.c", "-o", "a"], cwd=tmp_path, check=True)
    wrong, lines = differences(symbolizer, tmp_path / "a", 300)
    assert wrong == []
    assert lines > 100


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("crate", "settings"),
    [
        ("zoo", {"profile": "dev"}),
        ("zoo", {}),
        ("herd", {"rustflags": "-C dwarf-version=5"}),
        ("zoo", {"config": targets.LTO}),
        ("zoo", {"crateflags": "-C symbol-mangling-version=v0"}),
    ],
    ids=["dev", "release", "dwarf5", "lto", "v0"],
)
def test_rust(
    crate: str,
    settings: dict[str, Any],
    symbolizer: str,
    build_target: Callable[..., Path],
) -> None:
    path = build_target(crate, debug=2, **settings)
    wrong, lines = differences(symbolizer, path, 600)
    assert wrong == []
    assert lines > 600
