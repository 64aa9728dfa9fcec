"""Names of any length fit a table."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hud.symbols.module import RawFrame
from hud.symbols.names import describe
from hud.symbols.shorten import LONGEST, fitting


def test_what_is_deep_inside_goes_first() -> None:
    deep = "a::B<" * 5 + "u8" + ">" * 5
    name = f"<app::Map<{deep * 40}, F> as core::future::future::Future>::poll"
    assert fitting(name) == "<app::Map<..> as core::future::future::Future>::poll"
    assert fitting("app::run::{async}") == "app::run::{async}"


def test_the_last_segments_stay() -> None:
    name = "::".join(f"module_{number}" for number in range(60)) + "::last::{async fn}"
    short = fitting(name)
    assert len(short) <= LONGEST
    assert short.startswith("..::module_")
    assert short.endswith("::module_59::last::{async fn}")


def test_the_raw_symbol_is_whole() -> None:
    part = "a" * 500
    raw = f"_ZN{len(part)}{part}{len(part)}{part}17h0123456789abcdefE"
    (frame,) = describe("app", 0x1000, [RawFrame(raw, "", "", 0, False, 0x1000, 0x80)], {})
    assert frame.raw == raw
    assert len(frame.function) <= LONGEST


@given(st.text(alphabet="ab<>:-, {}", max_size=3_000))
def test_any_name_fits(name: str) -> None:
    assert len(fitting(name)) <= LONGEST
