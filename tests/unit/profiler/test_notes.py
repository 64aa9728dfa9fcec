"""Sentences for the user: each once, and all of them again when one changes."""

from __future__ import annotations

from hud.profiler.notes import Notes


def test_each_once_in_their_order() -> None:
    notes = Notes()
    notes.add("b", "a")
    notes.add("b")
    assert list(notes) == ["b", "a"]


def test_all_are_given_when_one_changes() -> None:
    notes = Notes()
    assert notes.new() is None
    notes.add("a")
    notes.add("b")
    assert notes.new() == ("a", "b")
    notes.add("a")
    assert notes.new() is None
    notes.replace("a", "c")
    assert notes.new() == ("b", "c")
    notes.replace("c", "")
    notes.replace("never there", "")
    assert notes.new() == ("b",)
    notes.replace("b", "")
    assert notes.new() == ()
