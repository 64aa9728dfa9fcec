"""Rows of one run that are the same code, and their time in blocks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hud.analysis.comparison.sides import FEWEST_BLOCKS, nothing, plain, side, sides
from tests.builders.services import Blocks, run

A, B = "api::a", "api::b"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("api::login", "api::login"),
        ("~api::login", "api::login"),
        ("api::login#2", "api::login"),
        ("api::login::h0123456789abcdef", "api::login"),
        ("api::Pool<alloc::sync::Arc<T>>::get", "api::Pool::get"),
        ("api::get::<u8>", "api::get"),
        ("<F as axum::handler::Handler<(M, T), S>>::call", "<F as axum::handler::Handler>::call"),
        ("<api::Row<u8> as core::clone::Clone>::clone", "<api::Row as core::clone::Clone>::clone"),
        ("a < b", "a < b"),
        ("<", "<"),
    ],
)
def test_plain_name(function: str, expected: str) -> None:
    assert plain(function) == expected


def test_rows_of_one_plain_name_are_one_side() -> None:
    snapshot = run({A: Blocks(8, 20), B: Blocks(2, 60)}, seed=1)
    one, other = (replace(row, function=f"api::a#{n}") for n, row in enumerate(snapshot.blockers))
    ((name, both),) = sides(replace(snapshot, blockers=(one, other))).items()
    assert name == A
    assert both.episodes == one.count + other.count
    assert both.share == pytest.approx(snapshot.share(one) + snapshot.share(other))
    assert sum(both.durations) == both.episodes


def test_the_blocks_have_its_share() -> None:
    snapshot = run({A: Blocks(20, 10)}, seed=3)
    of = side(list(snapshot.blockers), snapshot)
    assert of.blocks
    assert of.blocks.number == (20 * 10**9 - 1) // snapshot.slices.length_ns
    assert 0.9 * of.blocks.number <= of.blocks.touched <= of.blocks.number
    assert of.blocks.shares.mean == pytest.approx(of.share, rel=0.05)


def test_long_episodes_have_long_blocks_or_none() -> None:
    snapshot = run({A: Blocks(0.5, 400)}, seed=3)
    of = side(list(snapshot.blockers), snapshot)
    assert of.blocks
    assert FEWEST_BLOCKS <= of.blocks.number < 20 * 10**9 // snapshot.slices.length_ns
    short = run({A: Blocks(1, 400)}, seed=3, seconds=4)
    assert side(list(short.blockers), short).blocks is None


def test_a_run_without_it_has_as_many_blocks() -> None:
    snapshot = run({A: Blocks(0.5, 400)}, seed=3)
    of = side(list(snapshot.blockers), snapshot)
    empty = nothing(run({B: Blocks(5, 10)}, seed=4), of.durations)
    assert of.blocks
    assert empty
    assert (empty.number, empty.touched, empty.shares.mean) == (of.blocks.number, 0, 0.0)
