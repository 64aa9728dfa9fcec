"""What is said of frames that tail calls removed, and which of them count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.analysis.tails import counts, remark

if TYPE_CHECKING:
    from types import ModuleType


def test_remarks(build: ModuleType) -> None:
    nap = build.user("app::nap")
    recovered = replace(nap, recovered=True)
    assert [remark(one) for one in (nap, recovered, replace(recovered, gap=True))] == [
        "",
        "(tail call)",
        "(via)",
    ]


def test_those_without_a_name_do_not_count(build: ModuleType) -> None:
    nameless = build.unnamed()
    recovered = replace(nameless, recovered=True)
    assert [counts(one) for one in (nameless, recovered, build.user("f"))] == [True, False, True]
