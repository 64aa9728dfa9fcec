"""What ``hud doctor`` says of this machine and of a process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import program
import pytest
import targets

pytestmark = pytest.mark.e2e


def test_the_machine() -> None:
    done = program.run("doctor")
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert "ok    privileges: all that hud needs" in lines
    assert "ok    kernel types (BTF)" in lines
    assert "ok    BPF ring buffer" in lines
    assert not [line for line in lines if line.startswith("FAIL")]


def test_a_tokio_process(prebuilt_demo: Path) -> None:
    with targets.demo_server(prebuilt_demo) as server:
        said = program.run("doctor", server.pid).stdout
    lines = said.splitlines()
    assert f"ok    process {server.pid} (demo-server-x86): {prebuilt_demo}" in lines
    assert "ok    function names: symbol table" in lines
    assert any(line.startswith("note  file and line: no debug info") for line in lines)
    assert any(line.startswith("ok    stacks without frame pointers: ") for line in lines)
    assert lines[-3].startswith("ok    sees polls (CONTEXT): tokio 1.54.1")
    assert lines[-2:] == ["", "hud can run here"]


def test_a_process_without_tokio() -> None:
    import subprocess

    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            said = program.run("doctor", process.pid).stdout
        finally:
            process.kill()
    assert "note  sees polls (CONTEXT): " in said
    assert said.splitlines()[-3].startswith("note  workers by name (latency): ")


def test_a_stripped_process(build_target: Callable[..., Path]) -> None:
    binary = targets.stripped(build_target("demo-server", debug=2))
    with targets.demo_server(binary) as server:
        said = program.run("doctor", server.pid).stdout
    assert "note  function names: stripped" in said
