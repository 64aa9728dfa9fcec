"""What a gate may say, and where it is wrong."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.errors import UsageError
from hud.gates.grammar import Gate, parse, pattern


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("max>50ms", Gate("", "max", "", "", False, 50_000_000, "ms")),
        ("max >= 1.5 s", Gate("", "max", "", "", True, 1_500_000_000, "s")),
        ("total>1%", Gate("", "total", "", "", False, 1, "%")),
        ("total>0.25%", Gate("", "total", "", "", False, 0.25, "%")),
        ("total>500us", Gate("", "total", "", "", False, 500_000, "us")),
        ("blockers>0", Gate("", "blockers", "", "", False, 0, "")),
        ("count(cause=lock)>10", Gate("", "count", "lock", "", False, 10, "")),
        (
            "count( function=<a as b>::*, cause=cpu ) >= 2",
            Gate("", "count", "cpu", "<a as b>::*", True, 2, ""),
        ),
    ],
)
def test_it_says(text: str, gate: Gate) -> None:
    assert parse(text) == gate._replace(text=text)


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", 0, "begins with max, total, blockers, count or worse"),
        ("worst>5ms", 0, "begins with max"),
        ("max", 3, "expected > or >="),
        ("max<5ms", 3, "expected > or >="),
        ("max>", 4, "expected a number"),
        ("max>-1ms", 4, "expected a number"),
        ("max>5", 5, "its unit is ns, us, ms or s"),
        ("max>5%", 5, "its unit is ns"),
        ("total>5m", 7, "its unit is %, ns, us, ms or s"),
        ("blockers>0%", 10, "without a unit"),
        ("blockers>0 or so", 11, "without a unit"),
        ("max>5ms!", 7, "nothing may follow"),
        ("count(cause=lok)>1", 6, "a cause is one of cpu, lock"),
        ("count(cause=lock,for=x)>1", 17, "cause=WORD or function=PATTERN"),
        ("count(function=)>1", 6, "expected a pattern"),
        ("count(cause=wait)>1", 6, "a cause is one of"),
        ("count(cause=lock>1", 5, "expected > or >="),
    ],
)
def test_an_error_points_at_the_character(text: str, at: int, says: str) -> None:
    with pytest.raises(UsageError, match="--fail-on") as caught:
        parse(text)
    assert says in str(caught.value)
    given_text, mark = caught.value.hint.split("\n")
    assert (given_text, mark) == (text, f"{' ' * at}^ here")


@given(st.text(max_size=30))
def test_any_text_is_a_gate_or_a_usage_error(text: str) -> None:
    for whole in (text, f"max{text}", f"count({text}>1", f"total>1{text}"):
        with suppress(UsageError):
            assert parse(whole).text == whole


def test_a_bound_is_exceeded_or_reached() -> None:
    over, reached = parse("count>2"), parse("count>=2")
    assert [over.exceeded(n) for n in (1, 2, 3)] == [False, False, True]
    assert [reached.exceeded(n) for n in (1, 2, 3)] == [False, True, True]


def test_a_star_is_any_text_and_nothing_else_is_special() -> None:
    assert pattern("a::*")("a::b::c")
    assert pattern("*::[u8; 4]>")("<x::[u8; 4]>")
    assert pattern("a.b")("~a.b"), "inferred"
    assert not pattern("a.b")("axb")
    assert not pattern("a::*")("b::a::c")
