"""Cells and cutting."""

from __future__ import annotations

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st

from hud.tui import text


@pytest.mark.parametrize(
    ("given_text", "width", "start", "end"),
    [
        ("api::login", 10, "api::login", "api::login"),
        ("api::login", 6, "api::…", "…login"),
        ("你好世界", 8, "你好世界", "你好世界"),
        ("你好世界", 6, "你好…", "…世界"),
        ("你好世界", 2, "…", "…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…", "…e\u0301"),
        ("abc", 0, "", ""),
    ],
)
def test_cutting(given_text: str, width: int, start: str, end: str) -> None:
    assert text.cut(given_text, width) == start
    assert text.cut_left(given_text, width) == end


def test_an_inferred_name_says_so_however_short() -> None:
    assert text.name("api::login", True, 20) == "~api::login"
    assert text.name("api::login", True, 6) == "~…ogin"
    assert text.name("api::login", True, 1) == "~"
    assert text.name("api::login", False, 6) == "…login"


@given(st.text(max_size=40), st.integers(0, 50), st.sampled_from(["…", ".."]))
def test_what_is_cut_fits_and_what_is_padded_fills(raw: str, width: int, mark: str) -> None:
    cleaned = text.clean(raw)
    for part in (text.cut(cleaned, width, mark), text.cut_left(cleaned, width, mark)):
        assert text.cells(part) <= width
        assert text.cells(text.pad(part, width)) == width
        assert text.clean(part) == part


@given(st.text(max_size=60))
def test_clean_text_has_one_width_on_every_terminal(raw: str) -> None:
    cleaned = text.clean(raw)
    assert cleaned.isprintable()
    assert text.cells(cleaned) == wcwidth.wcswidth(cleaned)
    assert text.clean(cleaned) == cleaned


def test_the_widths_agree_with_wcwidth_for_every_character() -> None:
    wrong = []
    for code in range(0x110000):
        cleaned = text.clean.__wrapped__(chr(code))
        if text.cells(cleaned) != sum(map(wcwidth.wcwidth, cleaned)):
            wrong.append(hex(code))
    assert wrong == []


def test_heaps_of_marks_are_cut_down() -> None:
    assert text.clean("\u0301a" + "\u0301" * 30 + "b") == "a\u0301\u0301b"


def test_disputed_characters_are_spelled_out() -> None:
    assert text.clean("🇩🇪") == "\\u1f1e9\\u1f1ea"
    assert text.clean("❤\ufe0f") == "❤"
    assert "\x1b" not in text.clean("\x1b[2J\u202e\u200d")
