"""Recordings to test with: ``build`` makes samples and stacks, ``sample_recording`` a whole run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.recording import Recording

_SOURCE = Path(__file__).parent.parent / "sample_recording.py"


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """tests/sample_recording.py as a module."""
    name = "hud_tests_sample_recording"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _SOURCE)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def sample_recording(build: ModuleType) -> Recording:
    """Thirty finished seconds of a service with four workers and six blockers."""
    recording: Recording = build.demo_recording()
    return recording
