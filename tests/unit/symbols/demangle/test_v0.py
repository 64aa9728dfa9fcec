"""Names of v0: vectors of the public grammar, broken ones, limits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.symbols.demangle.v0 import demangle_v0


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        # RFC 2603 and the rustc book's grammar
        ("_RNvC6_123foo3bar", "123foo::bar"),
        ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
        ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"),
        ("_RNCNvC7mycrate3foo0", "mycrate::foo::{closure#0}"),
        ("_RNCNvC7mycrate3foos_0", "mycrate::foo::{closure#1}"),
        ("_RNCNvC7mycrate3foos0_0", "mycrate::foo::{closure#2}"),
        ("_RNSNvC7mycrate3foo6vtable", "mycrate::foo::{shim:vtable#0}"),
        ("_RNKNvC7mycrate3foo0", "mycrate::foo::{K#0}"),
        ("_RNvNvC1a00", "a"),
        ("_RNvMC7mycrateNtB2_3Foo3bar", "<mycrate::Foo>::bar"),
        ("_RNvMs_C7mycrateNtB4_3Foo3bar", "<mycrate::Foo>::bar"),
        ("_RNvXC7mycrateNtB2_3FooNtB2_5Trait3bar", "<mycrate::Foo as mycrate::Trait>::bar"),
        ("_RNvYmNtC7mycrate5Trait3bar", "<u32 as mycrate::Trait>::bar"),
        ("_RINvC7mycrate3foolE", "mycrate::foo::<i32>"),
        ("_RINvC7mycrate3foolEC8consumer", "mycrate::foo::<i32>"),
        ("_RINvC1a1fINtC1b1VhEE", "a::f::<b::V<u8>>"),
        ("_RINvC1a1fTEE", "a::f::<()>"),
        ("_RINvC1a1fThEE", "a::f::<(u8,)>"),
        ("_RINvC1a1fTheEE", "a::f::<(u8, str)>"),
        ("_RINvC1a1fRShE", "a::f::<&[u8]>"),
        ("_RINvC1a1fQReE", "a::f::<&mut &str>"),
        ("_RINvC1a1fPhOzE", "a::f::<*const u8, *mut !>"),
        ("_RINvC1a1fAhj4_E", "a::f::<[u8; 4]>"),
        ("_RINvC1a1fRL_hE", "a::f::<&u8>"),
        ("_RINvC1a1fL_E", "a::f::<'_>"),
        ("_RINvC1a1fFG_RL0_hEuE", "a::f::<for<'a> fn(&'a u8)>"),
        ("_RINvC1a1fFhEmE", "a::f::<fn(u8) -> u32>"),
        ("_RINvC1a1fFUKChEuE", 'a::f::<unsafe extern "C" fn(u8)>'),
        ("_RINvC1a1fFK8fastcallEuE", 'a::f::<extern "fastcall" fn()>'),
        ("_RINvC1a1fFK14rust_intrinsicEuE", 'a::f::<extern "rust-intrinsic" fn()>'),
        ("_RINvC1a1fDNtC1b1TEL_E", "a::f::<dyn b::T>"),
        ("_RINvC1a1fDNtC1b1TNtC1b4SendEL_E", "a::f::<dyn b::T + b::Send>"),
        ("_RINvC1a1fDNtC1b1Tp4ItemhEL_E", "a::f::<dyn b::T<Item = u8>>"),
        ("_RINvC1a1fDINtC1b1TmEp4ItemhEL_E", "a::f::<dyn b::T<u32, Item = u8>>"),
        ("_RINvC1a1fDG_INtC1b1TRL0_hEEL_E", "a::f::<dyn for<'a> b::T<&'a u8>>"),
        ("_RINvC1a1fKj7b_E", "a::f::<123>"),
        ("_RINvC1a1fKin7b_E", "a::f::<-123>"),
        ("_RINvC1a1fKo123456789abcdef01_E", "a::f::<0x123456789abcdef01>"),
        ("_RINvC1a1fKb0_Kb1_E", "a::f::<false, true>"),
        ("_RINvC1a1fKc41_Kc27_Kca_E", "a::f::<'A', '\\'', '\\n'>"),
        ("_RINvC1a1fKpE", "a::f::<_>"),
        ("_RINvC1a1fKRe616263_E", 'a::f::<"abc">'),
        ("_RINvC1a1fKAh1_h2_EE", "a::f::<[1, 2]>"),
        ("_RINvC1a1fKTh1_b1_EE", "a::f::<(1, true)>"),
        ("_RINvC1a1fKVNtC1b1NUE", "a::f::<b::N>"),
        ("_RINvC1a1fKVNtC1b1PS1xh1_EE", "a::f::<b::P { x: 1 }>"),
        ("_RINvC1a1fNtC1b1TB7_E", "a::f::<b::T, b::T>"),
        # identifiers
        (
            "_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y",
            "utf8_idents::საჭმელად_გემრიელი_სადილი",
        ),
        ("_RNvC1au8gdel_5qa", "a::gödel"),
        ("_RNvC1a4_0abc", "a::0abc"),
        ("_RNvC1a4_0abcx", None),
        # suffixes
        ("_RNvC1a1f.llvm.123", "a::f"),
        ("_RNvC1a1f$got", "a::f"),
        ("__RNvC1a1f", "a::f"),
    ],
)  # fmt: skip
def test_v0(raw: str, name: str | None) -> None:
    assert demangle_v0(raw) == name


@pytest.mark.parametrize(
    "raw",
    [
        "_R",
        "_R0NvC1a1f",
        "_RNvC1a9f",
        "_RNvC1a",
        "_RNvB_1f",
        "_RINvC1a1fB99_E",
        "_RINvC1a1f",
        "_RINvC1a1fL0_E",
        "_RINvC1a1fAhq1_E",
        "_RINvC1a1fKcd800_E",
        "_RINvC1a1fFGzzzzzz_EuE",
        "_RNvC1a1fgarbage",
    ],
)
def test_broken_v0_names(raw: str) -> None:
    assert demangle_v0(raw) is None


def _backref(target: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    if target == 0:
        return "B_"
    value, text = target - 1, ""
    while True:
        value, digit = divmod(value, 62)
        text = digits[digit] + text
        if value == 0:
            return f"B{text}_"


@pytest.mark.parametrize(("levels", "works"), [(3, True), (40, False)])
def test_backrefs_cannot_explode(levels: int, works: bool) -> None:
    """Each tuple holds the one before it twice: 2 ** levels elements from a few bytes."""
    raw, previous = "INvC1a1f", "h"
    for _ in range(levels):
        at = len(raw)
        raw += f"T{previous}{previous}E"
        previous = _backref(at)
    found = demangle_v0(f"_R{raw}E")
    if works:
        assert found is not None
        assert found.endswith("(((u8, u8), (u8, u8)), ((u8, u8), (u8, u8)))>")
    else:
        assert found is None


def test_a_constant_may_be_one_that_was_there_before() -> None:
    assert demangle_v0("_RINvC1a1fKj1_KB8_E") == "a::f::<1, 1>"


def test_steps_are_bounded() -> None:
    """Short ones, too, whose output is no longer than it may be."""
    found = demangle_v0(f"_RINvC1a1f{'p' * 9_900}E")
    assert found is not None
    assert found.endswith("_, _>")
    assert demangle_v0(f"_RINvC1a1f{'p' * 20_000}E") is None


@pytest.mark.parametrize("letter", ["S", "R", "T", "NvNv", "M", "Y", "D", "F", "A"])
def test_depth_is_bounded(letter: str) -> None:
    assert demangle_v0("_RINvC1a1f" + letter * 20_000) is None


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="NMXYIBCvts_0123456789abhEKLGFUDTRAaSRpn", max_size=60))
def test_any_v0_name_ends(tail: str) -> None:
    found = demangle_v0(f"_R{tail}")
    assert found is None or isinstance(found, str)
