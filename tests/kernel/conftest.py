"""Small BPF programs, compiled when a test asks for them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "data" / "bpf"
CLANG = "clang-19"
FLAGS = ("-g", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror", "-Wno-unused-variable")


@pytest.fixture(scope="session")
def compile_bpf(
    need: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], bytes]:
    """``compile_bpf("kinds")``: the object of tests/data/bpf/kinds.bpf.c."""
    made: dict[str, bytes] = {}

    def compiled(name: str) -> bytes:
        if name not in made:
            need(shutil.which(CLANG), CLANG)
            out = tmp_path_factory.mktemp("bpf") / f"{name}.bpf.o"
            source = SOURCES / f"{name}.bpf.c"
            subprocess.run([CLANG, *FLAGS, "-c", str(source), "-o", str(out)], check=True)
            made[name] = out.read_bytes()
        return made[name]

    return compiled
