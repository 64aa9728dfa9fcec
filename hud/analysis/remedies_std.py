"""Remedies for what std does asleep, and for what only the cause or the whole stack tells."""

from __future__ import annotations

import re

from hud.analysis.remedy import (
    ANY,
    ASLEEP,
    COMPUTING,
    LIBRARY,
    MOVE,
    NAMELESS,
    OWN,
    STD,
    WHATEVER,
    Remedy,
    crates,
    row,
)
from hud.model import Cause

_FILES = frozenset((Cause.FILE, Cause.SYNC, Cause.SYSCALL, Cause.CPU))

REST: tuple[Remedy, ...] = (
    # ------------------------------------------------------------- not the code's doing
    row(
        "waiting",
        Cause.WAITING,
        WHATEVER,
        "give it more CPUs or a larger quota: it is not the code",
        "",
        "the worker was ready to run and had no CPU",
    ),
    row(
        "stopped",
        Cause.STOPPED,
        WHATEVER,
        "find who stops the process: it is not the code",
        "",
        "a signal or a debugger held all its threads",
    ),
    # ------------------------------------------------------------- asleep in std
    row(
        "sleep",
        Cause.SLEEP,
        WHATEVER,
        "replace the sleep by tokio::time::sleep",
        "tokio::time::sleep(duration).await",
        "thread::sleep puts the worker to sleep, with every task that waits for it",
    ),
    row(
        "dns",
        Cause.DNS,
        WHATEVER,
        "resolve the name by tokio::net::lookup_host",
        "tokio::net::lookup_host((host, port)).await",
        "the resolver of the C library reads files and waits for servers",
    ),
    row(
        "child start",
        frozenset((Cause.CHILD, Cause.CPU, Cause.SYSCALL)),
        STD + r"process::Command::spawn",
        "start the child process from spawn_blocking",
        "tokio::task::spawn_blocking(move || command.spawn()).await",
        "starting a process waits until it has executed its program; tokio::process does so too",
    ),
    row(
        "child",
        Cause.CHILD,
        STD + rf"process::(?:Command::(?:output|status)|Child::)|{WHATEVER}",
        "run the child process by tokio::process::Command",
        "tokio::process::Command::new(program).output().await",
        "std::process waits for the child with the worker",
    ),
    row(
        "runtime lock",
        Cause.LOCK,
        crates("tokio::runtime tokio::fs tokio::io tokio::sync tokio::task"),
        "",
        "",
        "",
    ),
    row(
        "thread join",
        ASLEEP,
        STD + r"thread::(?:\w+::)*(?:JoinHandle|JoinInner|ScopedJoinHandle|scope\b)"
        r"|^std::sys(?:::\w+)*::thread(?:::\w+)*::Thread::join|^pthread_join|^pthread_clockjoin",
        "join the thread in spawn_blocking",
        "tokio::task::spawn_blocking(move || handle.join()).await",
        "join sleeps until the thread has ended; the handle of a Tokio task is awaited",
    ),
    row(
        "channel",
        Cause.LOCK,
        STD + r"sync::(?:mpsc|mpmc)\b|" + crates("crossbeam_channel flume kanal async_channel"),
        "use tokio::sync::mpsc, whose recv is awaited",
        "receiver.recv().await",
        "a blocking recv or send sleeps with the worker until the other side moves",
    ),
    row(
        "barrier",
        Cause.LOCK,
        STD + r"sync::(?:barrier::)?Barrier\b",
        "use tokio::sync::Barrier",
        "barrier.wait().await",
        "if the others that it waits for are tasks of this worker, they never come",
    ),
    row(
        "condvar",
        Cause.LOCK,
        STD + r"s\w+::(?:\w+::)*[Cc]ondvar\b|^pthread_cond_|^parking_lot::condvar::",
        "await a tokio::sync::Notify instead of the Condvar",
        "notify.notified().await",
        "the worker sleeps until another thread notifies",
    ),
    row(
        "once",
        Cause.LOCK,
        STD
        + r"s\w+::(?:\w+::)*(?:[Oo]nce|OnceLock|LazyLock|once_lock|lazy_lock)\b|"
        + crates("once_cell lazy_static"),
        "initialise it before serving, or use tokio::sync::OnceCell",
        "cell.get_or_init(|| async {{ load().await }}).await",
        "whoever comes first computes, the others sleep until it is done",
    ),
    row(
        "dashmap",
        Cause.LOCK,
        crates("dashmap"),
        "let go of DashMap's guards before anything slow",
        "let value = map.get(&key).map(|entry| entry.value().clone());",
        "a guard locks its whole shard; one kept across .await can stop the runtime",
    ),
    row(
        "lock",
        Cause.LOCK,
        STD + r"s\w+::(?:\w+::)*(?:mutex|rwlock|reentrant_lock|Mutex|RwLock|ReentrantLock)\b"
        r"|^parking_lot(?:_core)?::|^lock_api::|^pthread_(?:mutex|rwlock)_",
        "do less under the lock, nothing slow while it is held",
        "let copy = shared.lock().unwrap().clone(); // then the slow part, unlocked",
        "waiting takes as long as what the holder does; to hold it across .await, "
        "tokio::sync::Mutex",
    ),
    row(
        "park",
        Cause.LOCK,
        STD + r"thread::(?:\w+::)*(?:park|park_timeout)\b",
        "await a tokio::sync::Notify instead of parking the thread",
        "notify.notified().await",
        "a parked worker runs no other task",
    ),
    row(
        "net type",
        Cause.NETWORK,
        STD + r"(?:\w+::)*(?P<type>(?:Tcp|Unix)(?:Stream|Listener)|UdpSocket|UnixDatagram)\b",
        "use {type} of tokio::net",
        "tokio::net::{type}",
        "a socket of std waits for the other side with the worker",
    ),
    row(
        "net",
        Cause.NETWORK,
        WHATEVER,
        "use sockets of tokio::net, or an asynchronous client",
        "tokio::net::TcpStream::connect(address).await",
        "a blocking socket waits for the other side with the worker",
    ),
    row(
        "stdin",
        ASLEEP,
        STD + r"io::stdio::(?:\w+::)*[Ss]tdin",
        "read standard input in a thread, and send lines on a channel",
        "std::thread::spawn(move || sender.blocking_send(line))",
        "nobody knows when the next line comes",
    ),
    row(
        "stdout",
        ANY,
        STD + r"io::stdio::(?:\w+::)*(?:_e?print|[Ss]td(?:out|err))",
        "send lines to a thread that writes them, not println!",
        "sender.send(line).await",
        "println! locks standard output and waits for whoever reads it",
    ),
    row(
        "pipe",
        Cause.PIPE,
        WHATEVER,
        "read and write pipes by tokio::net::unix::pipe",
        "tokio::net::unix::pipe::Receiver::from_owned_fd(fd)?.read(&mut buffer).await",
        "a pipe of std waits for the other side with the worker",
    ),
    row(
        "fsync",
        _FILES,
        STD + r"(?:\w+::)*fs::.*(?:sync_all|sync_data|fsync)",
        "write and sync in one spawn_blocking",
        "tokio::task::spawn_blocking(move || {{ file.write_all(&data)?; file.sync_all() }}).await",
        "a sync waits for the disk; tokio::fs goes to another thread for each call",
    ),
    row(
        "fsync by call",
        Cause.SYNC,
        WHATEVER,
        "sync in spawn_blocking, or by sync_all of tokio::fs::File",
        "tokio::fs::File::sync_all(&file).await",
        "a sync waits for the disk",
    ),
    row(
        "many files",
        _FILES,
        STD
        + r"(?:sys::)?fs::(?:remove_dir_all|create_dir_all|read_dir|ReadDir|DirEntry|DirBuilder)"
        r"|^<std::fs::(?:ReadDir|DirEntry)|"
        + crates("walkdir glob ignore tar tempfile fs_extra cap_std"),
        "do all of these file operations in one spawn_blocking",
        MOVE,
        "tokio::fs goes to another thread for each call: too dear for many small ones",
    ),
    row(
        "file call",
        _FILES,
        STD + r"(?:sys::)?fs::(?P<call>read_to_string|read|write|copy|rename|remove_file|metadata"
        r"|canonicalize|symlink_metadata|create_dir|remove_dir|hard_link|read_link|set_permissions)\b",
        "use tokio::fs::{call}",
        "tokio::fs::{call}(..).await",
        "a file is as slow as its disk and who else uses it; tokio::fs reads it in another thread",
    ),
    row(
        "file path",
        _FILES,
        STD + r"path::Path::(?:exists|try_exists|is_file|is_dir|metadata|canonicalize)",
        "use tokio::fs::try_exists or tokio::fs::metadata",
        "tokio::fs::try_exists(path).await",
        "these look at the disk although they do not look like it",
    ),
    row(
        "file",
        _FILES,
        STD + r"(?:\w+::)*fs::",
        "use tokio::fs, or spawn_blocking for many small operations",
        "tokio::fs::File::open(path).await",
        "a file is as slow as its disk and who else uses it; tokio::fs reads it in another thread",
    ),
    row(
        "file by call",
        Cause.FILE,
        WHATEVER,
        "use tokio::fs, or spawn_blocking for many small operations",
        "tokio::fs::File::open(path).await",
        "a file is as slow as its disk and who else uses it; tokio::fs reads it in another thread",
    ),
    # ------------------------------------------------------------- nothing in it says more
    row(
        "hud's own probes",
        Cause.FAULT,
        r"task::state::State::transition_to_(?:running|idle|complete)\b",
        "none: hud's own probes, try a larger --max-overhead",
        "",
        "while code is patched the process waits for its memory map; more of the time attached "
        "means fewer changes",
    ),
    row(
        "page faults",
        Cause.FAULT,
        WHATEVER,
        "touch its memory before serving; look for memory pressure",
        "mmap_options.populate()",
        "it sleeps until pages are read or reclaimed: mapped files, swap, a memory limit",
    ),
    row(
        "own code",
        Cause.CPU,
        re.escape(OWN),
        "move it to spawn_blocking, or await yield_now in its loop",
        "tokio::task::yield_now().await",
        "tasks share a worker, and none runs until this one awaits. consume_budget yields only "
        "when it is due; block_in_place panics on a current_thread runtime",
    ),
    row(
        "library",
        Cause.CPU,
        re.escape(LIBRARY),
        "call {what} in spawn_blocking",
        MOVE,
        COMPUTING,
    ),
    row(
        "system call",
        Cause.SYSCALL,
        f"{re.escape(OWN)}|{re.escape(LIBRARY)}",
        "make the call in spawn_blocking",
        MOVE,
        "the worker sleeps in the kernel until the call returns",
    ),
    row(
        "no name",
        Cause.CPU,
        re.escape(NAMELESS),
        "build with debug = 1 and no strip to see the function's name",
        "CARGO_PROFILE_RELEASE_DEBUG=1 CARGO_PROFILE_RELEASE_STRIP=none cargo build --release",
        "the file has no name for this code; --target takes a file of the same build that has",
    ),
)
