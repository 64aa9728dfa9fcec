"""The table of keys."""

from __future__ import annotations

from hud.tui import keys
from hud.tui.actions import Act, Show, Typed
from hud.tui.keys import BINDINGS
from hud.tui.views.table import TABS


def test_no_key_means_two_things_in_one_place() -> None:
    meanings: dict[tuple[str, str], set[Act | Show]] = {}
    for row in BINDINGS:
        for scope in row.scopes:
            for key in row.keys:
                meanings.setdefault((scope, key), set()).add(row.act)
    assert [place for place, acts in meanings.items() if len(acts) > 1] == []


def test_every_act_has_a_key_and_a_help_line() -> None:
    every = {*Act, *(Show(view.name) for view in TABS)}
    assert {row.act for row in BINDINGS} == every
    helped = {row.act for row in BINDINGS if row.help}
    assert {act for act in every if not isinstance(act, Show)} <= helped
    assert [shown for shown, what, _ in keys.help_rows() if "go to a view" in what] == [
        f"1-{len(TABS)}"
    ]


def test_typed_takes_single_printable_characters_only() -> None:
    assert keys.action("ä", "search") == Typed("ä")
    assert keys.action("delete", "search") is None
    assert keys.action("x", "blockers") is None
