"""Names of task types: what generics say, and how they are shown. Real programs: tests/e2e."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.symbols.generics import first_argument, first_generic, shown, without_generics


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("poll<app::run::{async_fn_env#0}<u64>, alloc::sync::Arc<H, A>>",
         "app::run::{async_fn_env#0}<u64>"),
        ("tokio::runtime::task::raw::poll::<app::run::{closure#0}, S>", "app::run::{closure#0}"),
        ("poll<Pin<Box<dyn Fn(u8) -> (u8, T)>>, S>", "Pin<Box<dyn Fn(u8) -> (u8, T)>>"),
        ("tokio::runtime::task::raw::poll", ""),
        ("schedule<S>", ""),
        ("poll<", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_first_generic_of_poll(name: str, expected: str) -> None:
    assert first_generic(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("herd::waits<u64>::{{closure}}", "herd::waits::{closure}"),
        ("herd::waits::{async_fn_env#0}<u64>", "herd::waits::{closure}"),
        ("herd::waits::<u64>::{closure#0}", "herd::waits::{closure}"),
        ("herd::Timed<herd::boxed::{{closure}}>", "herd::Timed"),
    ],
)
def test_one_path_for_all_ways_to_write_it(name: str, expected: str) -> None:
    assert without_generics(name) == expected


@pytest.mark.parametrize(
    ("future", "expected"),
    [
        ("herd::hog::{{closure}}", "herd::hog::{async}"),
        ("app::run::<u64>::{closure#0}", "app::run::<u64>::{async}"),
        ("app::run::{closure#1}", "app::run::{async block}"),
        ("app::Map<a::f::{closure#1}>::g::{closure#0}", "app::Map<a::f::{closure}>::g::{async}"),
        ("app::run::{{closure}}::{{closure}}", "app::run::{closure}::{async block}"),
        ("herd::hog::{async_fn_env#0}", "herd::hog::{async fn}"),
        ("alloc::boxed::Box<dyn core::future::future::Future, alloc::alloc::Global>",
         "Box<dyn Future>"),
        ("herd::waits<alloc::string::String>::{{closure}}", "herd::waits<String>::{async}"),
        # types that are futures only of a future, and others, which may hold a closure
        ("tokio::time::timeout::Timeout<core::pin::Pin<alloc::boxed::Box<a::f<u8>::{{closure}}>>>",
         "a::f<u8>::{async}"),
        ("tracing::instrument::Instrumented<a::f::{{closure}},u8>",
         "a::f::{async}"),
        ("core::pin::Pin<alloc::boxed::Box<dyn core::future::future::Future>>",
         "Box<dyn Future>"),
        ("tokio::time::timeout::Timeout<tracing::instrument::Instrumented<app::Timed<u8>>>",
         "app::Timed<u8>"),
        ("futures_util::future::future::Map<a::f::{{closure}},a::g::{{closure}}>",
         "a::f::{async}"),
        ("hyper::proto::h2::server::H2Stream<a::f::{{closure}},B>", "a::f::{async}"),
        ("herd::Timed<herd::boxed::{{closure}}>", "herd::Timed<herd::boxed::{closure}>"),
        ("core::future::poll_fn::PollFn<a::f::{{closure}}>",
         "core::future::poll_fn::PollFn<a::f::{closure}>"),
        ("tokio::runtime::blocking::task::BlockingTask<a::f::{{closure}}>",
         "tokio::runtime::blocking::task::BlockingTask<a::f::{closure}>"),
        ("app::Both<u8,u16>", "app::Both<u8, u16>"),
    ],
)  # fmt: skip
def test_shown(future: str, expected: str) -> None:
    assert shown(future) == expected


@settings(deadline=None)
@given(st.text(alphabet="abp<>(){}[]:,- #0ol", max_size=60))
def test_any_text(name: str) -> None:
    assert first_argument(name) in name
    first_generic(f"poll<{name}")
    without_generics(name)
    shown(name)
