"""Recordings to test with: ``build`` makes samples and stacks, ``sample_recording`` a whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import sample_recording as builder

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.recording import Recording


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """tests/builders/sample_recording.py."""
    return builder


@pytest.fixture
def sample_recording(build: ModuleType) -> Recording:
    """Thirty finished seconds of a service with four workers and six blockers."""
    recording: Recording = build.demo_recording()
    return recording
