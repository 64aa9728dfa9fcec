"""Golden files: expected outputs that change only with ``--update-golden``, and are then read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hud.analysis.snapshot import Analyzer

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.analysis.recording import Recording
    from hud.analysis.results import Snapshot

_GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "export"


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
