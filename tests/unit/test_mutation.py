"""``tools/mutation.py`` changes what a program does, one thing at a time."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

SOURCE = b'''"""A module."""
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from os import path
LIMIT: int = 7

def f(a: int, b: int = 2) -> bool:
    """Says ``a < b``."""
    if a < 10 and not b:  # \xc3\xa9
        print(f"{a + 1}")
        raise ValueError("a")
    a += 3
    return a == b
'''


@pytest.fixture(scope="module")
def mutation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutation", ROOT / "tools" / "mutation.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_of_a_small_program(mutation: ModuleType) -> None:
    found = [(one.line, one.what) for one in mutation.mutants(SOURCE)]
    assert sorted(found) == [
        (9, "compare: a <= 10"),
        (9, "condition negated"),
        (9, "constant: 11"),
        (9, "negation removed"),
        (9, "operator: a < 10 or not b"),
        (10, "removed: print(f'{a + 1}')"),
        (11, "removed: raise ValueError('a')"),
        (12, "constant: 4"),
        (12, "removed: a += 3"),
        (13, "compare: a != b"),
        (13, "returns None"),
    ]


def test_each_is_a_program_that_differs_in_its_line_only(mutation: ModuleType) -> None:
    before = SOURCE.splitlines()
    for one in mutation.mutants(SOURCE):
        changed = one.applied(SOURCE)
        compile(changed, "changed", "exec")
        after = changed.splitlines()
        assert len(after) == len(before)
        differ = [
            at for at, pair in enumerate(zip(before, after, strict=True), 1) if len({*pair}) == 2
        ]
        assert differ == [one.line]
