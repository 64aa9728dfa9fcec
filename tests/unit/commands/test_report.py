"""``hud report``: where it writes, and what of two recordings it is about."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hud import figures
from hud.cli import main

DEMO = Path(__file__).resolve().parents[2] / "data" / "demo.hud"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return Path(shutil.copy(DEMO, tmp_path / "run.hud"))


def test_it_lies_beside_the_recording(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(recording)]) == 0
    page = recording.with_suffix(".html")
    said = capsys.readouterr().err
    assert said == f"hud: {page} written ({figures.size(page.stat().st_size)})\n"
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert page.stat().st_size < 400_000


def test_of_two_it_is_about_the_later_one(recording: Path) -> None:
    before = shutil.copy(DEMO, recording.with_name("before.hud"))
    assert main(["report", str(before), str(recording)]) == 0
    text = recording.with_suffix(".html").read_text("utf-8")
    assert '"compared":{' in text
    assert not Path(before).with_suffix(".html").exists()


def test_a_recording_is_never_replaced_by_its_report(tmp_path: Path) -> None:
    plain = shutil.copy(DEMO, tmp_path / "run.html")
    assert main(["report", str(plain)]) == 0
    assert Path(plain).read_bytes() == DEMO.read_bytes()
    assert (tmp_path / "run.html.html").exists()


def test_what_cannot_be_written_is_said_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = tmp_path / "nowhere" / "x.html"
    assert main(["report", str(tmp_path / "no.hud"), "-o", str(where)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"hud: cannot write the report to {where}: no such file or directory")
