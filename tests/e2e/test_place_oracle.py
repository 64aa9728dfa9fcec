"""Places without debug info against the debug info: told for most, and hardly ever wrong."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import place_oracle
import pytest
import targets

from hud.model import Precision

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Need = Callable[[object, str], None]


@pytest.mark.e2e
@pytest.mark.parametrize("config", [(), targets.LTO], ids=["release", "lto"])
def test_places_without_debug_info(
    config: tuple[str, ...], build_target: Callable[..., Path], need: Need
) -> None:
    need(place_oracle.symbolizer(), "llvm-symbolizer")
    need(shutil.which("strip"), "binutils")
    path = build_target("zoo", debug=2, config=config)
    found = place_oracle.score(path)
    told, wrong = found.told.total(), found.wrong.total()
    assert found.calls > 500
    assert told >= 0.7 * found.calls
    assert wrong <= 0.02 * told, found.wrongs
    assert found.told[Precision.DEFINITION] > 0.2 * told
    assert found.wrong[Precision.DEFINITION] == 0, found.wrongs
    assert found.false <= 0.02 * told, found.wrongs
