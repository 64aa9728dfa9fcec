"""Which closures and async bodies a function stands in, as the namespaces of a unit say."""

from __future__ import annotations

from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.reader import Dwarf
from tests.builders.elfbuild import TEXT, Die, Info
from tests.unit.symbols.dwarf.test_reader import RUST, dwarf, function, named, root

CLOSURE = "$u7b$$u7b$closure$u7d$$u7d$"
ONE = f"_ZN3app4ship28_{CLOSURE}E"
TWO = f"_ZN3app4ship28_{CLOSURE}28_{CLOSURE}E"
THREE = f"_ZN3app4ship28_{CLOSURE}28_{CLOSURE}28_{CLOSURE}E"


def space(name: str, *inside: Die) -> Die:
    return Die(dw.DW_TAG_NAMESPACE, named(name=name), inside)


def ship(*more: Die) -> Dwarf:
    """``async fn ship() { async { || 1 } }``, and what stands beside it."""
    block = space("{async_block#0}", function(16, 8, raw=THREE, name="{closure#0}<u8, a::B>"))
    body = space("{async_fn#0}", function(8, 8, raw=TWO, name="{async_block#0}"), block)
    inside = space("ship", function(0, 8, raw=ONE, name="{async_fn#0}"), body)
    info = Info()
    info.unit(root(space("app", inside), *more, language=RUST))
    return dwarf(info)


def names(found: Dwarf) -> list[str]:
    return [found.frames(TEXT + low)[0].name for low in (0, 8, 16)]


def test_a_body_says_what_is_around_it() -> None:
    assert names(ship()) == [
        "{async_fn#0}",
        "{async_fn#0}::{async_block#0}",
        "{async_fn#0}::{async_block#0}::{closure#0}",
    ]


def test_what_is_no_body_is_not_around_it() -> None:
    info = Info()
    method = function(0, 8, raw=TWO, name="{closure#1}")
    inside = space("{impl#0}", space("ship", space("{closure#0}", method)), space("{closure#9}"))
    info.unit(root(space("app", inside), language=RUST))
    assert dwarf(info).frames(TEXT)[0].name == "{closure#0}::{closure#1}"


def test_damage_behind_costs_nothing_before_it() -> None:
    far = Die(dw.DW_TAG_NAMESPACE, [(dw.DW_AT_NAME, 0x0E, 1 << 30)], [function(24, 8, raw="f")])
    found = ship(far)
    assert names(found)[2] == "{async_fn#0}::{async_block#0}::{closure#0}"
