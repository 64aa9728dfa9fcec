"""Tokio versions as values."""

from __future__ import annotations

import pytest

from hud.runtime.versions import minor_between, parse_version, version_text


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.54.1", (1, 54, 1)),
        ("v1.20.0", (1, 20, 0)),
        ("1.9", (1, 9, 0)),
        ("1.54.1-rc.1", (1, 54, 1)),
        ("1.54.1+meta", (1, 54, 1)),
        ("1", None),
        ("", None),
        ("tokio", None),
        ("1.2.3.4", None),
        ("1.9999999999.0", None),
    ],
)
def test_parse(text: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == version


def test_versions_compare_as_numbers() -> None:
    assert minor_between((1, 9, 3), (1, 9), (1, 54))
    assert minor_between((1, 54, 99), (1, 9), (1, 54))
    assert not minor_between((1, 100, 0), (1, 9), (1, 54))
    assert version_text((1, 54, 1)) == "1.54.1"
