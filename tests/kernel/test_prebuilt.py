"""The BPF objects in prebuilt/ are what their sources compile to, and say nothing of a machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "build_bpf"
OBJECTS = ("hud-x86_64.bpf.o", "hud-aarch64.bpf.o")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def _compiler(need: Callable[[object, str], None]) -> None:
    need(shutil.which("clang-19") and shutil.which("llvm-strip-19"), "clang-19 and llvm-19")


def test_a_rebuild_gives_the_same_bytes(need: Callable[[object, str], None]) -> None:
    checked = run("--check")
    need(checked.returncode != 2, f"the compiler of the manifest ({checked.stdout.strip()})")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_directory_leaves_no_trace(tmp_path: Path) -> None:
    built = []
    for place in (tmp_path / "one", tmp_path / "another directory" / "deeper"):
        shutil.copytree(ROOT / "bpf_src", place / "bpf_src")
        made = run("--root", str(place))
        assert made.returncode == 0, made.stdout + made.stderr
        built.append([(place / "prebuilt" / name).read_bytes() for name in OBJECTS])
    assert built[0] == built[1]
    assert all(str(tmp_path).encode() not in content for content in built[0])


def test_a_changed_source_is_noticed(tmp_path: Path) -> None:
    for directory in ("bpf_src", "prebuilt"):
        shutil.copytree(ROOT / directory, tmp_path / directory)
    source = tmp_path / "bpf_src" / "hud.bpf.c"
    assert run("--root", str(tmp_path)).returncode == 0
    assert run("--check", "--root", str(tmp_path)).returncode == 0
    text = source.read_text(encoding="utf-8")
    source.write_text(text + '\nchar added __attribute__((section(".data.added"), used));\n')
    changed = run("--check", "--root", str(tmp_path))
    assert changed.returncode == 1
    assert "hud-x86_64.bpf.o: DIFFERS" in changed.stdout
