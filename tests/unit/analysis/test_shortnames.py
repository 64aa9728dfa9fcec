"""Names in a column: as long as there is room for, never two alike."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.analysis.shortnames import LEAST, cells, shorten

CALL = "<F as axum::handler::Handler<(M, T1), S>>::call"


@pytest.mark.parametrize(
    ("name", "room", "short"),
    [
        ("shop::handlers::hash_password", 40, "handlers::hash_password"),
        ("shop::api::handlers::hash_password", 23, "handlers::hash_password"),
        ("shop::handlers::hash_password", 14, "hash_password"),
        ("shop::connection::{async}", 19, "connection::{async}"),
        ("~shop::handlers::hash_password", 14, "~hash_password"),
        (CALL, 60, CALL),
        (CALL, 34, "<F as Handler<(M, T1), S>>::call"),
        (CALL, 20, "Handler::call"),
        (CALL, 8, "call"),
        ("<shop::Order as serde::Serialize>::serialize", 20, "Order::serialize"),
        ("shop::<impl serde::Serialize for shop::Order>::serialize", 20, "Order::serialize"),
        ("<&mut shop::Body as core::fmt::Debug>::fmt", 10, "Body::fmt"),
        ("std::sync::Mutex<T>::lock", 14, "Mutex<T>::lock"),
        ("std::sync::Mutex<T>::lock", 13, "Mutex::lock"),
        ("iter::map<F, fn(A) -> B>::next", 12, "map::next"),
        ("shop::parse::<u8>", 8, "parse"),
        ("a::Timed<x::X> | b::Timed<x::Y>", 18, "Timed | Timed"),
        ("a::Timed<x::X> | b::Timed<x::Y>", 8, "Timed |"),
        ("std::net::lookup ... libc::read", 14, "lookup ..."),
        ("src/api/handlers.rs", 12, "handlers.rs"),
        ("~src/api.rs:33 in axum's Handler::call", 38, "~src/api.rs:33 in axum's Handler::call"),
        ("~src/api.rs:33 in axum's Handler::call", 28, "~src/api.rs:33"),
        ("~src/api.rs:33 in axum's Handler::call", 12, "~api.rs:33"),
        ("shop::prices in axum's Handler::call", 13, "prices"),
        ("shop::a_function_that_is_long", 12, "a_func…_long"),
        ("", 8, ""),
    ],
)
def test_a_name_loses_what_says_least(name: str, room: int, short: str) -> None:
    assert shorten([name], room) == [short]


def test_inlined_handlers_keep_their_own_places() -> None:
    names = [f"~src/main.rs:{line} in axum's Handler::call" for line in (13, 25, 33)]
    assert shorten(names, 26) == ["~src/main.rs:13", "~src/main.rs:25", "~src/main.rs:33"]


def test_the_crate_goes_only_where_all_share_it() -> None:
    assert shorten(["shop::a::run", "shop::b"], 40) == ["a::run", "b"]
    assert shorten(["shop::a::run", "other::b"], 40) == ["shop::a::run", "other::b"]
    assert shorten(["shop::a::Cell<shop::Key>::get", "main"], 40) == ["a::Cell<Key>::get", "main"]
    assert shorten(["other::shop::run", "other::b"], 40) == ["shop::run", "b"]


def test_a_crate_that_says_whose_call_it_is_stays_where_there_is_room() -> None:
    assert shorten(["bcrypt::hash"], 12, keep_crate=True) == ["bcrypt::hash"]
    assert shorten(["bcrypt::hash"], 11, keep_crate=True) == ["hash"]


def test_what_tells_two_names_apart_stays_where_there_is_room() -> None:
    assert shorten(["shop::run", "run"], 9) == ["shop::run", "run"]
    assert shorten(["north::run", "south::run"], 10) == ["north::run", "south::run"]


def test_names_that_nothing_tells_apart_are_numbered_by_their_order() -> None:
    names = ["south::area::run", "north::area::run", "south::area::run"]
    assert shorten(names, 9) == ["run#2", "run#1", "run#2"]
    assert shorten(names[1:], 9) == ["run#1", "run#2"]


def test_a_number_is_none_that_a_name_has() -> None:
    assert shorten(["a::xxxxx::run", "b::xxxxx::run", "run#1"], 8) == ["run#2", "run#3", "run#1"]


def test_wide_letters_take_two_cells() -> None:
    assert shorten(["shop::数据::读取数据库"], 10) == ["读取数据库"]
    assert shorten(["shop::数据::读取数据库"], 9) == ["读取…据库"]


SEGMENT = st.one_of(
    st.sampled_from(["run", "poll", "{async}", "{closure}", "Timed<F>", "state", "Map<K, V>"]),
    st.sampled_from(["<T as a::Trait<B>>", "<a::X as b::Y>", "fetch_everything_at_once", "数据"]),
    st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
)
PATHS = st.lists(SEGMENT, min_size=1, max_size=6).map("::".join)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "M", "Z")), max_size=30)
NAMES = st.one_of(PATHS, PATHS.map("~{}".format), TEXTS, TEXTS.map("a::{}".format))


@given(st.lists(NAMES, max_size=30), st.integers(0, 60), st.sampled_from(["…", ".."]))
def test_whatever_the_names(names: list[str], room: int, ellipsis: str) -> None:
    short = shorten(names, room, ellipsis)
    assert len(short) == len(names)
    assert all(cells(text) <= max(room, LEAST) for text in short)
    assert all(text[0] == "~" for name, text in zip(names, short, strict=True) if name[:1] == "~")
    assert len(set(short)) == len(set(names))
    assert len(set(zip(names, short, strict=True))) == len(set(names))


@given(st.lists(PATHS, min_size=1, max_size=20), st.integers(0, 60), st.randoms())
def test_the_order_of_the_rows_changes_no_name(names: list[str], room: int, by: Random) -> None:
    before = dict(zip(names, shorten(names, room), strict=True))
    by.shuffle(names)
    assert dict(zip(names, shorten(names, room), strict=True)) == before


@given(st.lists(st.from_regex(r"[a-z]{1,8}(::[a-z]{1,8}){0,5}", fullmatch=True), max_size=20))
def test_a_last_segment_that_fits_is_whole(names: list[str]) -> None:
    for name, text in zip(names, shorten(names, 12), strict=True):
        assert text.partition("#")[0].rpartition("::")[2] == name.rpartition("::")[2]
