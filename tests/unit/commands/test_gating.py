"""--fail-on, from the command line to the exit code, on recordings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "tests" / "data" / "demo.hud"


def export(*arguments: str, file: Path = DEMO) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hud", "export", str(file), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_breach_is_exit_1_with_a_line_each_beside_the_summary() -> None:
    done = export("--fail-on", "max>50ms", "--fail-on", "count(cause=lock)>10")
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == (
        "hud: max>50ms failed: demo_server::handlers::hash_password: 61.1 ms (cpu in bcrypt::hash)"
    )
    assert second.startswith("hud: count(cause=lock)>10 failed: 22 long polls, in 2 functions")
    assert "of worker time was blocked" in done.stdout


def test_the_gates_as_tests(tmp_path: Path) -> None:
    path = tmp_path / "hud.xml"
    done = export("--fail-on", "max>50ms", "--fail-on", "count>999", "--junit", str(path))
    assert done.returncode == 1
    assert 'tests="2" failures="1" errors="0"' in path.read_text()


def test_nothing_found_is_exit_0_and_silent() -> None:
    done = export("--fail-on", "max>500ms", "--fail-on", "total>50%")
    assert (done.returncode, done.stderr) == (0, "")


def test_too_little_seen_is_exit_4(tmp_path: Path) -> None:
    cut = tmp_path / "cut.hud"
    cut.write_bytes(DEMO.read_bytes()[:40_000])
    done = export("--fail-on", "max>500ms", file=cut)
    assert done.returncode == 4
    assert "hud: max>500ms cannot be decided: the recording breaks off here\n" in done.stderr
    assert export("--fail-on", "max>4ms", "--fail-on", "count>999").returncode == 1
    done = export("--fail-on", "max(cause=child)>4ms")
    assert done.returncode == 4
    assert "polls below 5 ms were not looked for" in done.stderr


def test_what_is_not_understood_ends_it_before_it_begins(tmp_path: Path) -> None:
    done = export("--fail-on", "max>5", file=tmp_path / "none.hud")
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == ["     max>5", "          ^ here"]
    for option in ("--suppressions", "--junit"):
        done = export(option, "x")
        assert done.returncode == 2
        assert f"{option} without --fail-on" in done.stderr
    done = export("--fail-on", "max>5ms", "--junit", str(tmp_path / "no" / "x.xml"))
    assert done.returncode == 2


def test_suppressions(tmp_path: Path) -> None:
    path = tmp_path / "hud.txt"
    path.write_text("*::hash_password cpu never known\nno::such any never gone\n")
    gate = ("--fail-on", "max>50ms", "--suppressions", str(path))
    done = export(*gate)
    assert done.returncode == 0
    assert done.stderr == f"hud: {path}:2: covers nothing: no::such any\n"
    path.write_text("*::hash_password cpu 2020-01-01 known\n")
    done = export(*gate)
    assert done.returncode == 1
    assert f"hud: {path}:1 failed: expired on 2020-01-01: *::hash_password, known" in done.stderr


@pytest.mark.parametrize("number", [20, 21])
def test_not_more_lines_than_people_read(number: int) -> None:
    gates = [word for _ in range(number) for word in ("--fail-on", "count>0")]
    lines = export(*gates).stderr.splitlines()
    assert len(lines) == number
    assert lines[-1].startswith("hud: and 1 more" if number > 20 else "hud: count>0 failed")


def test_worse_than_a_baseline(tmp_path: Path) -> None:
    gate = ("--fail-on", "worse>20%")
    done = export(*gate, "--baseline", str(DEMO))
    assert (done.returncode, done.stderr) == (0, "")
    cut = tmp_path / "cut.hud"
    cut.write_bytes(DEMO.read_bytes()[:12_000])
    done = export(*gate, "--baseline", str(cut))
    assert done.returncode == 4
    assert "hud: worse>20% cannot be decided: the two runs cannot be compared: " in done.stderr


def test_a_baseline_is_wanted_and_read_before_the_run(tmp_path: Path) -> None:
    done = export("--fail-on", "worse>20%", file=tmp_path / "none.hud")
    assert done.returncode == 2
    assert "worse>20%: worse than what?" in done.stderr
    done = export("--fail-on", "max>5ms", "--baseline", str(DEMO))
    assert done.returncode == 2
    assert "--baseline without a gate on it" in done.stderr
    foreign = tmp_path / "foreign"
    foreign.write_text("{}" * 99)
    done = export("--fail-on", "worse>20%", "--baseline", str(foreign), file=tmp_path / "none.hud")
    assert done.returncode == 4
    assert done.stderr.startswith(f"hud: {foreign}: not a recording of hud")


def test_a_comparison_has_gates_of_both_kinds() -> None:
    command = [sys.executable, "-m", "hud", "diff", str(DEMO), str(DEMO)]
    for gates, code in ((["worse>20%"], 0), (["worse>20%", "max>50ms"], 1)):
        words = [word for gate in gates for word in ("--fail-on", gate)]
        done = subprocess.run(
            [*command, *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert "No overall difference" in done.stdout
    assert done.stderr.startswith("hud: max>50ms failed: demo_server::handlers::hash_password")
