"""Machine code, calls and source lines against llvm-objdump, llvm-symbolizer and the files.

Known difference: of ``nop`` there are several spellings.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import targets

from hud.profiler.naming.source import Wanted, quote
from hud.symbols.elf.file import ElfFile
from hud.symbols.inference.inferred import Inferred
from hud.symbols.listing import Listings
from hud.symbols.machine.disassembly import AROUND
from hud.symbols.module import Module

if TYPE_CHECKING:
    from collections.abc import Callable

    Need = Callable[[object, str], None]

C_SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
__attribute__((noinline)) static double inner(double x) { return sin(x) * 3.0 + x; }
__attribute__((noinline)) int outer(int n, const char *text) {
    double sum = 0;
    for (int i = 0; i < n; i++) { sum += inner(i); if (i % 7 == 3) sum -= strlen(text); }
    switch (n) { case 1: puts("a"); break; case 2: puts("b"); break; case 3: abort();
                 case 4: puts("d"); break; case 5: puts("e"); break; default: puts(text); }
    return (int)sum;
}
int main(int argc, char **argv) {
    void *room = malloc(argc * 100);
    memset(room, argc, argc * 100);
    puts(room);
    int found = outer(argc, getenv("HOME"));
    free(room);
    return found;
}
"""
ROW = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)(.*)$", re.MULTILINE)
FUNCTION = re.compile(r"^([0-9a-f]+) <([^>]+)>:\n((?:.+\n)+)", re.MULTILINE)
CALLED = re.compile(r"<(\w+)(?:@[\w.]+)*(?:\+0x[0-9a-f]+)?>")
SAME = {"xchg": "nop", "data16": "nop", "cs": "nop", "nop": "nop"}


def tool(need: Need, *names: str) -> str:
    found = next((path for name in names if (path := shutil.which(name))), "")
    need(found, names[0])
    return found


def listings(path: Path) -> tuple[Module, Listings]:
    elf = ElfFile(path.read_bytes(), str(path))
    module = Module(elf)
    return module, Listings(module, Inferred(elf))


@pytest.fixture
def disassembled(need: Need) -> Callable[[Path], dict[str, list[tuple[int, str, str]]]]:
    """Function -> its (address, mnemonic, rest of the line) by llvm-objdump."""
    objdump = tool(need, "llvm-objdump-19", "llvm-objdump")

    def run(path: Path) -> dict[str, list[tuple[int, str, str]]]:
        done = subprocess.run(
            [objdump, "-d", "--no-show-raw-insn", "--x86-asm-syntax=intel", path],
            capture_output=True,
            text=True,
            check=True,
        )
        return {
            name: [
                (int(at, 16), SAME.get(what, what), rest) for at, what, rest in ROW.findall(body)
            ]
            for _, name, body in FUNCTION.findall(done.stdout)
        }

    return run


@pytest.mark.parametrize(
    "flags",
    [
        ("-O2",),
        ("-O0", "-fcf-protection"),
        ("-O2", "-fno-plt"),
        ("-O2", "-no-pie"),
        ("-O2", "-g", "-Wl,-z,now"),
    ],
    ids=" ".join,
)
def test_every_instruction_of_a_c_program(
    flags: tuple[str, ...],
    disassembled: Callable[[Path], dict[str, list[tuple[int, str, str]]]],
    need: Need,
    tmp_path: Path,
) -> None:
    (tmp_path / "a.c").write_text(C_SOURCE)
    compiler = tool(need, "gcc")
    subprocess.run([compiler, *flags, "a.c", "-o", "a", "-lm"], cwd=tmp_path, check=True)
    module, code = listings(tmp_path / "a")
    truth = disassembled(tmp_path / "a")
    named = 0
    for function in ("main", "outer", "inner"):
        ((_, start, size),) = module.defined(rb"^%s$" % function.encode())
        rows = [row for row in truth[function] if row[0] < start + size]  # no padding
        addresses = [at for at, _, _ in rows]
        for index, (at, what, rest) in enumerate(rows):
            found = code.around(at, caller=False)
            assert (found.at, found.note) == (at, "")
            window = slice(max(0, index - AROUND), index + AROUND + 1)
            assert [row[0] for row in found.rows] == addresses[window]
            texts = [text.removeprefix("notrack ") for _, text, _ in found.rows]
            mnemonics = [text.split()[0] for text in texts]
            assert [SAME.get(one, one) for one in mnemonics] == [row[1] for row in rows[window]]
            ((_, _, called),) = [row for row in found.rows if row[0] == at]
            wanted = CALLED.search(rest) if what == "call" and "rip" not in rest else None
            if wanted:
                assert called == wanted[1]
                named += 1
            if what == "call":
                assert called
                end = addresses[index + 1] if index + 1 < len(rows) else at + 5
                assert code.around(end, caller=True).at == at
    assert named >= (2 if "-fno-plt" in flags else 9)


def test_calls_through_the_got_have_the_names_of_their_relocations(
    need: Need, tmp_path: Path
) -> None:
    (tmp_path / "a.c").write_text(C_SOURCE)
    compiler = tool(need, "gcc")
    subprocess.run([compiler, "-O2", "-fno-plt", "a.c", "-o", "a", "-lm"], cwd=tmp_path, check=True)
    shutil.copy(tmp_path / "a", tmp_path / "stripped")
    subprocess.run(["strip", tmp_path / "stripped"], check=True)
    module, code = listings(tmp_path / "a")
    for listing in (code, listings(tmp_path / "stripped")[1]):
        called = set()
        for _, start, size in module.defined(rb"^(main|outer|inner)(\.cold)?$"):
            for pc in range(start, start + size):
                found = listing.around(pc, caller=False)
                called |= {name for _, text, name in found.rows if name and "[rip" in text}
        libc = {"puts", "strlen", "malloc", "memset", "getenv", "free", "abort", "sin"}
        assert libc >= called >= {"puts", "malloc", "getenv", "free", "abort", "sin"}


def test_calls_of_the_demo_server(prebuilt_demo: Path) -> None:
    module, code = listings(prebuilt_demo)
    wanted = {
        rb"handlers13hash_password": "bcrypt::hash",
        rb"handlers12update_cache": "std::sys::sync::mutex::futex::Mutex::lock_contended",
        rb"handlers11read_config": "std::fs::read::inner",
        rb"handlers12parse_report": "serde_json::de::from_trait",
        rb"bcrypt14_hash_password": "memcpy",
    }
    for pattern, callee in wanted.items():
        ((_, start, size),) = module.defined(pattern)
        rows = {
            row
            for pc in range(start, start + size, 8)
            for row in code.around(pc, caller=False).rows
        }
        calls = [row for row in rows if row[2] == callee]
        assert calls, pattern
        assert {text.split()[0] for _, text, _ in calls} <= {"call", "jmp"}


@pytest.mark.e2e
def test_source_lines_of_a_rust_program(need: Need, build_target: Callable[..., Path]) -> None:
    symbolizer = tool(need, "llvm-symbolizer-19", "llvm-symbolizer")
    path = build_target("zoo", debug=2)
    module, _ = listings(path)
    pick = random.Random(1)
    own = [
        pick.randrange(start, start + size)
        for _, start, size in module.defined(rb"3zoo8blocking") * 20
        if size
    ]
    done = subprocess.run(
        [symbolizer, f"--obj={path}", "--inlines", "--output-style=JSON"],
        input="".join(f"{address:#x}\n" for address in own),
        capture_output=True,
        text=True,
        check=True,
    )
    compared = 0
    for address, answer in zip(own, map(json.loads, done.stdout.splitlines()), strict=True):
        frames = module.frames(address)
        for frame, truth in zip(frames, answer["Symbol"], strict=True):
            if not truth["FileName"].endswith("zoo/src/blocking.rs") or not truth["Line"]:
                continue
            text = Path(truth["FileName"]).read_text("utf-8").splitlines()
            asked = Wanted(1, os.getpid(), frame.file, frame.line, str(path), 0)
            found = quote(asked, (Path("/"),))
            assert dict(found.lines)[truth["Line"]] == text[truth["Line"] - 1]
            assert found.note == ""
            compared += 1
    assert compared > 100


def test_source_that_debug_information_makes_up_is_refused(need: Need, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret\n" * 9)
    (tmp_path / "link.c").symlink_to(secret)
    (tmp_path / "directory.c").mkdir()
    os.mkfifo(tmp_path / "fifo.c")
    (tmp_path / "binary.c").write_bytes(b"line\n" * 5 + b"\0")
    (tmp_path / "large.c").write_bytes(b"line\n" * (1 << 20))
    places = {
        "/etc/shadow": "not the name of a source file",
        "/proc/self/environ": "not the name of a source file",
        "/proc/self/fd/0.c": "no such file or directory",
        "/dev/zero": "not the name of a source file",
        str(secret): "not the name of a source file",
        f"{tmp_path}/link.c": "not a regular file",
        f"{tmp_path}/directory.c": "not a regular file",
        f"{tmp_path}/fifo.c": "not a regular file",
        f"{tmp_path}/binary.c": "not text",
        f"{tmp_path}/large.c": "larger than 4 MiB",
        f"{tmp_path}/absent.c": "no such file or directory",
    }
    source = "".join(
        f'#line 3 "{place}"\nint f{number}(int x) {{ return x * {number}; }}\n'
        for number, place in enumerate(places)
    )
    (tmp_path / "a.c").write_text(f"{source}int main(void) {{ return 0; }}\n")
    compiler = tool(need, "gcc")
    subprocess.run([compiler, "-g", "-O0", "a.c", "-o", "a"], cwd=tmp_path, check=True)
    module, _ = listings(tmp_path / "a")
    for number, (place, why) in enumerate(places.items()):
        ((_, start, _),) = module.defined(rb"^f%d$" % number)
        frame = module.frames(start)[-1]
        assert (frame.file, frame.line) == (place, 3)
        asked = Wanted(1, os.getpid(), frame.file, frame.line, "/srv/a", 0)
        found = quote(asked, (Path("/proc/self/root"), Path("/")))
        assert (found.lines, found.note) == ((), f"{place}: {why}")


@pytest.mark.e2e
def test_verbose_summary_shows_symbol_source_and_code(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    import program

    binary = build_target("zoo", debug=2)
    with targets.zoo(binary, tmp_path / "truth", "--seconds", "20") as zoo:
        done = program.run("-v", "--headless", "--pid", zoo.pid, "--duration", 3)
    shown = done.stdout[done.stdout.index("  blocking::run_command  ") :]
    assert re.search(r"symbol: _ZN3zoo8blocking11run_command17h[0-9a-f]{16}E\n", shown)
    assert re.search(r"source: src/blocking.rs:\d+\n", shown)
    assert re.search(r'> \d+ +Command::new\("sleep"\).arg\(seconds\).status\(\)', shown)
    assert re.search(r"> [0-9a-f]+  call .*  std::process::Command::status\n", shown)
