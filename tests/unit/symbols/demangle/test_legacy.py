"""Legacy names: vectors from real symbols."""

from __future__ import annotations

import pytest

from hud.symbols.demangle import demangle
from hud.symbols.demangle.legacy import demangle_legacy

HASH = "17h0123456789abcdefE"


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (f"_ZN3foo3bar{HASH}", "foo::bar"),
        (f"ZN3foo3bar{HASH}", "foo::bar"),
        (f"__ZN3foo3bar{HASH}", "foo::bar"),
        (f"_ZN3foo3bar{HASH}.llvm.544911205270237271", "foo::bar"),
        (f"_ZN3foo3bar{HASH}.cold", "foo::bar"),
        (
            f"_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt{HASH}",
            "<&T as core::fmt::Debug>::fmt",
        ),
        (
            f"_ZN11demo_server3run28_$u7b$$u7b$closure$u7d$$u7d${HASH}",
            "demo_server::run::{{closure}}",
        ),
        (f"_ZN1a36_$LP$A$C$$u20$$BP$mut$u20$B$RP$$SP$x1b{HASH}", "a::(A, *mut B)@x::b"),
        (f"_ZN1a7$u41$$Q1b{HASH}", "a::A$Q::b"),
        (f"_ZN1a4$u7$1b{HASH}", "a::$u7$::b"),
    ],
)
def test_legacy(raw: str, name: str) -> None:
    assert demangle_legacy(raw) == name
    assert demangle(raw) == name
