"""Derived code belongs to the function that called it, and every function to its handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hud.analysis.blame import blame
from hud.analysis.handlers import handler, is_derived
from hud.analysis.snapshot import Analyzer
from hud.model import Frame, Origin

if TYPE_CHECKING:
    from types import ModuleType

JSON = "serde_json 1.0.1"
SERIALIZE = "<shop::Order as serde_core::ser::Serialize>::serialize"
VISIT = "<<shop::Order as serde_core::de::Deserialize>::deserialize::__Visitor as serde_core::de::Visitor>::visit_map"  # noqa: E501


@pytest.mark.parametrize(
    ("name", "derived"),
    [
        (SERIALIZE, True),
        (VISIT, True),
        ("shop::_::<impl serde::ser::Serialize for shop::Order>::serialize", True),
        ("shop::<impl serde::Serialize for shop::Order>::serialize", True),
        ("<shop::Order as core::clone::Clone>::clone", True),
        ("<shop::Order as core::fmt::Debug>::fmt", True),
        ("<shop::Key as core::cmp::PartialEq>::eq", True),
        ("<shop::Pool as core::ops::drop::Drop>::drop", False),
        ("<shop::Order as core::fmt::Display>::fmt", False),
        ("<shop::Reader as serde_core::de::Deserializer>::deserialize_map", False),
        ("shop::serialize::Serialize::run", False),
        ("shop::handlers::report::{async fn}", False),
    ],
)
def test_what_a_derive_wrote(name: str, derived: bool) -> None:
    assert is_derived(name) is derived


def test_derived_code_is_blamed_on_who_called_it(build: ModuleType) -> None:
    """Rows of one handler that differ in the derive that was on top are one."""
    for inner in (SERIALIZE, "<shop::Line as core::clone::Clone>::clone"):
        at = blame(
            build.stack(
                build.dependency("serde_json::ser::format", JSON),
                build.user(inner, "src/model.rs", 17),
                build.dependency("serde_json::ser::to_vec", JSON),
                build.user("shop::report::{async fn}", "src/main.rs", 80),
            )
        )
        assert (at.function, at.where) == ("shop::report::{async fn}", "src/main.rs:80")
        assert at.operation == "serde_json::ser::to_vec"


def test_where_nothing_else_is_the_users_the_derive_is_blamed(build: ModuleType) -> None:
    at = blame(build.stack(build.dependency("serde_json::ser::format", JSON), build.user(VISIT)))
    assert at.function == VISIT


def test_a_hand_written_function_below_a_derive_is_blamed(build: ModuleType) -> None:
    at = blame(
        build.stack(build.user("shop::checksum"), build.user(VISIT), build.user("shop::load"))
    )
    assert at.function == "shop::checksum"


def test_the_handler_is_the_innermost_async_fn(build: ModuleType) -> None:
    frames = build.stack(
        build.dependency("bcrypt::hash", "bcrypt 0.17"),
        build.user("shop::auth::hash_password"),
        build.user("shop::login::{async fn}"),
        build.user("shop::serve::{async fn}"),
    ).frames
    assert handler(frames) == "shop::login::{async fn}"
    plain = build.stack(build.user("shop::step"), build.user("shop::run")).frames
    assert handler(plain) == "shop::run", "the outermost of its own where none is async"
    assert handler(build.stack(build.std("std::thread::sleep")).frames) == ""
    guess = Frame(1, "src/main.rs:9::{async}", origin=Origin.USER, inferred=True)
    assert handler((guess,)) == "~src/main.rs:9::{async}"


def test_a_row_has_the_handlers_that_called_it(build: ModuleType) -> None:
    recording = build.empty_recording()
    rows = {0x1: ("shop::login", 30), 0x2: ("shop::signup", 50)}
    for number, (key, (caller, length)) in enumerate(rows.items()):
        hashing = build.user("shop::hash"), build.user(f"{caller}::{{async fn}}")
        recording.add_stack(key, build.stack(*hashing))
        start = build.START_NS + number * build.SECOND
        tid, ns = build.TIDS[0], length * build.MS
        recording.add_samples([build.cpu(tid, start + ns, key, start), build.poll(tid, start, ns)])
    (row,) = Analyzer(recording).snapshot(build.START_NS + 3 * build.SECOND, False).blockers
    assert row.function == "shop::hash"
    assert row.handlers == (
        ("shop::signup::{async fn}", 50 * build.MS),
        ("shop::login::{async fn}", 30 * build.MS),
    )
    assert sum(ns for _, ns in row.handlers) == row.total_ns
