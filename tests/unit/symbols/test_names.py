"""Readable names and origins."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.model import Frame, Origin
from hud.symbols.module import RawFrame
from hud.symbols.names import crates_of, describe, owner_of, readable, whose

HASH = "17h0123456789abcdefE"
CARGO = "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f"
RUSTC = "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library"


@pytest.mark.parametrize(
    ("name", "own", "want"),
    [
        ("app::handler::{{closure}}", "", "app::handler::{closure}"),
        ("app::handler::{closure#3}", "", "app::handler::{closure}"),
        ("app::handler::{{closure}}", "{async_fn#0}", "app::handler::{async fn}"),
        ("app::handler::{closure#0}", "{async_block#1}", "app::handler::{async block}"),
        ("app::handler::{{closure}}", "{closure#0}", "app::handler::{closure}"),
        ("app::f::{{closure}}::{{closure}}", "{async_block#0}", "app::f::{closure}::{async block}"),
        (
            "app::f::{{closure}}::{{closure}}",
            "{async_fn#0}::{closure#2}",
            "app::f::{async fn}::{closure}",
        ),
        (  # a function in a closure
            "app::f::{{closure}}::g::{{closure}}",
            "{closure#0}::{async_fn#0}",
            "app::f::{closure}::g::{async fn}",
        ),
        ("{{closure}}", "{async_fn#0}::{closure#2}", "{closure}"),
        ("app::handler::{{closure}}", "{async}", "app::handler::{async}"),
        ("app::f::{{closure}}::{{closure}}", "{async}", "app::f::{closure}::{async block}"),
        ("app::handler::{closure#0}", "{async}", "app::handler::{async}"),
        ("app::handler::{closure#1}", "{async}", "app::handler::{async block}"),
        ("app::f::{closure#12}::g::{closure#0}", "{async}", "app::f::{closure}::g::{async}"),
        ("app::handler", "{async_fn#0}", "app::handler"),
        ("app::handler::{async_fn#0}", "", "app::handler::{async fn}"),
        ("app::handler::{async_block_env#0}", "", "app::handler::{async block}"),
        ("a::C::{{constant}}::{{closure}}", "", "a::C::{constant}::{closure}"),
        (
            "core::ops::FnOnce::call_once{{vtable.shim}}",
            "",
            "core::ops::FnOnce::call_once{vtable.shim}",
        ),
        ("tokio::time::<impl tokio::rt::Handle>::process", "", "tokio::rt::Handle::process"),
        ("<tokio::rt::Handle>::process", "", "tokio::rt::Handle::process"),
        ("<alloc::vec::Vec<u8>>::push", "", "alloc::vec::Vec<u8>::push"),
        ("a::<impl core::fmt::Debug for a::B<T>>::fmt", "", "<a::B<T> as core::fmt::Debug>::fmt"),
        ("<a::B as core::fmt::Debug>::fmt", "", "<a::B as core::fmt::Debug>::fmt"),
        ("<u64>::pow", "", "<u64>::pow"),
        ("core::num::<impl u64>::pow", "", "<u64>::pow"),
        ("<[T]>::sort_by", "", "<[T]>::sort_by"),
        ("<fn(u8) -> u8 as a::T>::f", "", "<fn(u8) -> u8 as a::T>::f"),
        (
            "core::ptr::drop_in_place<a::<impl a::T for str>::f::{{closure}}>",
            "",
            "core::ptr::drop_in_place<a::<impl a::T for str>::f::{closure}>",
        ),
        ("<", "", "<"),
        ("<impl ", "", "<impl "),
    ],
)
def test_readable(name: str, own: str, want: str) -> None:
    assert readable(name, own) == want


@pytest.mark.parametrize(
    ("name", "crates"),
    [
        ("bcrypt::hash", ("bcrypt",)),
        ("core::ptr::drop_in_place<app::User>", ("core",)),
        ("alloc::vec::Vec<app::User>::push", ("alloc",)),
        ("<app::User as core::fmt::Debug>::fmt", ("app", "core")),
        ("<&mut [app::User] as serde::Serialize>::go", ("app", "serde")),
        ("<T as app::Trait>::f", ("app",)),
        ("<dyn app::Trait as core::any::Any>::f", ("app", "core")),
        ("<u64>::pow", ("core",)),
        ("<*mut libc::stat>::write", ("core",)),
        ("<u8 as <[_]>::to_vec_in::ConvertVec>::to_vec", ("core",)),
        ("main", ()),
        ("", ()),
    ],
)
def test_crates_of(name: str, crates: tuple[str, ...]) -> None:
    assert crates_of(name) == crates


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        (f"{CARGO}/bcrypt-0.17.1/src/lib.rs", (Origin.DEPENDENCY, "bcrypt", "0.17.1")),
        (
            f"{CARGO}/serde-json-1.0.0-rc.2/src/de.rs",
            (Origin.DEPENDENCY, "serde_json", "1.0.0-rc.2"),
        ),
        (f"{CARGO}/tokio-1.54.1/src/runtime/park.rs", (Origin.RUNTIME, "tokio", "1.54.1")),
        (f"{CARGO}/tokio-util-0.7.1/src/lib.rs", (Origin.RUNTIME, "tokio_util", "0.7.1")),
        (f"{CARGO}/mio-1.2.4/src/poll.rs", (Origin.RUNTIME, "mio", "1.2.4")),
        (f"{CARGO}/tokio-rustls-0.26.0/src/lib.rs", (Origin.DEPENDENCY, "tokio_rustls", "0.26.0")),
        (f"{CARGO}/hyper-1.0.0/src/lib.rs", (Origin.DEPENDENCY, "hyper", "1.0.0")),
        (
            f"{CARGO}/zstd-sys-2.0.9+zstd.1.5.5/zstd/lib/x.c",
            (Origin.DEPENDENCY, "zstd_sys", "2.0.9+zstd.1.5.5"),
        ),
        ("tokio-1.54.1/src/runtime/park.rs", (Origin.RUNTIME, "tokio", "1.54.1")),
        (
            "/c/git/checkouts/salsa-e6f3bb7c2a062968/ce80691/src/zalsa.rs",
            (Origin.DEPENDENCY, "salsa", ""),
        ),
        (
            "/c/git/checkouts/aws-e6f3bb7c2a062968/ce80691/sdk/s3-client/src/x.rs",
            (Origin.DEPENDENCY, "s3_client", ""),
        ),
        (f"{RUSTC}/std/src/io/mod.rs", (Origin.STD, "std", "")),
        (f"{RUSTC}/core/src/pin.rs", (Origin.STD, "core", "")),
        (
            "/home/me/.rustup/toolchains/t/lib/rustlib/src/rust/library/alloc/src/vec/mod.rs",
            (Origin.STD, "alloc", ""),
        ),
        ("library/std/src/panicking.rs", (Origin.STD, "std", "")),
        ("/rust/deps/hashbrown-0.15.2/src/raw.rs", (Origin.STD, "hashbrown", "0.15.2")),
        ("vendor/tokio/src/lib.rs", (Origin.RUNTIME, "tokio", "")),
        ("/src/vendor/bcrypt/src/lib.rs", (Origin.DEPENDENCY, "bcrypt", "")),
        ("src/login.rs", (Origin.USER, "", "")),
        ("/home/me/app/crates/db/src/pool.rs", (Origin.USER, "", "")),
        ("./nptl/pthread_mutex_lock.c", (Origin.C, "", "")),
        ("../sysdeps/unix/sysv/linux/x86_64/clone.S", (Origin.C, "", "")),
    ],
)
def test_owner_of(path: str, owner: tuple[Origin, str, str]) -> None:
    assert owner_of(path) == owner


def test_no_path_has_no_owner() -> None:
    assert owner_of("") is None


CRATES = {"bcrypt": "0.17.1", "serde_json": "1.0.154", "tokio": "1.54.1", "miniz_oxide": ""}


@pytest.mark.parametrize(
    ("name", "path", "origin", "crate"),
    [
        ("app::login", "src/login.rs", Origin.USER, "app"),
        ("app::login", "", Origin.USER, "app"),
        ("bcrypt::hash", f"{CARGO}/bcrypt-0.15.0/src/lib.rs", Origin.DEPENDENCY, "bcrypt 0.15.0"),
        ("bcrypt::hash", "", Origin.DEPENDENCY, "bcrypt 0.17.1"),
        ("miniz_oxide::x", "", Origin.DEPENDENCY, "miniz_oxide"),
        ("hyper::proto::h1", "", Origin.DEPENDENCY, "hyper"),
        ("tokio::runtime::park", "", Origin.RUNTIME, "tokio 1.54.1"),
        ("std::fs::read", "", Origin.STD, "std"),
        ("hashbrown::map::x", "", Origin.STD, "hashbrown"),
        # a line of a macro of std, of tokio and of a dependency inside the user's function
        ("app::run::{async fn}", f"{RUSTC}/core/src/pin.rs", Origin.USER, "app"),
        ("app::run::{async fn}", f"{CARGO}/tokio-1.54.1/src/macros/select.rs", Origin.USER, "app"),
        ("app::run::{async fn}", f"{CARGO}/tracing-0.1.1/src/macros.rs", Origin.USER, "app"),
        # std's generics, compiled with the user's types
        ("core::ptr::drop_in_place<app::User>", "", Origin.STD, "core"),
        ("alloc::vec::Vec<app::User>::push", f"{RUSTC}/alloc/src/vec/mod.rs", Origin.STD, "alloc"),
        # the impl is where the type or the trait is
        ("<app::User as serde::Serialize>::serialize", "", Origin.USER, "app"),
        ("<serde_json::Value as app::Trait>::go", "", Origin.USER, "app"),
        (
            "<serde_json::Value as core::fmt::Debug>::fmt",
            "",
            Origin.DEPENDENCY,
            "serde_json 1.0.154",
        ),
        ("<tokio::Sleep as core::future::Future>::poll", "", Origin.RUNTIME, "tokio 1.54.1"),
        ("<F as core::future::Future>::poll", "", Origin.STD, "core"),
        # package and library names that differ
        ("md5::compress", f"{CARGO}/md-5-0.10.6/src/lib.rs", Origin.DEPENDENCY, "md_5 0.10.6"),
        # a workspace member that has the name of a widely used crate's path but is the user's
        ("db::pool::get", "/home/me/app/crates/db/src/pool.rs", Origin.USER, "db"),
    ],
)
def test_origins_of_rust(name: str, path: str, origin: Origin, crate: str) -> None:
    owner = whose(name, path, "/usr/bin/app", CRATES, rust=True)
    assert owner.origin is origin
    assert " ".join(filter(None, owner[1:])) == crate


@pytest.mark.parametrize(
    ("name", "path", "module", "origin"),
    [
        ("__nanosleep", "", "/lib/x86_64-linux-gnu/libc.so.6", Origin.C),
        ("", "", "/lib/x86_64-linux-gnu/libc.so.6", Origin.C),
        ("", "", "/lib64/ld-linux-x86-64.so.2", Origin.C),
        ("", "", "/lib/ld-musl-x86_64.so.1", Origin.C),
        ("__vdso_clock_gettime", "", "[vdso]", Origin.C),
        ("", "", "[vdso]", Origin.C),
        ("", "", "/usr/bin/app", Origin.UNKNOWN),
        ("", "", "/usr/lib/libcrust.so", Origin.UNKNOWN),
        ("main", "", "/usr/bin/app", Origin.C),
        ("__rust_alloc", "", "/usr/bin/app", Origin.STD),
        ("ZSTD_compress", f"{CARGO}/zstd-sys-2.0.9/zstd/x.c", "/usr/bin/app", Origin.DEPENDENCY),
        ("sqlite3_step", "sqlite3.c", "/usr/bin/app", Origin.C),
    ],
)
def test_origins_of_the_rest(name: str, path: str, module: str, origin: Origin) -> None:
    assert whose(name, path, module, CRATES, rust=False).origin is origin


def _raw(name_raw: str = "", name: str = "", file: str = "", *, inlined: bool = False) -> RawFrame:
    return RawFrame(name_raw, name, file, 7 if file else 0, inlined, 0x1000, 0x80)


def test_describe_a_chain() -> None:
    frames = describe(
        "/usr/bin/app",
        0x1010,
        (
            _raw(
                f"_ZN6bcrypt4hash{HASH}", "hash", f"{CARGO}/bcrypt-0.17.1/src/lib.rs", inlined=True
            ),
            _raw("_RNCNvCs12_3app5login0", "{async_fn#0}", "src/login.rs"),
        ),
        {},
    )
    assert frames == (
        Frame(
            address=0,
            function="bcrypt::hash",
            raw=f"_ZN6bcrypt4hash{HASH}",
            file=f"{CARGO}/bcrypt-0.17.1/src/lib.rs",
            line=7,
            module="/usr/bin/app",
            offset=0x1010,
            origin=Origin.DEPENDENCY,
            crate="bcrypt 0.17.1",
            inlined=True,
        ),
        Frame(
            address=0,
            function="app::login::{async fn}",
            raw="_RNCNvCs12_3app5login0",
            file="src/login.rs",
            line=7,
            module="/usr/bin/app",
            offset=0x1010,
            origin=Origin.USER,
            crate="app",
        ),
    )


def test_instances_of_one_function_have_one_name() -> None:
    one, two = describe(
        "app", 0, (_raw("_RINvCs12_3app5parsehE"), _raw("_RINvCs12_3app5parsemE")), {}
    )
    assert one.function == two.function == "app::parse"
    assert one.raw != two.raw


def test_names_from_debug_info_alone() -> None:
    rust, c, nothing = describe(
        "app",
        0,
        (
            _raw("", "app::spawn<app::run::{async_block_env#0}>", "src/main.rs"),
            _raw("", "compress_block", "zlib/deflate.c"),
            _raw(),
        ),
        {},
    )
    assert (rust.function, rust.origin) == ("app::spawn", Origin.USER)
    assert (c.function, c.origin) == ("compress_block", Origin.C)
    assert (nothing.function, nothing.origin, nothing.module) == ("", Origin.UNKNOWN, "app")


def test_other_languages_stay_as_they_are() -> None:
    names = [frame.function for frame in describe(
        "/lib/libc.so.6", 0, (_raw("memcpy@@GLIBC_2.14"), _raw("_ZNSt6vectorIiE9push_backEOi")), {}
    )]  # fmt: skip
    assert names == ["memcpy", "_ZNSt6vectorIiE9push_backEOi"]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="<>:{}#impl asfor&*[](),-T_x0 ", max_size=60), st.text(max_size=40))
def test_any_name_and_path_end(name: str, path: str) -> None:
    function = readable(name)
    assert isinstance(whose(function, path, name, {}, rust=True).origin, Origin)


def test_a_line_of_a_macros_crate_is_not_the_users() -> None:
    name = "_ZN3app3run17h0123456789abcdefE"
    macro = _raw(name, "", f"{CARGO}/tracing-0.1.41/src/macros.rs")
    own = _raw(name, "", "/home/me/app/src/run.rs")
    (frame,) = describe("app", 0, [macro], CRATES)
    assert (frame.origin, frame.file, frame.line) == (Origin.USER, "", 0)
    (frame,) = describe("app", 0, [own], CRATES)
    assert (frame.file, frame.line) == ("/home/me/app/src/run.rs", 7)
