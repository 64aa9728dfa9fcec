"""How often Python looks for garbage while hud works."""

from __future__ import annotations

import gc

import pytest

from hud import cli
from hud.garbage import COLLECT, rare_collections


def test_rarely_and_never_among_what_was_there() -> None:
    before = gc.get_threshold()
    gc.unfreeze()
    with rare_collections():
        assert gc.get_threshold() == COLLECT
        assert gc.get_freeze_count() > 1000
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_from_the_start_of_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    met = []
    monkeypatch.setattr(cli, "_dispatch", lambda _: met.append(gc.get_threshold()) or 0)
    assert cli.main([]) == 0
    assert met == [COLLECT]
    assert gc.get_threshold() != COLLECT
