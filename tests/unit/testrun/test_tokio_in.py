"""A program may hold a runtime if its file has a trace of Tokio, however it was built."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hud.testrun import tokio_in
from hud.testrun.tokio_in import MARKS, is_tested, may_hold_tokio


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("before", [0, (1 << 20) - 3, 2 << 20])
def test_any_mark_anywhere(mark: bytes, before: int, tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(b"x" * before + mark + b"y" * 100)
    assert may_hold_tokio(str(path))
    path.write_bytes(b"x" * before + mark[:-1] + b"y" * 101)
    assert not may_hold_tokio(str(path)), "its time of change is another"


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "program"
    path.write_bytes(b"nothing of the kind")
    assert not may_hold_tokio(str(path))
    monkeypatch.setattr(tokio_in, "MARKS", (b"nothing",))
    assert not may_hold_tokio(str(path))


def test_what_cannot_be_read_is_looked_at(tmp_path: Path) -> None:
    assert may_hold_tokio(str(tmp_path / "gone"))


@pytest.mark.parametrize("name", ["api-2222f417be588c40", "cargo", "cargo-nextest", "rustup"])
def test_tools_that_run_tests_are_none(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(Path("/bin/sleep").read_bytes() + MARKS[0])
    path.chmod(0o755)
    with subprocess.Popen([path, "60"]) as process:
        try:
            assert is_tested(process.pid) is name.startswith("api")
        finally:
            process.kill()
    assert not is_tested(process.pid), "it is gone"
