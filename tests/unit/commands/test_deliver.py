"""The results of a finished run: where they go, and what a failed export does not prevent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hud.commands.deliver import deliver, write_selection
from hud.commands.output import Output
from hud.errors import ExportError
from hud.record.reader import Reader, open_recording
from hud.record.replay import Replay
from hud.tui.effects import Export

REAL = Path(__file__).parents[2] / "data" / "demo.hud"


@pytest.fixture(scope="module")
def run() -> Replay:
    with open_recording(str(REAL)) as source:
        replay = Replay(Reader(source).entries())
        replay.advance()
    return replay


def test_an_export_and_the_summary_that_names_it(
    run: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.json"
    deliver(run.analyzer, run.snapshot(), Output(str(path)), ["run.hud (1 KB)"])
    assert json.loads(path.read_bytes())["otherData"]["episodes"] == run.snapshot().episodes
    out = capsys.readouterr().out
    assert f"{path} (" in out
    assert "run.hud (1 KB)" in out


def test_after_a_screen_three_lines_unless_more_is_asked_for(
    run: Replay, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(run.analyzer, run.snapshot(), Output(brief=True), ["run.hud (1 KB)"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("demo-server (pid 31772), watched for ")
    assert " of worker time was blocked" in lines[1]
    assert lines[2] == "  written: run.hud (1 KB); -v prints the whole summary"
    deliver(run.analyzer, run.snapshot(), Output(brief=True))
    assert "--record FILE.hud keeps a run; -v" in capsys.readouterr().out
    deliver(run.analyzer, run.snapshot(), Output(brief=True, verbose=True))
    assert len(capsys.readouterr().out.splitlines()) > 20


@pytest.mark.parametrize("output", [Output(quiet=True), Output("-", "summary")])
def test_no_summary_beside_an_export_to_standard_output_or_when_quiet(
    run: Replay, output: Output, capfd: pytest.CaptureFixture[str]
) -> None:
    deliver(run.analyzer, run.snapshot(), output)
    assert capfd.readouterr().out.count("of worker time was blocked") == (output.export == "-")


def test_the_summary_survives_an_export_that_cannot_be_written(
    run: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ExportError, match="no such file or directory"):
        deliver(run.analyzer, run.snapshot(), Output(str(tmp_path / "none" / "x.json")))
    out = capsys.readouterr().out
    assert "of worker time was blocked" in out
    assert "written" not in out


def test_a_selection_never_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "blocker.txt"
    wanted = Export(str(path), "text\n")
    assert write_selection(wanted) == f"written to {path}"
    assert "already exists" in write_selection(Export(str(path), "other"))
    assert path.read_text() == "text\n"


def test_what_writes_is_there_before_the_run() -> None:
    """hud on the disk may be another version when the run ends."""
    program = (
        "import sys\n"
        "from hud.commands.deliver import prepare\n"
        "from hud.commands.output import Output\n"
        "prepare(Output('x.speedscope.json'))\n"
        "print(*(name for name in sys.modules if name.startswith('hud.')))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert {"hud.export.speedscope", "hud.export.summary"} <= set(ran.stdout.split())
