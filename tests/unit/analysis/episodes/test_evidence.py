"""From system call and stack to a cause."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis.cause import Cause
from hud.analysis.episodes.evidence import cause_of, holds_lock
from hud.analysis.episodes.syscalls import CALLS, NO_CALL, call_name
from hud.model import Frame, Origin

if TYPE_CHECKING:
    from types import ModuleType


X86 = {name: number for number, name in CALLS["x86_64"].items()}
ARM = {name: number for number, name in CALLS["aarch64"].items()}


def cause(call: str, *frames: Frame, machine: str = "x86_64") -> Cause:
    numbers = X86 if machine == "x86_64" else ARM
    number = NO_CALL if call == "" else numbers[call]
    return cause_of(1, 10, number, frames or None, machine).cause


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("futex", Cause.LOCK),
        ("clock_nanosleep", Cause.SLEEP),
        ("nanosleep", Cause.SLEEP),
        ("fsync", Cause.SYNC),
        ("fdatasync", Cause.SYNC),
        ("connect", Cause.NETWORK),
        ("recvfrom", Cause.NETWORK),
        ("sendto", Cause.NETWORK),
        ("accept4", Cause.NETWORK),
        ("wait4", Cause.CHILD),
        ("waitid", Cause.CHILD),
        ("openat", Cause.FILE),
        ("pread64", Cause.FILE),
        ("read", Cause.SYSCALL),
        ("write", Cause.SYSCALL),
        ("ppoll", Cause.SYSCALL),
        ("", Cause.FAULT),
    ],
)
def test_calls_alone(machine: str, call: str, expected: Cause) -> None:
    assert cause(call, machine=machine) is expected


@pytest.mark.parametrize(
    ("call", "library", "expected"),
    [
        ("read", "std::fs::read", Cause.FILE),
        ("read", "<std::fs::File as std::io::Read>::read", Cause.FILE),
        ("read", "<std::io::stdio::Stdin as std::io::Read>::read", Cause.PIPE),
        ("read", "<std::net::TcpStream as std::io::Read>::read", Cause.NETWORK),
        ("read", "std::process::Command::output", Cause.CHILD),
        ("poll", "<str as std::net::ToSocketAddrs>::to_socket_addrs", Cause.DNS),
        ("futex", "std::sync::poison::mutex::Mutex<T>::lock", Cause.LOCK),
        ("futex", "std::sync::mpsc::Receiver<T>::recv", Cause.LOCK),
        ("clock_nanosleep", "std::thread::sleep", Cause.SLEEP),
        ("fsync", "std::fs::File::sync_all", Cause.SYNC),
        ("connect", "std::net::TcpStream::connect", Cause.NETWORK),
        ("recvfrom", "getaddrinfo", Cause.DNS),
        ("", "std::fs::read", Cause.FAULT),
    ],
)
def test_calls_with_frames(build: ModuleType, call: str, library: str, expected: Cause) -> None:
    frames = (build.c("syscall"), build.std(library), build.user("app::f"))
    assert cause(call, *frames) is expected


def test_a_place_in_std_tells_of_a_stripped_file(build: ModuleType) -> None:
    """Std starts a process and reads from a socket whether that went well."""
    spawn = Frame(
        1, "std/src/sys/process/unix/unix.rs:149", origin=Origin.STD, inferred=True, module="app"
    )
    assert cause("recvfrom", build.c("recv"), spawn, build.user("app::f")) is Cause.CHILD
    opened = replace(spawn, function="std/src/fs.rs:1042")
    frames = (build.c("read"), opened, build.user("app::f"))
    assert cause_of(10, 0, -1, frames, "x86_64").cause is Cause.FILE


def test_frames_outside_the_user_code_say_nothing(build: ModuleType) -> None:
    frames = (
        build.c("read"),
        build.user("app::read_it"),
        build.std("std::sync::mpsc::Receiver<T>::recv"),
        build.std("std::process::Command::output"),
    )
    assert cause("read", *frames) is Cause.SYSCALL


def test_computing_and_page_cache(build: ModuleType) -> None:
    assert cause_of(10, 1, X86["futex"], None, "x86_64").cause is Cause.CPU
    frames = (build.c("read"), build.std("std::fs::read"), build.user("app::load"))
    found = cause_of(10, 0, -1, frames, "x86_64")
    assert found == (Cause.FILE, "on the CPU in std::fs::read")
    # names of std are not there in a stripped file
    nameless = Frame(1, module="app", offset=0x100)
    frames = (build.c("statx"), nameless, build.user("app::list"))
    found = cause_of(10, 0, -1, frames, "x86_64")
    assert found == (Cause.FILE, "on the CPU in statx")
    for name in ("readdir64", "open", "realpath"):
        found = cause_of(10, 0, -1, (build.c(name), build.user("app::list")), "x86_64")
        assert found.cause is Cause.FILE, name
    for name in ("read", "writev", "openssl_add", "clock_gettime"):
        found = cause_of(10, 0, -1, (build.c(name), build.user("app::list")), "x86_64")
        assert found.cause is Cause.CPU, name
    assert cause_of(0, 0, -1, None, "x86_64").cause is Cause.UNKNOWN
    assert cause_of(0, 5, -1, None, "x86_64").cause is Cause.UNKNOWN


def test_evidence_in_words(build: ModuleType) -> None:
    frames = (build.c("syscall"), build.std("std::fs::read"), build.user("app::f"))
    assert cause_of(1, 9, 0, frames, "x86_64").evidence == "asleep in read, under std::fs::read"
    assert cause_of(1, 9, 999, None, "x86_64").evidence == "asleep in syscall 999"
    assert call_name(98, "aarch64") == "futex"
    assert call_name(98, "riscv64") == "syscall 98"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (stat.S_IFSOCK, Cause.NETWORK),
        (stat.S_IFIFO, Cause.PIPE),
        (stat.S_IFREG, Cause.FILE),
        (stat.S_IFCHR, Cause.PIPE),
    ],
)
def test_the_descriptor_decides_what_a_read_waits_for(
    build: ModuleType, mode: int, expected: Cause
) -> None:
    # std folds the reading of pipes into that of files
    frames = (build.c("read"), build.std("std::fs::File::read"), build.user("app::f"))
    assert cause_of(1, 9, X86["read"], frames, "x86_64", mode).cause is expected
    # futex has no descriptor, and fsync leaves no doubt
    assert cause_of(1, 9, X86["futex"], None, "x86_64", mode).cause is Cause.LOCK
    assert cause_of(1, 9, X86["fsync"], None, "x86_64", mode).cause is Cause.SYNC


def test_resolving_a_name_reads_from_a_socket(build: ModuleType) -> None:
    frames = (build.c("__res_context_send"), build.c("getaddrinfo"), build.user("app::f"))
    assert cause_of(1, 9, X86["recvfrom"], frames, "x86_64", stat.S_IFSOCK).cause is Cause.DNS


@pytest.mark.parametrize(
    ("call", "function", "expected"),
    [
        ("ioctl", "pipe_read", Cause.PIPE),
        ("openat", "wait_for_partner", Cause.PIPE),
        ("openat", "ext4_lookup", Cause.FILE),
        ("ioctl", "tcp_sendmsg_locked", Cause.NETWORK),
        ("close", "ext4_evict_inode", Cause.FILE),
        ("close", "fuse_flush", Cause.FILE),
        ("ioctl", "drm_ioctl", Cause.SYSCALL),
        ("", "filemap_fault", Cause.FAULT),
        ("", "do_freezer_trap", Cause.STOPPED),
    ],
)
def test_where_in_the_kernel_it_slept(
    build: ModuleType, call: str, function: str, expected: Cause
) -> None:
    frames = (build.kernel(function), build.c("syscall"), build.user("app::f"))
    assert cause(call, *frames) is expected


def test_evidence_names_a_few_kernel_functions(build: ModuleType) -> None:
    inner = [build.kernel(name) for name in ("rq_qos_wait", "submit_bio", "ext4_sync_file", "x")]
    found = cause_of(1, 9, X86["fsync"], [*inner, build.user("app::f")], "x86_64")
    assert found.evidence == ("asleep in fsync; kernel: rq_qos_wait < submit_bio < ext4_sync_file")


@pytest.mark.parametrize(
    ("names", "held"),
    [
        (("std::sys::sync::mutex::futex::Mutex::lock_contended",), True),
        (("std::sys::sync::rwlock::futex::RwLock::write_contended",), True),
        (("parking_lot::raw_mutex::RawMutex::lock_slow",), True),
        (("std::sync::condvar::Condvar::wait", "std::sync::Mutex<T>::lock"), False),
        (("std::sys::sync::mutex::futex::Mutex::lock_contended", "Condvar::wait"), True),
        (("std::thread::park", "std::sync::mpmc::Channel<T>::recv"), False),
        ((), False),
    ],
)
def test_locks_are_held_and_the_rest_is_sent(
    build: ModuleType, names: tuple[str, ...], held: bool
) -> None:
    frames = [build.c("syscall"), *map(build.std, names), build.user("app::lock_my_mutex")]
    assert holds_lock(frames) is held


def test_what_tokio_does_inside_says_nothing_of_files(build: ModuleType) -> None:
    """mio's eventfd, written to wake the driver, is a file to std."""
    runtime = [
        Frame(0, name, origin=Origin.RUNTIME, crate="tokio 1.54.1")
        for name in (
            "mio::sys::unix::waker::eventfd::WakerInternal::wake",
            "tokio::runtime::io::driver::Handle::unpark",
            "<tokio::time::sleep::Sleep as core::future::future::Future>::poll",
        )
    ]
    write = build.std("<&std::fs::File as std::io::Write>::write")
    frames = (build.c("write"), write, *runtime, build.user("app::tick::{async}"))
    assert cause_of(10, 0, -1, frames, "x86_64").cause is Cause.CPU
    assert cause("write", *frames) is Cause.SYSCALL


def test_what_tokio_does_for_a_name_is_no_resolving(build: ModuleType) -> None:
    """`tokio::net::lookup_host` resolves in a thread of the pool: the worker only starts that."""
    asks = "<alloc::string::String as tokio::net::addr::sealed::ToSocketAddrsPriv>::to_socket_addrs"
    spawns = "tokio::runtime::blocking::pool::Spawner::spawn_task"
    runtime = [
        Frame(0, name, origin=Origin.RUNTIME, crate="tokio 1.54.1") for name in (spawns, asks)
    ]
    lookup = Frame(0, "tokio::net::lookup_host::lookup_host", origin=Origin.RUNTIME)
    for frames in (runtime, [*runtime, lookup], [lookup]):
        stack = (build.c("clone3"), *frames, build.user("app::polite::{async}"))
        assert cause_of(10, 0, -1, stack, "x86_64").cause is Cause.CPU
        assert cause("futex", *stack) is Cause.LOCK


def test_what_a_library_is_blamed_for_is_its_own_call(build: ModuleType) -> None:
    """Also where no frame of the user's is in the stack, and where a handler was inlined."""
    step = build.std("<std::fs::ReadDir as core::iter::traits::iterator::Iterator>::next")
    walk = build.dependency("<walkdir::IntoIter as core::iter::Iterator>::next", "walkdir 2.5.0")
    served = build.dependency("hyper::proto::h1::dispatch::Dispatcher<D>::poll", "hyper 1.7.0")
    frames = build.stack(build.c("getdents"), step, walk, served).frames
    assert cause_of(10, 0, -1, frames, "x86_64").cause is Cause.FILE
    handler = build.dependency("<F as axum::handler::Handler<M,S>>::call::{async}", "axum 0.8.4")
    frames = build.stack(build.c("getdents"), step, handler, served).frames
    assert cause_of(10, 0, -1, frames, "x86_64").cause is Cause.FILE
