"""Which call of a blamed frame is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis.blame import blame
from hud.model import Frame, Origin

if TYPE_CHECKING:
    from types import ModuleType


def named(build: ModuleType, function: str, crate: str = "") -> Frame:
    """A dependency's frame, of the crate that its path begins with if none is given."""
    return build.dependency(function, crate or f"{function.partition('::')[0]} 1.0.0")


def runtime(function: str) -> Frame:
    return Frame(1, function, origin=Origin.RUNTIME, crate="tokio 1.54.1")


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


def test_wrappers_of_the_allocator_and_slow_paths_are_no_operation(build: ModuleType) -> None:
    user = build.user("app::grow")
    for wrapper in ("__rustc::__rust_alloc", "__rustc::__rdl_realloc", "__rust_dealloc"):
        stack = build.stack(build.c("malloc"), build.std(wrapper), user)
        assert blame(stack).operation == "malloc"
    slow = build.dependency("parking_lot::raw_mutex::RawMutex::unlock_slow", "parking_lot 0.12.0")
    reader = build.dependency("librqbit::storage::pread_exact", "librqbit 8.0.0")
    at = blame(build.stack(build.c("syscall"), slow, reader, outer=()))
    assert (at.function, at.operation) == ("librqbit::storage::pread_exact", "syscall")


def test_a_place_in_pyo3_is_known_by_its_call_into_python(build: ModuleType) -> None:
    place = replace(
        named(build, "pyo3/src/types/string.rs:166", "pyo3 0.25.1"), inferred=True, inlined=True
    )
    inside = [build.c(name) for name in ("take_gil", "_PyEval_EvalFrameDefault")]
    called = [*inside, build.c("PyObject_VectorcallMethod"), place]
    handler = build.user("src/executors/mod.rs:523")
    assert blame(build.stack(*called, handler)).operation == "PyObject_VectorcallMethod"
    assert blame(build.stack(*inside, place, handler)).operation == f"~{place.function}"


def test_a_types_own_iterator_is_no_plumbing(build: ModuleType) -> None:
    step = "core::iter::traits::iterator::Iterator>::next"
    stack = build.stack(
        build.c("readdir"),
        build.std(f"<std::fs::ReadDir as {step}"),
        build.std(f"<core::iter::adapters::map::Map<I,F> as {step}"),
        build.std(f"<&mut I as {step}"),
        build.user("app::list"),
    )
    assert blame(stack).operation == f"<std::fs::ReadDir as {step}"


def test_both_ends_of_a_call_that_passes_the_poll_on(build: ModuleType) -> None:
    stack = build.stack(
        build.c("memcpy"),
        build.std("alloc::raw_vec::finish_grow"),
        named(build, "bytes::bytes_mut::BytesMut::reserve_inner"),
        runtime("<tokio::time::timeout::Timeout<T> as core::future::future::Future>::poll"),
        build.user("app::read::{async}"),
    )
    assert blame(stack).operation == (
        "tokio::time::timeout::Timeout::poll ... bytes::bytes_mut::BytesMut::reserve_inner"
    )


def test_both_ends_without_what_is_in_their_types(build: ModuleType) -> None:
    future = "as core::future::future::Future>::poll"
    stack = build.stack(
        named(build, "a::B<C<u8>>::d::{async}"),
        named(build, f"<hyper::X<<T as z::Y>::Z> {future}", "hyper 1.0"),
        build.user("app::f"),
    )
    assert blame(stack).operation == "hyper::X::poll ... a::B::d::{async}"


def test_a_library_that_std_calls_is_told(build: ModuleType) -> None:
    stack = build.stack(
        named(build, "miniz_oxide::deflate::core::compress_inner"),
        named(build, "<flate2::zio::Writer<W,D> as std::io::Write>::write"),
        build.std("std::io::Write::write_all"),
        build.user("app::pack"),
    )
    assert blame(stack).operation == "std::io::Write::write_all ... flate2::zio::Writer::write"


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("std::thread::functions::sleep", "std::thread::sleep"),
        ("std::fs::read::inner", "std::fs::read"),
        ("std::sys::sync::mutex::futex::Mutex::lock_contended", "std::sync::Mutex::lock"),
        ("std::sys::sync::rwlock::futex::RwLock::read_contended", "std::sync::RwLock::read"),
        ("std::sync::poison::mutex::Mutex<T>::lock", "std::sync::Mutex<T>::lock"),
        ("std::sync::mpsc::Receiver<T>::recv", "std::sync::mpsc::Receiver<T>::recv"),
    ],
)
def test_std_is_called_as_people_write_it(build: ModuleType, function: str, name: str) -> None:
    assert blame(build.stack(build.std(function), build.user("a::f"))).operation == name


def test_collecting_into_a_vector_is_no_operation(build: ModuleType) -> None:
    listing = build.user("app::listing")
    nested = (
        "<alloc::vec::Vec<T> as alloc::vec::spec_from_iter_nested::SpecFromIterNested<T,I>>"
        "::from_iter"
    )
    calls = ("<&mut F as core::ops::function::FnMut<A>>::call_mut", nested)
    inner = build.std("std::fs::DirEntry::metadata")
    stack = build.stack(build.c("statx"), inner, *map(build.std, calls), listing)
    assert blame(stack).operation == "std::fs::DirEntry::metadata"
    folded = (
        "<alloc::vec::into_iter::IntoIter<T,A> as core::iter::traits::iterator::Iterator>"
        "::try_fold",
        "alloc::vec::in_place_collect::from_iter_in_place",
    )
    inner = build.std("alloc::fmt::format::format_inner")
    stack = build.stack(build.c("malloc"), inner, *map(build.std, folded), listing)
    assert blame(stack).operation == "alloc::fmt::format::format_inner"


def test_a_sockets_write_is_not_a_files(build: ModuleType) -> None:
    file = build.std("<&std::fs::File as std::io::Write>::write_vectored")
    name = "<&mio::net::tcp::stream::TcpStream as std::io::Write>::write_vectored"
    mio = Frame(1, name, origin=Origin.RUNTIME, crate="mio 1.1.0")
    stack = build.stack(build.c("writev"), file, mio, build.user("app::send"))
    assert blame(stack).operation == mio.function
    waker = replace(mio, function="mio::sys::unix::waker::Waker::wake")
    stack = build.stack(build.c("write"), file, waker, build.user("app::send"))
    assert blame(stack).operation == waker.function
    stack = build.stack(build.c("writev"), file, build.user("app::log"))
    assert blame(stack).operation == file.function
    unix = replace(
        file, function="<&std::os::unix::net::stream::UnixStream as std::io::Write>::write"
    )
    stack = build.stack(build.c("send"), unix, mio, build.user("app::send"))
    assert blame(stack).operation == mio.function
    stack = build.stack(build.c("send"), unix, build.user("app::send"))
    assert blame(stack).operation == unix.function


def test_a_guess_that_the_poll_around_it_has_too_is_no_operation(build: ModuleType) -> None:
    def guess(function: str, origin: Origin) -> Frame:
        return Frame(1, function, origin=origin, inferred=True)

    state = guess("tokio/src/runtime/task/state.rs:502", Origin.RUNTIME)
    metadata = guess("tokio/src/fs/metadata.rs:43", Origin.RUNTIME)
    own = guess("src/server.rs:1616", Origin.USER)
    at = blame(build.stack(build.c("syscall"), state, metadata, own, state, outer=()))
    assert (at.function, at.operation) == (own.function, f"~{metadata.function}")
    at = blame(build.stack(build.c("syscall"), state, metadata, own, outer=()))
    assert at.operation == f"~{metadata.function} ... ~{state.function}"


def test_std_code_that_is_inlined_everywhere_is_no_call(build: ModuleType) -> None:
    def guess(function: str, origin: Origin, crate: str = "") -> Frame:
        return Frame(1, function, origin=origin, crate=crate, inferred=True)

    helper = guess("alloc/src/collections/btree/navigate.rs:600", Origin.STD)
    engine = guess("minijinja/src/vm/mod.rs:74", Origin.DEPENDENCY, "minijinja 2.24.0")
    own = guess("src/app.rs:492", Origin.USER)
    assert blame(build.stack(engine, helper, own)).operation == f"~{engine.function}"
    assert blame(build.stack(helper, own)).operation == f"~{helper.function}"
    files = guess("std/src/sys/fs/unix.rs:1244", Origin.STD)
    assert blame(build.stack(build.c("statx"), files, own)).operation == f"~{files.function}"


def test_the_owner_of_the_task_called_what_it_called_and_not_what_is_inside(
    build: ModuleType,
) -> None:
    signing = (
        named(build, "ring::ec::suite_b::ops::p256::p256_scalar_inv_to_mont"),
        named(
            build,
            "<hickory_proto::crypto::Key as hickory_proto::SigningKey>::sign",
            "hickory_proto",
        ),
    )
    task = runtime("tokio::runtime::task::raw::poll")
    owner = (named(build, "keeper::sign_zone"), named(build, "keeper::signs::{async}"))
    at = blame(build.stack(*signing, *owner, task))
    assert (at.function, at.operation) == ("keeper::sign_zone", signing[1].function)
    at = blame(
        build.stack(*signing, named(build, "keeper::sign_zone"), build.c("start_thread"), outer=())
    )
    assert (at.function, at.operation) == ("keeper::sign_zone", signing[0].function)
