"""Whose code a method of a trait is, by its symbol."""

from __future__ import annotations

import pytest

from hud.symbols.demangle import demangle
from hud.symbols.implementors import code_crate


@pytest.mark.parametrize(
    ("raw", "crate"),
    [
        ("_RNvXC7mycrateNtC5other3FooNtC3std5Trait3bar", "mycrate"),
        ("_RNvXs_C7mycrateNtB4_3FooNtC3std5Trait3bar", "mycrate"),
        ("_RNvXNtC7mycrate6moduleNtC5other3FooNtC3std5Trait3bar", "mycrate"),
        ("_RNvMC7mycrateNtB2_3Foo3bar", "mycrate"),
        ("_RNvC7mycrate3foo", "mycrate"),
        ("_RNvCs1234_7mycrate3foo", "mycrate"),
        ("_RNvYmNtC7mycrate5Trait3bar", ""),  # the trait's own method, of any type
        ("_RNvC99mycrate", ""),
        ("memcpy", ""),
    ],
)
def test_v0(raw: str, crate: str) -> None:
    assert code_crate(raw, demangle(raw) or "") == crate


@pytest.mark.parametrize(
    ("name", "crate"),
    [
        ("serde_json::de::<impl core::fmt::Debug for a::B>::fmt", "serde_json"),
        ("<a::B as c::D>::e", ""),
        ("a::b::c", ""),
    ],
)
def test_legacy_names_say_it_where_it_is_neither_the_types_nor_the_traits(
    name: str, crate: str
) -> None:
    assert code_crate("_ZN3foo3bar17h0123456789abcdefE", name) == crate
