"""CPU lists of sysfs."""

from __future__ import annotations

import pytest

from hud.errors import FormatError
from hud.kernel import cpus


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0\n", (0,)), ("0-3\n", (0, 1, 2, 3)), ("0,2-3,8", (0, 2, 3, 8)), ("1,0-1", (0, 1))],
)
def test_lists(text, numbers):
    assert cpus.parse_list(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "3-1", "0-", "-1", "0,,1", "0-99999999", "²"])
def test_senseless_lists(text):
    with pytest.raises(FormatError, match="cpu list"):
        cpus.parse_list(text)


def test_sysfs(tmp_path):
    (tmp_path / "online").write_text("0,2\n")
    (tmp_path / "possible").write_text("0-3\n")
    assert cpus.online(tmp_path) == (0, 2)
    assert cpus.possible(tmp_path) == (0, 1, 2, 3)
