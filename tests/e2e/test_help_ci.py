"""The examples of `hud help ci`, run: all but the services themselves, and what builds the target.

The steps are those of the page. In its place stand the demo server for the service, a load for
its load, and seconds for the minute.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as Xml

import program
import pytest
import targets

from hud.commands import help as topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e

NOT_RUN = ("cargo build", "pip install")
SERVER = """#!/bin/sh
exec {place}/{name} --port 0 --workers 2 --seconds 60 --dir {place} > {place}/port
"""
LOAD = """#!{python}
import pathlib, sys
sys.path.insert(0, {root!r})
from hud.demo import load
port = int(pathlib.Path({place!r}, "port").read_text().rpartition(":")[2])
load.drive(port, load.LoadCounters(), seconds=60, paths=("/", "/sleep"))
"""
SUDO = """#!/bin/sh
exec env -u GITHUB_ACTIONS -u GITHUB_STEP_SUMMARY -u GITHUB_WORKSPACE "$@"
"""
"""Where there is none: without the variables that it drops."""


def example(service: str) -> Any:
    """The YAML under a heading of the page."""
    from ruamel.yaml import YAML

    section = topics.text("ci").partition(f"\n## {service}\n")[2].partition("\n## ")[0]
    block = re.findall(r"^    .*$", section, re.MULTILINE)
    return YAML(typ="safe").load("\n".join(line[4:] for line in block))


class Project:
    """A checkout in which the steps run, as the service would run them."""

    def __init__(self, place: Path, binary: Path) -> None:
        self.place = place
        self.page = place / "page.md"
        self._name = f"app{os.getpid()}"
        self._groups: list[int] = []
        sources = targets.CRATES / "demo-server" / "src"
        shutil.copytree(sources, place / "src")
        (place / "hud.txt").write_text("# nothing may block\n")
        (place / "server").mkdir()
        shutil.copy2(binary, place / "server" / self._name)
        self._script(
            f"target/release/{self._name}", SERVER.format(place=place / "server", name=self._name)
        )
        self._script(
            "load.sh",
            LOAD.format(python=sys.executable, root=str(targets.ROOT), place=str(place / "server")),
        )
        self._script(
            "bin/hud", f'#!/bin/sh\nPYTHONPATH={targets.ROOT} exec {sys.executable} -m hud "$@"\n'
        )
        if shutil.which("sudo") is None:
            self._script("bin/sudo", SUDO)

    def _script(self, name: str, text: str) -> None:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def step(self, command: str, **environment: str) -> tuple[int, str]:
        """Exit code and what it said; what it leaves running goes on."""
        command = command.replace("my-app", self._name).replace("60s", "2s")
        said = self.place / "said"
        with (
            said.open("w") as out,
            subprocess.Popen(
                ["bash", "-e", "-c", command],
                cwd=self.place,
                env=program.environment(
                    PATH=f"{self.place}/bin:{os.environ['PATH']}", **environment
                ),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            self._groups.append(process.pid)
            code = process.wait(60)
        return code, said.read_text()

    def end(self) -> None:
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


@pytest.fixture
def project(
    tmp_path: Path, build_target: Callable[..., Path], need: Callable[[object, str], None]
) -> Iterator[Project]:
    need(find_spec("ruamel"), "ruamel.yaml (of check-jsonschema)")
    made = Project(tmp_path, build_target("demo-server", debug=2))
    yield made
    made.end()


def test_github(project: Project) -> None:
    steps = [
        one["run"] for one in example("GitHub Actions")["jobs"]["blocking"]["steps"] if "run" in one
    ]
    variables = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(project.place),
        "GITHUB_STEP_SUMMARY": str(project.page),
    }
    run = [one for one in steps if not one.startswith(NOT_RUN)]
    done = {one: project.step(one, **variables) for one in run}
    codes = {one: code for one, (code, _) in done.items() if code}
    (gate,) = codes
    assert codes == {gate: 1}, done
    said = done[gate][1]
    found = re.search(
        r"^::error file=(src/\w+\.rs),line=(\d+),title=hud%3A max>10ms failed::", said, re.MULTILINE
    )
    assert found, said
    line = (targets.CRATES / "demo-server" / found[1]).read_text().splitlines()[int(found[2]) - 1]
    assert "sleep(" in line
    assert "| `max>10ms` | failed |" in project.page.read_text()
    (sarif,) = json.loads((project.place / "run.sarif").read_text())["runs"]
    places = [one["locations"][0]["physicalLocation"] for one in sarif["results"]]
    assert {"artifactLocation": {"uri": found[1]}, "region": {"startLine": int(found[2])}} in places


def test_gitlab(project: Project) -> None:
    script = example("GitLab")["blocking"]["script"]
    *before, gate = [one for one in script if not one.startswith(NOT_RUN)]
    for one in before:
        assert project.step(one)[0] == 0
    code, said = project.step(gate, CI_PROJECT_DIR=str(project.place), GITHUB_ACTIONS="")
    assert code == 1, said
    (case,) = Xml.parse(project.place / "hud.xml").getroot().iter("testcase")
    assert case.get("name") == "max>10ms"
    failure = case.find("failure")
    assert failure is not None
    assert "(sleep in std::thread::sleep)" in failure.get("message", "")
    assert (project.place / "run.hud").stat().st_size > 0


@pytest.mark.parametrize(
    ("service", "schema"), [("GitHub Actions", "github-workflows"), ("GitLab", "gitlab-ci")]
)
def test_the_service_would_take_it(
    service: str, schema: str, tmp_path: Path, need: Callable[[object, str], None]
) -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    need(checker.exists(), "check-jsonschema")
    path = tmp_path / "example.json"
    path.write_text(json.dumps(example(service)))
    command = [checker, "--builtin-schema", f"vendor.{schema}", path]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
