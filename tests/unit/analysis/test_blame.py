"""Which frame of a stack is blamed, and what it had called."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis.blame import (
    NO_STACK,
    NOT_RESOLVED,
    Blames,
    blame,
    blame_of,
    short_place,
    user_part,
)
from hud.model import Frame, Origin, Precision, Stack

if TYPE_CHECKING:
    from types import ModuleType


def test_user_frame_with_the_library_call_below_it(build: ModuleType) -> None:
    at = blame(build.STACKS[build.HASH])
    assert (at.function, at.where, at.line) == ("api::login::hash_password", "src/login.rs:88", 88)
    assert at.file == "/home/me/demo-server/src/login.rs"
    assert (at.operation, at.origin) == ("bcrypt::hash", Origin.USER)


def test_without_user_frames_a_dependency_below_the_framework(build: ModuleType) -> None:
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
    at = blame(build.stack(build.c("memcpy"), library, outer=()))
    assert (at.function, at.operation) == ("libz.so.1.3+0x99", "memcpy")
    for nowhere in (Frame(0x10000), build.unnamed("[vdso]", 0x99)):
        assert blame(build.stack(build.c("memcpy"), nowhere, outer=())).function == "memcpy"


def test_no_stack_and_no_names_are_told_apart() -> None:
    stacks = {5: Stack(addresses=(1,), complete=True)}
    blames = Blames(stacks)
    assert blames.of(0) is NO_STACK
    assert blames.of(5) is NOT_RESOLVED
    assert blames.of(6) is NOT_RESOLVED
    assert [blame_of(key, stacks) for key in (0, 5, 6)] == [NO_STACK, NOT_RESOLVED, NOT_RESOLVED]
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


# --------------------------------------------------------------------------- whose code it is


def runtime(function: str) -> Frame:
    return Frame(0x5800, function, origin=Origin.RUNTIME, crate="tokio 1.54.1")


def named(build: ModuleType, function: str, crate: str = "", raw: str = "") -> Frame:
    """A frame of a symbol without debug info."""
    crate = crate or function.lstrip("<").partition("::")[0]
    return replace(build.dependency(function, crate), raw=raw, file="", line=0)


HANDLER = "<F as axum::handler::Handler<((),),S>>::call::{async}"


def axum(build: ModuleType, *inner: Frame, raw: str = "_ZN1h0") -> Stack:
    """A task of axum's, default release build: the handler is inlined."""
    return build.stack(
        *inner,
        named(build, HANDLER, "axum 0.8.4", raw),
        named(
            build,
            "<futures_util::future::future::map::Map<Fut,F> as core::future::future::Future>::poll",
            "futures_util 0.3",
        ),
        named(build, "hyper::proto::h1::dispatch::Dispatcher<D,Bs,I,T>::poll_catch", "hyper 1.7.0"),
        named(build, "axum::serve::handle_connection::{closure}::{async}", "axum 0.8.4"),
        runtime("tokio::runtime::task::core::Core<T,S>::poll"),
    )


def test_what_a_handler_was_inlined_into_is_as_good_as_its_own_frame(build: ModuleType) -> None:
    encrypt = named(build, "blowfish::Blowfish<T>::encrypt")
    at = blame(axum(build, encrypt, named(build, "bcrypt::hash")))
    assert (at.function, at.operation, at.origin) == (HANDLER, "bcrypt::hash", Origin.DEPENDENCY)
    sleep = blame(axum(build, build.c("clock_nanosleep"), build.std("std::thread::sleep")))
    assert (sleep.function, sleep.operation) == (HANDLER, "std::thread::sleep")
    # an extractor of the framework's own is not the handler
    json = named(
        build, "<axum::json::Json<T> as axum_core::extract::FromRequest<S>>::from_request::{async}"
    )
    parsed = blame(axum(build, named(build, "serde_json::de::from_slice"), json))
    assert parsed.function == "serde_json::de::from_slice"


def test_other_code_of_the_same_readable_name_is_another_blocker(build: ModuleType) -> None:
    sleep = build.std("std::thread::sleep")
    one, two = blame(axum(build, sleep, raw="_ZN1h1")), blame(axum(build, sleep, raw="_ZN1h2"))
    assert one.function == two.function
    assert one.key != two.key
    # all instances of one function of the user's are the same source, closures are not
    made = [replace(build.user("app::parse"), raw=raw) for raw in ("_ZN1h1", "_ZN1h2")]
    assert len({blame(build.stack(frame)).key for frame in made}) == 1
    made = [replace(frame, function="app::main::{closure}") for frame in made]
    assert len({blame(build.stack(frame)).key for frame in made}) == 2


def test_a_place_inside_of_what_it_was_inlined_into(build: ModuleType) -> None:
    place = Frame(
        0x5500, "src/pricing.rs:31", origin=Origin.USER, inlined=True, inferred=True, line=33
    )
    near = replace(place, function="src/pricing.rs:12")
    one, two = (blame(axum(build, build.std("std::fs::read"), own)) for own in (place, near))
    assert one.function == "src/pricing.rs:31 in axum's Handler::call"
    assert (one.operation, one.inferred) == ("std::fs::read", True)
    assert one.key == two.key, "one function, told by two of its places"


def test_the_users_own_frame_further_in_wins_over_what_it_was_called_from(
    build: ModuleType,
) -> None:
    assert blame(axum(build, build.user("app::prices"))).function == "app::prices"
    timed = build.user("<app::Timed<S> as tower_service::Service<R>>::call")
    stack = axum(build, named(build, "bcrypt::hash"))
    assert stack.frames is not None
    around = replace(stack, frames=(*stack.frames[:2], timed, *stack.frames[2:]))
    assert blame(around).function == HANDLER


def test_without_user_frames_the_outermost_dependency_below_the_framework(
    build: ModuleType,
) -> None:
    stack = build.stack(
        build.c("fsync"),
        build.c("sqlite3_step"),
        named(build, "rusqlite::raw_statement::RawStatement::step"),
        named(build, "rusqlite::statement::Statement::execute"),
        named(build, "store_api::insert", "store_api 1.0"),
        named(build, "<tower::util::oneshot::Oneshot<S,R> as core::future::future::Future>::poll"),
        named(build, "hyper::proto::h2::server::Server<T,S,B,E>::poll", "hyper 1.7"),
        runtime("tokio::runtime::task::harness::Harness<T,S>::poll"),
    )
    at = blame(stack)
    assert at.function == "store_api::insert"
    assert at.operation == "rusqlite::raw_statement::RawStatement::step"


def test_the_crate_that_owns_the_tasks_future_is_the_users(build: ModuleType) -> None:
    stack = build.stack(
        named(build, "p256::arithmetic::field::FieldElement::multiply"),
        named(build, "ecdsa::hazmat::sign_prehashed"),
        named(build, "hickory_proto::dnssec::signer::Signer::sign", "hickory_proto 0.26"),
        named(build, "hickory_server::store::sign_zone::{async}", "hickory_server 0.26"),
        named(build, "hickory_server::server::handle_udp::{async}", "hickory_server 0.26"),
        runtime("tokio::runtime::task::raw::poll"),
    )
    at = blame(stack)
    assert at.function == "hickory_proto::dnssec::signer::Signer::sign"
    assert at.operation == "ecdsa::hazmat::sign_prehashed"


def test_a_future_inlined_into_tokios_own_frame_is_told_by_its_type(build: ModuleType) -> None:
    for call in (build.std("std::thread::sleep"), named(build, "bcrypt::hash")):
        at = blame(build.stack(build.c("clock_nanosleep"), call))
        assert (at.function, at.hosted) == ("tokio::runtime::task::raw::poll", True)
        assert at.operation == call.function


def test_a_symbol_that_says_which_handler_it_was_compiled_for(build: ModuleType) -> None:
    """As v0 mangling does."""
    name = "<app::price::table as axum::handler::Handler<(M, T1), S>>::call::{async}"
    host = named(build, name, "axum 0.8.4", "_RNC1")
    at = blame(build.stack(build.std("std::fs::read"), host))
    assert at.function == "app::price::table in axum's Handler::call"
    assert (at.operation, at.symbol) == ("std::fs::read", "_RNC1")


def test_a_closures_place_in_generic_code_gives_way_to_who_called_it(build: ModuleType) -> None:
    place = Frame(
        0x5500, "src/pricing.rs:3", origin=Origin.USER, inlined=True, inferred=True, line=3
    )
    sort = replace(build.std("core::slice::sort::stable::quicksort::quicksort"), raw="_ZN1h1")
    at = blame(axum(build, place, sort, build.user("shop::pricing::table")))
    assert (at.function, at.operation) == ("shop::pricing::table", sort.function)
    alone = blame(axum(build, place, sort))
    assert alone.function == "src/pricing.rs:3"


def test_the_closure_of_join_gives_way_to_the_async_fn_that_it_is_in(build: ModuleType) -> None:
    owner = build.user("app::Files::item::{async fn}", "src/files.rs", 18)
    closure = build.user(f"{owner.function}::{{closure}}")
    poll = Frame(1, "<core::future::poll_fn::PollFn<F> as core::future::future::Future>::poll")
    poll = replace(poll, origin=Origin.STD)
    inner = Frame(1, "tokio::future::maybe_done::MaybeDone::poll", origin=Origin.RUNTIME)
    at = blame(build.stack(build.c("syscall"), inner, closure, poll, owner))
    assert (at.function, at.where) == (owner.function, "src/files.rs:18")
    assert at.operation == inner.function
    written = replace(closure, file="src/files.rs", line=20)
    assert blame(build.stack(inner, written, poll, owner)).where == "src/files.rs:20"
    near = replace(owner, precision=Precision.NEAR)
    called = build.stack(inner, closure, near)  # one that is called like any other
    assert blame(called).function == closure.function


def test_a_closure_of_a_log_macro_gives_way_to_the_line_of_the_macro(build: ModuleType) -> None:
    owner = build.user("app::ship::{async fn}::{async block}", "src/ship.rs", 70)
    closure = build.user(f"{owner.function}::{{closure}}")  # of tracing's src/macros.rs
    event = build.dependency("tracing_core::event::Event::dispatch", "tracing_core 0.1.36")
    near = replace(closure, file="src/ship.rs", line=70, precision=Precision.NEAR)
    for made in (closure, near):  # inlined and not
        at = blame(build.stack(build.c("write"), event, made, owner))
        assert (at.function, at.where) == (owner.function, "src/ship.rs:70")
        assert at.operation == event.function
    written = replace(closure, file="src/ship.rs", line=71)
    assert blame(build.stack(event, written, owner)).function == closure.function
    other = replace(closure, function="app::other::{closure}")
    assert blame(build.stack(event, other, owner)).function == other.function


def test_a_lock_of_tokios_own_is_not_to_blame(build: ModuleType) -> None:
    lock = build.dependency("parking_lot::raw_mutex::RawMutex::lock_slow", "parking_lot 0.12.5")
    name = "tokio::runtime::io::driver::Handle::deregister_source"
    driver = Frame(1, name, origin=Origin.RUNTIME, crate="tokio 1.50.0")
    drop = build.std("core::ptr::drop_in_place<hyper_util::server::conn::auto::Connection>")
    serve = build.dependency("axum::serve::handle_connection::{async block}", "axum 0.8.9")
    stack = build.stack(build.c("syscall"), lock, driver, drop, serve, outer=())
    assert blame(stack).function == serve.function
    pool = build.dependency("r2d2::Pool<M>::get", "r2d2 0.8.10")
    stack = build.stack(build.c("syscall"), lock, pool, serve, outer=())
    assert blame(stack).function == pool.function


def test_instances_of_one_generic_async_fn_are_one_blocker(build: ModuleType) -> None:
    for name, same in (
        ("app::item::{async fn}", True),
        ("app::item::{async block}", False),
        ("app::item::{closure}::{async fn}", False),
    ):
        frames = [replace(build.user(name), raw=raw) for raw in ("_ZN1", "_ZN2")]
        one, two = (blame(build.stack(build.c("read"), frame)) for frame in frames)
        assert (one.key == two.key) is same, name
