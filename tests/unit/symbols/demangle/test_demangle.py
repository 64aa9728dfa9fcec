"""Names of either kind, of neither, and any text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.symbols.demangle import demangle
from hud.symbols.demangle.v0 import OUTPUT_LIMIT

HASH = "17h0123456789abcdefE"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "_ZN",
        "_ZN3foo3barE",  # C++
        "_ZNSt6vectorIiE9push_backEOi",
        "_ZN3foo17h0123456789abcdeE",
        "_ZN3foo17h0123456789abcdeGE",
        f"_ZN9foo3bar{HASH}",
        f"_ZN3foo{HASH}x",
        f"_ZN{HASH}",
        "_ZN99999999999999999999foo17h0123456789abcdefE",
        "main",
        "memcpy@@GLIBC_2.14",
    ],
)
def test_what_is_not_rust_is_left_alone(raw: str) -> None:
    assert demangle(raw) is None


def test_generics_of_functions_can_be_left_out() -> None:
    raw = "_RINvMNtC1a1bINtB3_3VechE3newlE"
    assert demangle(raw) == "<a::b::Vec<u8>>::new::<i32>"
    assert demangle(raw, generics=False) == "<a::b::Vec<u8>>::new"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_any_name_ends(raw: str) -> None:
    for name in (raw, f"_ZN{raw}", f"_ZN{raw}{HASH}", f"_RNvC1a{raw}"):
        found = demangle(name)
        assert found is None or len(found) <= OUTPUT_LIMIT
