"""Real targets for the tests of this folder, which may ``import targets``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import targets

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def build_target(need: Callable[[object, str], None]) -> Callable[..., Path]:
    """``targets.build``, for tests that cannot go on without cargo."""
    need(targets.cargo_at_hand(), "cargo")
    return targets.build


@pytest.fixture(scope="session")
def prebuilt_demo(need: Callable[[object, str], None]) -> Path:
    """The demo server as hud ships it."""
    path = targets.ROOT / "prebuilt" / "demo-server-x86_64"
    need(path.exists(), "prebuilt/demo-server-x86_64 (tools/build_demo)")
    return path
