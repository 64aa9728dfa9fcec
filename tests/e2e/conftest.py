"""Real targets for the tests of this folder, which may ``import targets``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import program
import targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The tests that need a target come last: it may still be in the making."""

    def builds(item: pytest.Item) -> bool:
        return "build_target" in getattr(item, "fixturenames", ())

    items.sort(key=builds)
    if config.getoption("--build-only"):
        items[:] = filter(builds, items)


@pytest.fixture(scope="session")
def build_target(
    need: Callable[[object, str], None], pytestconfig: pytest.Config
) -> Callable[..., Path]:
    """``targets.build``, for tests that cannot go on without cargo."""
    need(targets.cargo_at_hand(), "cargo")
    if not pytestconfig.getoption("--build-only"):
        return targets.build

    def built(*crate: Any, **settings: Any) -> Path:
        targets.build(*crate, **settings)
        pytest.skip("built")

    return built


@pytest.fixture(scope="session")
def prebuilt_demo(need: Callable[[object, str], None]) -> Path:
    """The demo server as hud ships it."""
    path = targets.ROOT / "prebuilt" / "demo-server-x86_64"
    need(path.exists(), "prebuilt/demo-server-x86_64 (tools/build_demo)")
    return path


@pytest.fixture(scope="module")
def server(prebuilt_demo: Path) -> Iterator[targets.Running]:
    """The demo server under load, for the tests of one file that leave it alive."""
    with (
        targets.demo_server(prebuilt_demo, "--workers", "2") as running,
        program.load(running.port, seconds=120),
    ):
        yield running


@pytest.fixture(scope="session")
def for_anyone(need: Callable[[object, str], None]) -> Iterator[list[str]]:
    """hud as a command that any user may run: its own copy, for the tree may be private."""
    need(shutil.which("setpriv"), "setpriv")
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        place.chmod(0o755)
        copied = shutil.copytree(targets.ROOT / "hud", place / "hud")
        shutil.copytree(targets.ROOT / "prebuilt", place / "prebuilt")
        for package in ("msgspec", "elftools", "pyroute2", "blessed", "wcwidth", "capstone"):
            found = next(
                (Path(p) / package for p in sys.path if (Path(p) / package).is_dir()), None
            )
            if found is not None:
                shutil.copytree(found, place / package)
        subprocess.run(["chmod", "-R", "a+rX", copied.parent], check=True)
        base = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
        yield [*program.NOBODY, "env", f"PYTHONPATH={place}", base, "-m", "hud"]
