"""Every remedy is reached by a stack as hud prints them, and none is guessed."""

from __future__ import annotations

from dataclasses import replace
from string import Formatter
from typing import NamedTuple

import pytest

from hud.analysis.advice.advise import ADVICE, LONGEST, NO_ADVICE, advise, advise_stack, match
from hud.analysis.advice.libraries import PUBLIC
from hud.analysis.advice.remedy import ASYNC, LIBRARY, NAMELESS, OPAQUE, OWN, Remedy
from hud.analysis.cause import Cause
from hud.analysis.results import Blocker, Case
from hud.analysis.slices import NO_HISTORY
from hud.model import Frame, Origin, Stack
from hud.symbols.names import readable, whose

MS = 1_000_000
MOVED = "tokio::task::spawn_blocking(move || {}).await"


def frame(name: str, **changes: object) -> Frame:
    """A frame as hud describes it without debug info; ``libc.so.6+0x10`` has no name."""
    if "+0x" in name:
        return replace(Frame(0, module=name.partition("+")[0], offset=16), **changes)  # type: ignore[arg-type]
    name = readable(name)
    place = whose(name, "", "/usr/lib/libc.so.6", {}, rust="::" in name)
    made = Frame(0, name, origin=place.origin, crate=place.crate)
    return replace(made, **changes)  # type: ignore[arg-type]


def stack(text: str) -> Stack:
    """``blamed > its call > its call ..``, inside a task of Tokio."""
    inner = tuple(frame(name.strip()) for name in reversed(text.split(" > ")))
    outer = (
        frame("tokio::runtime::task::raw::poll"),
        frame("tokio::runtime::scheduler::multi_thread::worker::Context::run_task"),
        frame("std::sys::thread::unix::Thread::new::thread_start"),
    )
    return Stack((), True, frames=inner + outer)


class Example(NamedTuple):
    row: str
    cause: Cause
    calls: str
    code: str = ""
    """What the code must hold."""


EXAMPLES = (
    Example(
        "tokio child",
        Cause.CHILD,
        "api::run::{{closure}} > tokio::process::Command::spawn > posix_spawn > vfork",
        "command.spawn()",
    ),
    Example(
        "gil",
        Cause.LOCK,
        "app::call::{{closure}} > pyo3::internal::state::AttachGuard::attach > PyGILState_Ensure"
        " > take_gil > pthread_cond_timedwait",
        "Python::attach",
    ),
    Example("gil", Cause.LOCK, "app::call::{{closure}} > PyEval_RestoreThread > take_gil"),
    Example(
        "python",
        Cause.CPU,
        "app::call::{{closure}} > pyo3::types::any::PyAny::call1 > PyObject_Vectorcall"
        " > _PyEval_EvalFrameDefault",
    ),
    Example(
        "flume",
        Cause.LOCK,
        "app::get > flume::Receiver<T>::recv > std::thread::park > syscall",
        "recv_async",
    ),
    Example(
        "async_channel",
        Cause.LOCK,
        "app::get > async_channel::Receiver<T>::recv_blocking > std::thread::park",
    ),
    Example("flume", Cause.CPU, "app::get > flume::Receiver<T>::recv > sched_yield"),
    Example(
        "lock in a library",
        Cause.LOCK,
        "app::next::{{closure}}"
        " > <flume::async::RecvFut<T> as core::future::future::Future>::poll"
        " > flume::Shared<T>::recv > std::sys::sync::mutex::futex::Mutex::lock_contended",
    ),
    Example("read by symbol", Cause.CPU, "app::page::{{closure}} > server+0x10 > read"),
    Example("kanal", Cause.LOCK, "app::get > kanal::Receiver<T>::recv > std::thread::park"),
    Example(
        "crossbeam",
        Cause.LOCK,
        "app::get > crossbeam_channel::channel::Receiver<T>::recv > std::thread::park",
    ),
    Example("file by symbol", Cause.CPU, "app::list::{{closure}} > statx"),
    Example("file by symbol", Cause.CPU, "app::list::{{closure}} > __GI___readdir64"),
    Example(
        "select",
        Cause.CPU,
        "app::serve::{{closure}}::{{closure}} > tokio::macros::support::thread_rng_n",
        "yield_now",
    ),
    Example("waiting", Cause.WAITING, "api::get > bcrypt::hash"),
    Example(
        "hud's own probes",
        Cause.FAULT,
        "tokio::runtime::task::state::State::transition_to_idle",
    ),
    Example("stopped", Cause.STOPPED, "api::get > std::fs::read::inner > read"),
    Example(
        "block_on",
        Cause.LOCK,
        "api::get > futures_executor::local_pool::block_on > std::thread::local::LocalKey<T>::with"
        " > futures_executor::local_pool::run_executor::{{closure}} > std::thread::park > syscall",
        "future.await",
    ),
    Example(
        "block_on",
        Cause.NETWORK,
        "api::get > tokio::runtime::runtime::Runtime::block_on"
        " > tokio::runtime::context::runtime::enter_runtime > epoll_wait",
    ),
    Example(
        "sqlite",
        Cause.SYNC,
        "store::save > rusqlite::statement::Statement::execute > sqlite3_step > fsync",
        "save(..)",
    ),
    Example("sqlite", Cause.CPU, "store::count > sqlite3_step > sqlite3VdbeExec"),
    Example(
        "diesel",
        Cause.NETWORK,
        "store::users::{closure} > diesel::pg::connection::raw::RawConnection::exec > PQexec",
    ),
    Example("diesel", Cause.NETWORK, "store::users > PQgetResult > libpq.so.5+0x10 > poll"),
    Example(
        "postgres",
        Cause.NETWORK,
        "store::users > postgres::client::Client::query > postgres::Connection::block_on"
        " > tokio::runtime::runtime::Runtime::block_on",
    ),
    Example("mysql", Cause.NETWORK, "store::users > mysql::conn::Conn::query > recvfrom"),
    Example(
        "redis",
        Cause.NETWORK,
        "cache::get::{closure} > redis::connection::ConnectionLike::req_command"
        " > <std::os::unix::net::UnixStream as std::io::Read>::read > recv",
    ),
    Example(
        "mongodb", Cause.LOCK, "store::all > mongodb::sync::coll::Collection<T>::find > syscall"
    ),
    Example(
        "r2d2",
        Cause.LOCK,
        "store::users > r2d2::Pool<M>::get > parking_lot::condvar::Condvar::wait_until_internal",
    ),
    Example(
        "stores",
        Cause.FILE,
        "store::put > sled::tree::Tree::insert > std::os::unix::fs::FileExt::write_all_at",
        "{ .. }",
    ),
    Example("stores", Cause.CPU, "store::put > rocksdb_put"),
    Example(
        "reqwest",
        Cause.LOCK,
        "api::fetch > reqwest::blocking::client::Client::execute > reqwest::blocking::wait::timeout"
        " > std::thread::park_timeout > syscall",
    ),
    Example(
        "http",
        Cause.NETWORK,
        "api::fetch > ureq::request::Request::call > ureq::unit::connect"
        " > <std::net::tcp::TcpStream as std::io::Read>::read > recv",
    ),
    Example(
        "http",
        Cause.DNS,
        "api::fetch > ureq::request::Request::call > ureq::stream::connect_host"
        " > <str as std::net::socket_addr::ToSocketAddrs>::to_socket_addrs > getaddrinfo",
    ),
    Example("other blocking", Cause.FILE, "ci::fetch > git2::remote::Remote::fetch > read"),
    Example(
        "rayon",
        Cause.LOCK,
        "stats::sum > <rayon::range::Iter<u64> as rayon::iter::ParallelIterator>::drive_unindexed"
        " > rayon_core::registry::Registry::in_worker_cold > rayon_core::latch::LockLatch::wait"
        " > std::sys::sync::condvar::futex::Condvar::wait > syscall",
    ),
    Example(
        "logs",
        Cause.PIPE,
        "api::get > tracing_core::event::Event::dispatch"
        " > <tracing_subscriber::fmt::fmt_layer::Layer<S,N,E,W> as"
        " tracing_subscriber::layer::Layer<S>>::on_event"
        " > <std::io::stdio::Stdout as std::io::Write>::write_all > write",
    ),
    Example(
        "drop",
        Cause.CPU,
        "demo_server::handlers::parse_report > core::ptr::drop_in_place<serde_json::value::Value>"
        " > <alloc::vec::Vec<T,A> as core::ops::drop::Drop>::drop > free",
    ),
    Example(
        "drop",
        Cause.CPU,
        "zoo::empty > <alloc::collections::btree::map::BTreeMap<K,V,A> as"
        " core::ops::drop::Drop>::drop > free",
    ),
    Example("drop", Cause.SYSCALL, "zoo::empty > munmap"),
    Example("drop", Cause.CPU, "zoo::empty > __GI___libc_free > _int_free"),
    Example("drop", Cause.CPU, "zoo::empty > alloc::sync::Arc<T,A>::drop_slow"),
    Example(
        "hash",
        Cause.CPU,
        "demo_server::handlers::hash_password > bcrypt::hash > bcrypt::_hash_password"
        " > bcrypt::bcrypt::bcrypt > blowfish::Blowfish::bc_expand_key"
        " > blowfish::Blowfish<T>::encrypt",
        MOVED.format("bcrypt::hash(..)"),
    ),
    Example(
        "hash",
        Cause.CPU,
        "api::login::{{closure}} > argon2::Argon2::fill_blocks",
        MOVED.format("{ .. }"),
    ),
    Example(
        "async compression",
        Cause.CPU,
        "api::serve::{async fn} > async_compression::tokio::write::Encoder<W,E>::do_poll_write"
        " > compression_codecs::gzip::encoder::GzipEncoder::encode"
        " > miniz_oxide::deflate::core::compress_inner",
    ),
    Example(
        "compression",
        Cause.CPU,
        "demo_server::handlers::compress_payload > std::io::Write::write_all"
        " > <flate2::mem::Compress as flate2::zio::Ops>::run_vec"
        " > miniz_oxide::deflate::stream::deflate > miniz_oxide::deflate::core::compress_inner",
        MOVED.format("compress_payload(..)"),
    ),
    Example("compression", Cause.CPU, "api::pack > ZSTD_compressStream2 > ZSTD_compressBlock_fast"),
    Example(
        "parsing",
        Cause.CPU,
        "demo_server::handlers::parse_report > serde_json::de::from_trait"
        " > <serde_json::value::Value as serde_core::de::Deserialize>::deserialize > malloc"
        " > mprotect",
        MOVED.format("parse_report(..)"),
    ),
    Example(
        "parsing",
        Cause.CPU,
        "zoo::blocking::parse_document > serde_json::de::from_str > serde_json::de::from_trait",
        MOVED.format("serde_json::from_str(..)"),
    ),
    Example(
        "parsing",
        Cause.CPU,
        "<api::Row as serde_core::de::Deserialize>::deserialize::Visitor::visit_map",
    ),
    Example(
        "rendering", Cause.CPU, "site::page > comrak::html::format_document > memcpy", "{ .. }"
    ),
    Example(
        "image",
        Cause.CPU,
        "api::thumbnail > image::imageops::sample::vertical_sample",
        "{ .. }",
    ),
    Example(
        "regex compile",
        Cause.CPU,
        "api::check > regex::regex::string::Regex::new > regex::builders::Builder::build_one_string"
        " > regex_automata::meta::regex::Builder::build_many_from_hir",
        "LazyLock",
    ),
    Example(
        "regex",
        Cause.CPU,
        "api::scan > <regex_automata::meta::strategy::Core as"
        " regex_automata::meta::strategy::Strategy>::search",
        "scan(..)",
    ),
    Example(
        "tls",
        Cause.CPU,
        "api::accept::{async fn} > <tokio_rustls::Accept<IO> as core::future::future::Future>::poll"
        " > rustls::conn::ConnectionCommon<D>::complete_io > ring::rsa::keypair::KeyPair::sign",
    ),
    Example("crypto", Cause.CPU, "api::sign > ring::rsa::keypair::KeyPair::sign", "sign(..)"),
    Example("crypto", Cause.CPU, "ring_core_0_17_14__bn_mul_mont_nohw"),
    Example("spinning", Cause.CPU, "api::wait > __sched_yield"),
    Example("spinning", Cause.CPU, "api::wait > std::thread::functions::yield_now > sched_yield"),
    Example(
        "sort",
        Cause.CPU,
        "zoo::blocking::sort_numbers > core::slice::sort::stable::driftsort_main"
        " > core::slice::sort::stable::drift::sort",
        "sort_numbers(..)",
    ),
    Example("sort", Cause.CPU, "zoo::blocking::sort_numbers > <[T]>::sort"),
    Example(
        "clone",
        Cause.CPU,
        "api::f > <alloc::collections::btree::map::BTreeMap<K,V,A> as core::clone::Clone>::clone"
        "::clone_subtree > <alloc::string::String as core::clone::Clone>::clone > malloc",
    ),
    Example(
        "copy",
        Cause.CPU,
        "kv::frame::Frame::parse > bytes::bytes::Bytes::copy_from_slice > memmove",
    ),
    Example("allocation", Cause.CPU, "demo_server::connection::{{closure}} > calloc"),
    Example(
        "allocation", Cause.FAULT, "api::f > alloc::raw_vec::RawVecInner<A>::grow_one > realloc"
    ),
    Example(
        "sleep",
        Cause.SLEEP,
        "zoo::run::{{closure}} > std::thread::functions::sleep > clock_nanosleep",
    ),
    Example(
        "dns",
        Cause.DNS,
        "demo_server::connection::{{closure}} > core::iter::traits::iterator::Iterator::sum"
        " > <str as std::net::socket_addr::ToSocketAddrs>::to_socket_addrs"
        " > std::net::socket_addr::lookup_host > getaddrinfo > __open64_nocancel",
    ),
    Example(
        "child start",
        Cause.CHILD,
        "ci::start > std::process::Command::spawn > posix_spawn",
    ),
    Example(
        "child",
        Cause.CHILD,
        "zoo::blocking::run_command > std::process::Command::status"
        " > std::sys::process::unix::unix::Process::wait > wait4",
    ),
    Example(
        "child",
        Cause.CHILD,
        "ci::run > std::process::Command::output > std::process::Command::spawn > vfork",
    ),
    Example("futex", Cause.LOCK, "app::wait > syscall"),
    Example(
        "lock in a library",
        Cause.LOCK,
        "api::get::{{closure}} > sharded_slab::pool::Pool<T,C>::clear"
        " > std::sys::sync::mutex::futex::Mutex::lock_contended > syscall",
    ),
    Example(
        "runtime lock",
        Cause.LOCK,
        "zoo::allowed::tokio_fs::{{closure}} > tokio::runtime::blocking::pool::spawn_blocking"
        " > tokio::runtime::blocking::pool::Spawner::spawn_task"
        " > std::sys::sync::mutex::futex::Mutex::lock_contended > syscall",
    ),
    Example(
        "thread join",
        Cause.LOCK,
        "api::work > std::thread::join_handle::JoinHandle<T>::join"
        " > std::sys::thread::unix::Thread::join > pthread_join",
    ),
    Example(
        "channel",
        Cause.LOCK,
        "zoo::blocking::Holder::hold > std::sync::mpmc::list::Channel<T>::recv"
        " > std::sync::mpmc::list::Channel<T>::recv::{{closure}}"
        " > std::thread::thread::Thread::park > syscall",
    ),
    Example("barrier", Cause.LOCK, "api::meet > std::sync::barrier::Barrier::wait > syscall"),
    Example(
        "condvar",
        Cause.LOCK,
        "api::wait > std::sync::poison::condvar::Condvar::wait"
        " > std::sys::sync::condvar::futex::Condvar::wait > syscall",
    ),
    Example(
        "condvar",
        Cause.LOCK,
        "api::wait > parking_lot::condvar::Condvar::wait_until_internal > syscall",
    ),
    Example(
        "once",
        Cause.LOCK,
        "api::table > std::sync::once_lock::OnceLock<T>::initialize"
        " > std::sys::sync::once::futex::Once::call > syscall",
    ),
    Example(
        "dashmap",
        Cause.LOCK,
        "cache::put > dashmap::lock::RawRwLock::lock_exclusive_slow > syscall",
    ),
    Example(
        "lock",
        Cause.LOCK,
        "demo_server::handlers::update_cache > std::sys::sync::mutex::futex::Mutex::lock_contended"
        " > syscall",
    ),
    Example(
        "lock", Cause.LOCK, "cache::get > std::sys::sync::rwlock::futex::RwLock::read_contended"
    ),
    Example("lock", Cause.LOCK, "cache::get > parking_lot::raw_mutex::RawMutex::lock_slow"),
    Example("park", Cause.LOCK, "api::wait > std::thread::functions::park_timeout > syscall"),
    Example(
        "net type",
        Cause.NETWORK,
        "api::peer > <std::net::tcp::TcpStream as std::io::Read>::read > recv",
        "tokio::net::TcpStream",
    ),
    Example("net", Cause.NETWORK, "api::peer > libpeer.so.1+0x10"),
    Example(
        "stdin",
        Cause.PIPE,
        "api::ask > std::io::stdio::Stdin::read_line > std::io::append_to_string > read",
    ),
    Example("stdout", Cause.PIPE, "api::get > std::io::stdio::_print > write"),
    Example(
        "pipe",
        Cause.PIPE,
        "zoo::blocking::read_answer > <std::io::pipe::PipeReader as std::io::Read>::read > read",
    ),
    Example("fsync", Cause.SYNC, "zoo::blocking::save_safely > std::fs::File::sync_all > fsync"),
    Example("fsync", Cause.FILE, "zoo::blocking::save_safely > std::fs::File::sync_data"),
    Example("fsync by call", Cause.SYNC, "store::Index::save > fsync"),
    Example(
        "many files",
        Cause.FILE,
        "ci::clean > std::fs::remove_dir_all > std::sys::fs::unix::remove_dir_impl::remove_dir_all",
        "clean(..)",
    ),
    Example(
        "many files",
        Cause.FILE,
        "ci::list > <std::fs::ReadDir as core::iter::traits::iterator::Iterator>::next",
    ),
    Example(
        "file call",
        Cause.FILE,
        "demo_server::handlers::read_config > std::fs::read::inner"
        " > std::io::default_read_to_end > read",
        "tokio::fs::read(..).await",
    ),
    Example(
        "many files",
        Cause.FILE,
        "ci::clean > std::sys::fs::remove_dir_all > unlinkat",
        "clean(..)",
    ),
    Example(
        "file call",
        Cause.FILE,
        "api::static_file > std::sys::fs::metadata > std::sys::fs::unix::try_statx > statx",
        "tokio::fs::metadata(..).await",
    ),
    Example(
        "file path", Cause.FILE, "api::static_file > std::path::Path::exists > std::fs::metadata"
    ),
    Example(
        "file",
        Cause.FILE,
        "zoo::blocking::save_safely > std::fs::OpenOptions::_open"
        " > std::sys::fs::unix::File::open_c > open64",
    ),
    Example("file by call", Cause.FILE, "api::load > libdata.so+0x10"),
    Example(
        "memory map",
        Cause.FAULT,
        "bytes::bytes_mut::BytesMut::reserve_inner > realloc > sysmalloc_mmap > mmap",
    ),
    Example("page faults", Cause.FAULT, "index::lookup"),
    Example("own code", Cause.CPU, "zoo::specimen::Specimen::blocked"),
    Example("own code", Cause.CPU, "stats::sum > core::iter::traits::iterator::Iterator::fold"),
    Example("library", Cause.CPU, "api::due > chrono::format::parse::parse_rfc3339", "due(..)"),
    Example("file lock", Cause.LOCK, "store::open > __flock", "spawn_blocking"),
    Example("file lock", Cause.LOCK, "store::open > std::fs::File::lock > flock"),
    Example(
        "asleep in a library",
        Cause.SLEEP,
        "api::get > chrono::doze > std::thread::sleep > clock_nanosleep",
        "get(..)",
    ),
    Example(
        "asleep in a library",
        Cause.DNS,
        "api::get > chrono::ask > std::net::socket_addr::to_socket_addrs > getaddrinfo",
    ),
    Example("system call", Cause.SYSCALL, "device::ask > ioctl", "ask(..)"),
    Example("no name", Cause.CPU, "server+0x1234", "CARGO_PROFILE_RELEASE_DEBUG=1"),
)


def row_named(name: str) -> Remedy:
    return next(row for row in ADVICE if row.name == name)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.row}: {one.calls[:40]}")
def test_each_example_meets_its_row(example: Example) -> None:
    found = stack(example.calls)
    assert found.frames is not None
    matched = match(example.cause, found.frames)
    assert matched is not None
    assert matched.remedy.name == example.row
    assert example.code in advise_stack(example.cause, found).code


def test_each_row_is_reached() -> None:
    names = [row.name for row in ADVICE]
    assert len(set(names)) == len(names)
    assert set(names) == {example.row for example in EXAMPLES}


def test_each_cause_but_the_unknown_has_advice() -> None:
    causes = {one.cause for one in EXAMPLES if row_named(one.row).fix}
    assert causes == set(Cause) - {Cause.UNKNOWN}


@pytest.mark.parametrize("row", ADVICE, ids=lambda row: row.name)
@pytest.mark.parametrize("typical_ns", [0, 620_000, 66 * MS, 66_200 * MS, 3_719_000 * MS])
def test_words_fit_a_line(row: Remedy, typical_ns: int) -> None:
    example = next(one for one in EXAMPLES if one.row == row.name)
    advice = advise_stack(example.cause, stack(example.calls), typical_ns)
    if not row.fix:
        assert advice == NO_ADVICE
        return
    assert 0 < len(advice.text) <= LONGEST
    assert advice.text[0].islower()
    assert not advice.text.endswith(".")
    assert advice.reason
    assert "\n" not in advice.text + advice.reason + advice.code
    longest = {name: "x" * 26 for _, name, _, _ in Formatter().parse(row.fix) if name}
    assert len(row.fix.format_map(longest)) <= (53 if row.moves else 60)


def test_the_fix_is_an_imperative_and_nothing_else() -> None:
    hashing = stack("api::login::hash_password > bcrypt::hash > bcrypt::bcrypt::bcrypt")
    advice = advise_stack(Cause.CPU, hashing, 66 * MS)
    assert advice.text == "call bcrypt::hash in spawn_blocking"
    assert advice.code == MOVED.format("bcrypt::hash(..)")


def test_below_a_millisecond_it_is_often_not_worth_moving() -> None:
    hashing = stack("api::login > bcrypt::verify")
    assert advise_stack(Cause.CPU, hashing, 620_000).text == (
        "often not worth moving (620 us); if frequent: call bcrypt::verify in spawn_blocking"
    )
    nap = advise_stack(Cause.SLEEP, stack("api::f > std::thread::functions::sleep"), 620_000)
    assert nap.text == "replace the sleep with tokio::time::sleep"


@pytest.mark.parametrize(
    ("cause", "calls"),
    [
        (Cause.UNKNOWN, "api::get > std::iter::fold"),
        (Cause.CPU, "libc.so.6+0x1098d9"),
        (Cause.SYSCALL, "libc.so.6+0x1098d9"),
        (Cause.SYSCALL, "server+0x1234"),
        (Cause.LOCK, "server+0x1234 > libc.so.6+0x9508b"),
        (Cause.LOCK, "api::get > malloc > libc.so.6+0x9697c > __lll_lock_wait_private"),
        (Cause.CPU, "tokio::runtime::scheduler::multi_thread::worker::Context::park > epoll_wait"),
        (Cause.CPU, "hyper::proto::h1::dispatch::Dispatcher<D,Bs,I,T>::poll_read > memcpy"),
        (Cause.CPU, "api::serve::{closure} > hyper::proto::h2::server::Server<T,S,B,E>::poll"),
        (Cause.CPU, "api::serve::{closure} > tokio::sync::broadcast::Sender<T>::send"),
        (Cause.CPU, "api::get::{closure} > sqlx_core::query::Query<DB,A>::fetch > memcpy"),
    ],
)
def test_no_advice_without_a_ground(cause: Cause, calls: str) -> None:
    assert advise_stack(cause, stack(calls), 66 * MS) == NO_ADVICE


def test_no_advice_without_a_stack_or_names() -> None:
    assert advise_stack(Cause.CPU, None, 66 * MS) == NO_ADVICE
    assert advise_stack(Cause.CPU, Stack((1, 2), True), 66 * MS) == NO_ADVICE
    assert advise_stack(Cause.CPU, Stack((), False, "unreadable", ()), 66 * MS) == NO_ADVICE
    assert not NO_ADVICE


def test_the_outermost_call_decides() -> None:
    """It is what the author wrote; what lies below belongs to the library."""
    parse = "api::load > serde_json::de::from_reader > std::fs::File::read > bcrypt::hash"
    assert advise_stack(Cause.CPU, stack(parse)).text.startswith("call serde_json::from_reader ")
    hash_first = "api::load > bcrypt::hash > serde_json::de::from_str"
    assert advise_stack(Cause.CPU, stack(hash_first)).text.startswith("call bcrypt::hash ")
    clearing = "api::load > foo::build > chrono::offset::local > malloc"
    assert advise_stack(Cause.CPU, stack(clearing)).text == "call chrono in spawn_blocking"


def inferred(name: str, crate: str, origin: Origin = Origin.DEPENDENCY) -> Frame:
    return Frame(0, name, origin=origin, crate=crate, inferred=True)


def fix_of(cause: Cause, frames: tuple[Frame, ...]) -> str:
    return advise_stack(cause, Stack((), True, frames=frames)).text


TASK = frame("tokio::runtime::task::harness::Harness<T,S>::poll")
LISTING = frame("app::list::{{closure}}", file="/home/me/app/src/list.rs", line=9)


def test_no_crate_is_named_by_a_guess() -> None:
    """A directory listing into which a HeaderValue was inlined is not ``call http``."""
    guess = inferred("http/src/header/value.rs:88", "http 1.3.1")
    assert fix_of(Cause.CPU, (frame("statx"), guess, LISTING, TASK)).startswith("use tokio::fs")
    assert fix_of(Cause.CPU, (frame("realpath"), guess, LISTING, TASK)).startswith("use tokio::fs")
    guess = inferred("ureq/src/agent.rs:1", "ureq 3.0.0")
    assert "ureq" not in fix_of(Cause.CPU, (frame("memcpy"), guess, LISTING, TASK))
    assert fix_of(Cause.SLEEP, (frame("nanosleep"), guess, LISTING, TASK)).startswith("replace")


def test_two_functions_of_a_crate_are_no_guess() -> None:
    """One place may be a helper's that is inlined everywhere."""
    whole = (
        inferred("brotli/src/enc/encode.rs:361", "brotli 9.1.1"),
        inferred("brotli/src/enc/static_dict.rs:35", "brotli 9.1.1"),
    )
    assert fix_of(Cause.CPU, (*whole, LISTING, TASK)) == "call brotli in spawn_blocking"
    for some in (whole[:1], (whole[0], whole[0])):
        assert fix_of(Cause.CPU, (*some, LISTING, TASK)).startswith("move it")
    # of a crate that may be full of helpers they are
    helpers = tuple(replace(one, crate="anyhow 1.0.100") for one in whole)
    assert fix_of(Cause.CPU, (*helpers, LISTING, TASK)).startswith("move it")
    lone = inferred("oddball/src/lib.rs:9", "oddball 0.1.0")
    assert fix_of(Cause.CPU, (frame("memcpy"), lone, TASK)) == "call the library in spawn_blocking"
    core = tuple(replace(one, crate="compression_core 0.4.34") for one in whole)
    stream = inferred("async_compression/src/tokio/bufread/generic/mod.rs:31", "async_compression")
    assert fix_of(Cause.CPU, (*core, stream, TASK)).startswith("lower the compression level")


def test_a_future_that_is_awaited_cannot_be_called_in_another_thread() -> None:
    polled = (
        "app::wake::{{closure}} > <flume::async::SendFut<T> as core::future::future::Future>::poll"
    )
    assert advise_stack(Cause.CPU, stack(f"{polled} > syscall")).text == ""
    assert advise_stack(Cause.CPU, stack("app::f > chrono::publish::{async} > memcpy")).text == ""
    inside = inferred("rustls/src/vecbuf.rs:199", "rustls 0.23.37")
    writes = inferred("tokio/src/io/poll_evented.rs:289", "tokio 1.54.1", Origin.RUNTIME)
    assert fix_of(Cause.CPU, (frame("writev"), writes, inside, TASK)) == ""


def test_what_moves_is_what_the_users_code_calls() -> None:
    inner = "ring::ec::suite_b::ecdsa::signing::EcdsaKeyPair::sign"
    text = advise_stack(Cause.CPU, stack(f"app::sign > chrono::sign > {inner}")).text
    assert text == "call chrono in spawn_blocking"
    # the crate that owns the task's future is as good as the user's
    owner = "rayon::signs::{{closure}} > rayon::sign_zone"
    text = advise_stack(Cause.CPU, stack(f"{owner} > chrono::sign > {inner}")).text
    assert text == "call chrono in spawn_blocking"
    text = advise_stack(Cause.CPU, stack(f"app::hello > axum::json::to_bytes > {inner}")).text
    assert text == "call ring in spawn_blocking"


def test_an_asynchronous_write_that_is_a_guess_cannot_be_moved() -> None:
    guess = inferred("tokio/src/io/util/write_all.rs:45", "tokio 1.54.1", Origin.RUNTIME)
    assert fix_of(Cause.CPU, (frame("__libc_send"), guess, LISTING, TASK)) == ""
    assert fix_of(Cause.CPU, (frame("recvmsg"), guess, LISTING, TASK)) == ""
    assert fix_of(Cause.CPU, (frame("memcpy"), guess, LISTING, TASK)).startswith("move it")


@pytest.mark.parametrize(
    "crate", ["hyper", "hyper_util", "actix_web", "actix_http", "tonic", "tower", "axum", "h2"]
)
def test_nobody_moves_what_polls_the_task(crate: str) -> None:
    for cause in (Cause.CPU, Cause.SLEEP, Cause.SYSCALL):
        calls = f"{crate}::serve::Connection<T>::poll > memcpy"
        assert crate not in advise_stack(cause, stack(calls)).text
        assert crate not in advise_stack(cause, stack(f"app::f > {calls}")).text
    for host in (
        "<F as axum::handler::Handler<((),),S>>::call::{{closure}}",
        "tonic::server::grpc::Grpc<T>::unary::{{closure}}",
        "actix_web::handler::handler_service::{{closure}}::{{closure}}",
    ):
        advice = advise_stack(Cause.CPU, stack(f"{host} > bcrypt::hash")).text
        assert advice == "call bcrypt::hash in spawn_blocking"
        assert advise_stack(Cause.CPU, stack(host)).text.startswith("move it to spawn_blocking, or")


def test_a_libraries_clones_drops_sorts_and_allocations_are_its_business() -> None:
    render = "app::metrics::{{closure}} > metrics_exporter_prometheus::handle::Handle::render"
    for inner in (
        "<alloc::string::String as core::clone::Clone>::clone",
        "core::ptr::drop_in_place<alloc::vec::Vec<u8>>",
        "alloc::raw_vec::RawVec<T>::grow_one",
        "core::slice::sort::stable::driftsort_main",
        "malloc",
        "__GI___libc_free",
    ):
        text = advise_stack(Cause.CPU, stack(f"{render} > {inner}")).text
        assert text == "call metrics_exporter_prometheus in spawn_blocking", inner
        own = advise_stack(Cause.CPU, stack(f"app::metrics > {inner}")).text
        assert own.startswith(("share it", "drop large", "reuse the", "sort in")), inner


def test_what_a_framework_clones_is_its_business() -> None:
    own = "<im::hash::map::HashMap<K,V> as core::clone::Clone>::clone"
    assert advise_stack(Cause.CPU, stack(own)).text.startswith("share it in an Arc")
    theirs = "<h2::proto::streams::streams::OpaqueStreamRef as core::clone::Clone>::clone"
    assert not advise_stack(Cause.CPU, stack(theirs))


def test_what_is_made_for_each_element_is_no_buffer_that_grows() -> None:
    collect = "alloc::vec::spec_from_iter_nested::SpecFromIterNested<T,I>>::from_iter"
    for each in (f"<alloc::vec::Vec<T> as {collect}", "core::iter::adapters::map::map_fold"):
        for inner in ("malloc", "free", "<alloc::string::String as core::clone::Clone>::clone"):
            text = advise_stack(Cause.CPU, stack(f"app::render > {each} > {inner}")).text
            assert text.startswith("move it to spawn_blocking"), (each, inner)


def test_what_tokio_does_inside_is_nobodys_to_change() -> None:
    """mio's eventfd, written to wake the driver, is a file to std."""
    wake = (
        "app::tick::{{closure}} > <tokio::time::sleep::Sleep as core::future::Future>::poll"
        " > tokio::runtime::io::driver::Handle::unpark > mio::sys::unix::waker::Waker::wake"
        " > <&std::fs::File as std::io::Write>::write > write"
    )
    for cause in (Cause.CPU, Cause.FILE, Cause.SYSCALL):
        assert not advise_stack(cause, stack(wake))


def test_a_child_that_tokio_starts() -> None:
    """It blocks in spawn itself: to use tokio::process is no advice."""
    start = (
        "app::run::{{closure}} > tokio::process::Command::output > tokio::process::Command::spawn"
        " > std::process::Command::spawn > posix_spawn"
    )
    for cause in (Cause.CHILD, Cause.CPU, Cause.PIPE):
        text = advise_stack(cause, stack(start)).text
        assert text == "start the child process from spawn_blocking"


SPAWN = "std/src/sys/process/unix/unix.rs:149"


def placed(function: str, origin: Origin = Origin.STD) -> Frame:
    """A function of a stripped file, told by a panic location in it."""
    file, _, line = function.rpartition(":")
    return Frame(0, function, file=file, line=int(line), origin=origin, inferred=True)


@pytest.mark.parametrize(
    ("call", "fix"),
    [
        ("recv", "start the child process from spawn_blocking"),
        ("__wait4", "run the child process with tokio::process::Command"),
    ],
)
def test_a_child_of_a_stripped_file(call: str, fix: str) -> None:
    """sccache: std's file says what the function without a name is for."""
    frames = (frame(call), placed(SPAWN), placed("src/mock_command.rs:249", Origin.USER), TASK)
    assert fix_of(Cause.CHILD, frames) == fix
    # of anybody else an inferred place is no ground for an advice
    frames = (frame(call), placed(SPAWN, Origin.DEPENDENCY), *frames[2:])
    assert not fix_of(Cause.CHILD, frames).startswith("start")


def test_files_of_a_stripped_file() -> None:
    own = placed("src/main.rs:20", Origin.USER)
    frames = (frame("read"), placed("std/src/fs.rs:1042"), own, TASK)
    assert fix_of(Cause.FILE, frames).startswith("use tokio::fs")


def test_a_lock_of_a_stripped_file() -> None:
    """Which kind of it is not known, but that it waits for another thread is."""
    frames = (frame("syscall"), placed("src/state.rs:20", Origin.USER), TASK)
    assert fix_of(Cause.LOCK, frames) == "wait for it with tokio::sync, or in spawn_blocking"


def test_block_on_is_right_on_a_thread_that_is_no_worker() -> None:
    calls = (
        frame("std::thread::functions::sleep"),
        frame("tokio::runtime::park::CachedParkThread::block_on"),
        frame("tokio::runtime::context::runtime::enter_runtime"),
        frame("tokio::runtime::runtime::Runtime::block_on"),
        frame("app::main"),
    )
    assert fix_of(Cause.SLEEP, calls).startswith("replace the sleep")
    assert fix_of(Cause.SLEEP, (*calls, TASK)).startswith("await the future instead")
    hashing = (frame("bcrypt::hash"), *calls[1:])
    assert fix_of(Cause.CPU, hashing) == "call bcrypt::hash in spawn_blocking"


def test_without_a_frame_of_the_users_the_call_alone_advises() -> None:
    calls = "tokio::runtime::task::core::Core<T,S>::poll > std::thread::functions::sleep"
    text = advise_stack(Cause.SLEEP, stack(f"{calls} > __GI___clock_nanosleep")).text
    assert text == "replace the sleep with tokio::time::sleep"


def test_own_modules_named_like_a_crate_are_not_that_crate() -> None:
    own = frame("csv::rows", file="/home/me/csv/src/lib.rs", line=3, origin=Origin.USER)
    assert advise_stack(Cause.CPU, Stack((), True, frames=(own,))).text.startswith("move it to")
    module = stack("api::redis::get")
    assert advise_stack(Cause.CPU, module).text.startswith("move it to spawn_blocking, or await")
    generic = stack("api::get > core::option::Option<flate2::mem::Compress>::map")
    assert "flate2" not in advise_stack(Cause.CPU, generic).text


@pytest.mark.parametrize(
    ("function", "work"),
    [
        ("api::login::check", "check(..)"),
        ("check", "check(..)"),
        ("api::login::{async fn}", "{ .. }"),
        ("api::login::{closure}", "{ .. }"),
        ("api::Login::check", "{ .. }"),
        ("<api::Login as api::Check>::check", "{ .. }"),
        ("api::main", "{ .. }"),
    ],
)
def test_only_plain_functions_are_moved_by_name(function: str, work: str) -> None:
    frames = (frame("argon2::Argon2::fill_blocks"), frame(function, origin=Origin.USER))
    code = advise_stack(Cause.CPU, Stack((), True, frames=frames)).code
    assert code == MOVED.format(work)
    guessed = (frames[0], replace(frames[1], inferred=True))
    assert advise_stack(Cause.CPU, Stack((), True, frames=guessed)).code == MOVED.format("{ .. }")


BLOCKER = Blocker(
    function="api::f",
    where="",
    file="",
    line=0,
    origin=Origin.USER,
    inferred=False,
    operation="",
    cause=Cause.CPU,
    count=2,
    total_ns=100 * MS,
    max_ns=60 * MS,
    p50_ns=40 * MS,
    p99_ns=60 * MS,
    workers=(),
    stacks=((2, 60 * MS), (1, 40 * MS)),
    causes=(),
    task_ids=(),
    history=NO_HISTORY,
    cases=(Case(Cause.CPU, "", 60 * MS, 2),),
)


def test_a_blocker_is_judged_by_the_stack_of_its_main_case() -> None:
    stacks = {1: stack("api::f > bcrypt::hash"), 2: stack("api::f > scrypt::scrypt::scrypt")}
    assert advise(BLOCKER, stacks).text == "call scrypt::scrypt in spawn_blocking"
    assert advise(BLOCKER, {}) == NO_ADVICE
    assert advise(replace(BLOCKER, cases=()), stacks) == NO_ADVICE


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.row}: {one.calls[:40]}")
def test_nothing_is_awaited_under_a_lock(example: Example) -> None:
    row = replace(BLOCKER, cause=example.cause, cases=(Case(example.cause, "", 1, 1),))
    stacks = {1: stack(example.calls)}
    free, held = advise(row, stacks), advise(replace(row, holds=5), stacks)
    assert ".await" not in held.code
    if ".await" in free.code:
        assert held.text == f"release the lock first, then {free.text}"
        assert len(held.text) <= LONGEST
    else:
        assert held == free


def test_tables_are_well_formed() -> None:
    assert len({OWN, LIBRARY, ASYNC, NAMELESS, OPAQUE}) == 5
    for row in ADVICE:
        assert row.causes, row.name
        groups = {*row.pattern.groupindex, "what", "work"}
        for template in (row.fix, row.code):
            used = {name for _, name, _, _ in Formatter().parse(template) if name}
            assert used <= groups, row.name
    for pattern, name in PUBLIC:
        assert pattern.groups >= name.count("\\")
