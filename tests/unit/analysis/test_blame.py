"""Which frame of a stack is blamed, and what it had called."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis.blame import NO_STACK, NOT_RESOLVED, Blames, blame, short_place, user_part
from hud.model import Frame, Origin, Precision, Stack

if TYPE_CHECKING:
    from types import ModuleType


def test_user_frame_with_the_library_call_below_it(build: ModuleType) -> None:
    at = blame(build.STACKS[build.HASH])
    assert (at.function, at.where, at.line) == ("api::login::hash_password", "src/login.rs:88", 88)
    assert at.file == "/home/me/demo-server/src/login.rs"
    assert (at.operation, at.origin) == ("bcrypt::hash", Origin.USER)


def test_std_plumbing_is_skipped_on_the_way_to_the_library(build: ModuleType) -> None:
    stack = build.stack(
        build.dependency("flate2::zio::write", "flate2 1.0.0"),
        build.dependency("flate2::write::GzEncoder<W>::finish", "flate2 1.0.0"),
        build.std("core::ops::function::FnOnce::call_once"),
        build.std("std::panicking::try"),
        build.std("std::panic::catch_unwind"),
        build.user("app::zip"),
    )
    assert blame(stack).operation == "flate2::write::GzEncoder<W>::finish"
    only = build.stack(build.std("core::iter::traits::Iterator::sum"), build.user("app::add"))
    assert blame(only).operation == "core::iter::traits::Iterator::sum"
    assert blame(build.stack(build.user("app::spin"))).operation == ""


def test_without_user_frames_the_innermost_dependency(build: ModuleType) -> None:
    stack = build.stack(
        build.c("memcpy"),
        build.std("alloc::vec::Vec<T>::push"),
        build.dependency("serde_json::de::parse", "serde_json 1.0.0"),
        build.dependency("axum::handler", "axum 0.7.0"),
    )
    at = blame(stack)
    assert (at.function, at.operation) == ("serde_json::de::parse", "alloc::vec::Vec<T>::push")


def test_nothing_named_is_module_and_offset(build: ModuleType) -> None:
    library = build.unnamed("/usr/lib/libz.so.1.3", 0x99)
    own = build.unnamed(offset=0x1234)
    assert blame(build.stack(library, own, outer=())).function == "demo-server+0x1234"
    assert blame(build.stack(library, outer=())).function == "libz.so.1.3+0x99"
    assert blame(build.stack(build.c("memcpy"), own, outer=())).function == "demo-server+0x1234"
    assert blame(build.stack(build.c("memcpy"), library, outer=())).function == "memcpy"


def test_no_stack_and_no_names_are_told_apart() -> None:
    stacks = {5: Stack(addresses=(1,), complete=True)}
    blames = Blames(stacks)
    assert blames.of(0) is NO_STACK
    assert blames.of(5) is NOT_RESOLVED
    assert blames.of(6) is NOT_RESOLVED
    assert blame(Stack(addresses=(), complete=False, frames=())) is NO_STACK


def test_names_that_come_later_are_seen(build: ModuleType) -> None:
    stacks = {5: Stack(addresses=(1,), complete=True)}
    blames = Blames(stacks)
    assert blames.of(5) is NOT_RESOLVED
    stacks[5] = build.stack(build.user("a::b"))
    assert blames.forget(5) is NOT_RESOLVED
    assert blames.of(5).function == "a::b"
    stacks[5] = build.stack(build.user("a::c"))
    assert blames.forget(5).function == "a::b"
    assert blames.of(5).function == "a::c"


def test_a_parked_or_idle_worker_has_no_user_part(build: ModuleType) -> None:
    assert user_part(build.STACKS[build.HASH]) == "api::login::hash_password"
    assert user_part(build.STACKS[build.HASH_DEEPER]) == "api::login::hash_password"
    assert user_part(build.stack(build.c("epoll_wait"), build.std("std::sync::Condvar"))) is None


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        ("/home/me/api/src/login.rs", 88, "src/login.rs:88"),
        ("/home/me/src/api/src/a/b.rs", 1, "src/a/b.rs:1"),
        ("/w/crates/store/lib/store.rs", 3, "lib/store.rs:3"),
        ("main.rs", 7, "main.rs:7"),
        ("src/main.rs", 0, "src/main.rs"),
        ("", 5, ""),
    ],
)
def test_short_place(file: str, line: int, expected: str) -> None:
    assert short_place(file, line) == expected


def test_frames_that_a_tail_call_removed_count_if_they_have_a_name(build: ModuleType) -> None:
    sleep, poll = build.std("std::thread::sleep"), build.user("app::poll")
    nap = replace(build.user("app::nap"), recovered=True)
    at = blame(build.stack(sleep, nap, poll))
    assert (at.function, at.operation) == ("app::nap", "std::thread::sleep")
    gap = replace(nap, gap=True)
    assert blame(build.stack(sleep, gap, poll)).function == "app::nap"
    nameless = replace(build.unnamed(), recovered=True)
    assert blame(build.stack(sleep, nameless, poll)).function == "app::poll"
    library = build.unnamed("/usr/lib/libz.so.1.3", 0x99)
    assert blame(build.stack(library, nameless, outer=())).function == "libz.so.1.3+0x99"


def test_wrappers_of_the_allocator_and_slow_paths_are_no_operation(build: ModuleType) -> None:
    user = build.user("app::grow")
    for wrapper in ("__rustc::__rust_alloc", "__rustc::__rdl_realloc", "__rust_dealloc"):
        stack = build.stack(build.c("malloc"), build.std(wrapper), user)
        assert blame(stack).operation == "malloc"
    slow = build.dependency("parking_lot::raw_mutex::RawMutex::unlock_slow", "parking_lot 0.12.0")
    reader = build.dependency("librqbit::storage::pread_exact", "librqbit 8.0.0")
    at = blame(build.stack(build.c("syscall"), slow, reader, outer=()))
    assert (at.function, at.operation) == ("librqbit::storage::pread_exact", "syscall")


@pytest.mark.parametrize(
    ("file", "line", "precision", "expected"),
    [
        ("/home/me/api/src/db.rs", 171, Precision.NEAR, "src/db.rs ~:171"),
        ("/home/me/api/src/db.rs", 156, Precision.DEFINITION, "src/db.rs:156 (async)"),
        ("/home/me/api/src/db.rs", 0, Precision.FILE, "~src/db.rs"),
        ("", 0, Precision.FILE, ""),
        ("", 9, Precision.NEAR, ""),
    ],
)
def test_a_place_that_is_not_the_calls_line_says_so(
    file: str, line: int, precision: Precision, expected: str
) -> None:
    assert short_place(file, line, precision) == expected
    frame = Frame(1, "app::db", file=file, line=line, origin=Origin.USER, precision=precision)
    found = blame(Stack((1,), True, "", (frame,)))
    assert (found.where, found.precision) == (expected, precision)
