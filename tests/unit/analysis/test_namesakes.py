"""Functions of one name have numbers, whatever the order in which they come and go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hud.analysis.namesakes import Namesakes

NAMES = st.sampled_from(["call", "load", "call::{async}"])
STEPS = st.lists(st.tuples(st.integers(0, 6), st.none() | NAMES), max_size=30)


def _key(number: int) -> tuple[str, str, str]:
    return "call", "", f"_ZN{number}"


@given(STEPS)
def test_numbers_follow_the_keys_of_those_that_are_there(
    steps: list[tuple[int, str | None]],
) -> None:
    names, there, shown = Namesakes(), {}, {}
    for number, name in steps:
        if name is None:
            names.forget(_key(number))
            there.pop(number, None)
        else:
            names.name(_key(number), name)
            there[number] = name
            shown[number] = names.shown(_key(number))
        for _, _, symbol in names.renumbered():
            changed = int(symbol[3:])
            shown[changed] = names.shown(_key(changed))
    for name in set(there.values()):
        same = sorted(number for number in there if there[number] == name)
        wanted = [name] if len(same) == 1 else [f"{name}#{at}" for at in range(1, len(same) + 1)]
        assert [shown[number] for number in same] == wanted


def test_nothing_is_left_of_those_that_went() -> None:
    names = Namesakes()
    for number in range(3):
        names.name(_key(number), "call")
    for number in range(3):
        names.forget(_key(number))
    assert names.renumbered() == []
    assert not (names._keys or names._names or names._numbers)
