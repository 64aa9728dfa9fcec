"""How far up in its file a function without a symbol is said to reach."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from hud.symbols.elf.file import ElfFile
from hud.symbols.inference.inferred import FAR, GAP, first_line
from hud.symbols.inference.locations import Locations

DEMO = Path(__file__).resolve().parents[4] / "prebuilt" / "demo-server-x86_64"


@pytest.mark.parametrize(
    ("own", "others", "first"),
    [
        ({100, 300}, set(), 300),
        ({300 - FAR, 300}, set(), 300 - FAR),
        ({299 - FAR, 300}, set(), 300),
        ({300 - FAR, 300}, {250}, 300),
        ({200, 300}, {310, 190}, 200),
        ({300 - GAP, 300}, {299}, 300 - GAP),
        ({299 - GAP, 300}, {299}, 300),
        ({200, 250, 300, 340}, {220}, 250),
    ],
)
def test_a_function_ends_where_another_has_lines(
    own: set[int], others: set[int], first: int
) -> None:
    assert first_line(300, own, sorted(own | others)) == first


def test_a_file_whose_lines_are_not_known() -> None:
    """As where its locations cannot be listed."""
    assert first_line(300, {300 - GAP, 299 - 2 * GAP, 300}, ()) == 300 - GAP


def test_the_lines_of_all_locations() -> None:
    """One by one, and all at once."""
    with DEMO.open("rb") as file, ElfFile(file.fileno(), "demo") as elf:
        locations = Locations(elf)
        found: defaultdict[str, set[int]] = defaultdict(set)
        for _, one in locations.all():
            found[one.path].add(one.line)
        assert found["src/main.rs"]
        assert locations.lines() == {path: sorted(lines) for path, lines in found.items()}
        assert locations.paths() == found.keys()
