"""What a tag becomes: the workflow is sound, and what it runs gives files that can be checked."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with hud.pyz and hud.cdx.json, made as the workflow makes them."""
    place = tmp_path_factory.mktemp("dist")
    for tool, option in (("build_zipapp", "hud.pyz"), ("build_sbom", "hud.cdx.json")):
        archive = ["--archive", place / "hud.pyz"] if tool == "build_sbom" else []
        command = [sys.executable, ROOT / "tools" / tool, *archive, "--output", place / option]
        subprocess.run(command, check=True)
    return place


@pytest.fixture
def url(dist: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=dist)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/hud.pyz"
        server.shutdown()


def notes(dist: Path, url: str) -> str:
    command = [ROOT / "tools" / "release_notes", "--archive", dist / "hud.pyz", url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_workflow_is_one_and_safe() -> None:
    binaries = Path(sys.executable).parent
    schema = [binaries / "check-jsonschema", "--builtin-schema", "vendor.github-workflows"]
    subprocess.run([*schema, WORKFLOW], check=True)
    subprocess.run(
        [binaries / "zizmor", "--offline", "--persona", "pedantic", WORKFLOW], check=True
    )


def test_what_the_workflow_runs_is_there() -> None:
    named = set(re.findall(r"\btools/\w+", WORKFLOW.read_text()))
    assert named >= {"tools/build_release", "tools/release_notes"}
    assert all(os.access(ROOT / name, os.X_OK) for name in named)


def test_the_bill_names_every_wheel_and_crate(dist: Path) -> None:
    text = (dist / "hud.cdx.json").read_text()
    errors = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert errors is None, errors
    hashes = set(re.findall(r'"content": "(\w{64})"', text))
    wheels = (ROOT / "tools" / "zipapp.lock").read_text().split()[::2]
    crates = re.findall(
        r'checksum = "(\w+)"', (ROOT / "tests/targets/demo-server/Cargo.lock").read_text()
    )
    itself = hashlib.sha256((dist / "hud.pyz").read_bytes()).hexdigest()
    assert hashes == {*wheels, *crates, itself}


def test_one_command_fetches_and_checks_it(dist: Path, url: str, tmp_path: Path) -> None:
    command = re.search(r"```\n(.+?)\nsudo", notes(dist, url), re.DOTALL)
    assert command
    ran = subprocess.run(command[1], shell=True, cwd=tmp_path)
    assert ran.returncode == 0
    said = subprocess.run([tmp_path / "hud.pyz", "--version"], capture_output=True, text=True)
    assert re.fullmatch(r"hud \d+\.\d+\.\d+\n", said.stdout)
    assert str(tmp_path) not in said.stderr


def test_another_file_at_that_place_is_refused(dist: Path, url: str, tmp_path: Path) -> None:
    other = notes(dist, url).replace("/hud.pyz", "/hud.cdx.json")
    command = re.search(r"```\n(.+?)\nsudo", other, re.DOTALL)
    assert command
    ran = subprocess.run(command[1], shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr == "this is not the file that was released\n"
    assert not (tmp_path / "hud.pyz").exists()
