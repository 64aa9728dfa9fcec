"""The causes: why a worker was held up. One row each, with all that shows it and shows of it."""

from __future__ import annotations

import stat
from enum import Enum
from typing import NamedTuple


class Signs(NamedTuple):
    """What shows that a worker was held up by a cause; see `hud.analysis.episodes.evidence`."""

    rank: int = 0
    """Of several causes whose functions are in a stack the lowest is it."""
    functions: str = ""
    """In the names of library functions, or of std's source files where a stripped file has none; a
    pattern as with re.VERBOSE."""
    kernel: str = ""
    """In the names of kernel functions, which decide where nothing else does; likewise."""
    overrules: bool = False
    """The functions say more than the system call: resolving a name connects, waiting for a child
    reads."""
    busy_too: bool = False
    """It holds even where the call is served without sleeping."""
    calls: str = ""
    """System calls that leave no doubt what is waited for."""
    likely: str = ""
    """System calls that say it unless the frames know better. ``read``, ``write``, ``poll`` are
    nobody's: they wait for whatever the descriptor is."""
    files: tuple[int, ...] = ()
    """What a descriptor is then (``stat.S_IFMT``)."""


class Cause(str, Enum):
    """Why a worker was held up. One word, the same in every output.

    To add one is to add a row here, and its remedies.
    """

    letter: str
    """In the timeline."""
    hue: str
    """A key of ``hud.tui.style.HUES``; empty = plain."""
    meaning: str
    """As ``hud help reading`` says it."""
    signs: Signs
    blames_code: bool
    """False = pressure from outside: no code of the target is at fault."""

    def __new__(
        cls,
        word: str,
        letter: str,
        hue: str,
        meaning: str,
        signs: Signs | None = None,
        blames_code: bool = True,
    ) -> Cause:
        one = str.__new__(cls, word)
        one._value_ = word
        one.letter, one.hue, one.meaning = letter, hue, meaning
        one.signs, one.blames_code = signs or Signs(), blames_code
        return one

    CPU = "cpu", "c", "red", "it computed"
    LOCK = (
        "lock",
        "l",
        "orange",
        "asleep in a futex: Mutex, RwLock, Condvar, a channel that blocks",
        Signs(
            rank=6,
            functions=r"""
                sync::(\w+::)*(Mutex|RwLock|Condvar|Once|OnceLock|Barrier|LazyLock|ReentrantLock)\b
                | sync::(mpsc|mpmc|once|reentrant_lock|poison) | sys::sync | locks::futex
                | pthread_(mutex|rwlock|cond|join) | parking_lot | crossbeam | thread::park
                | JoinHandle | JoinInner""",
            calls="futex futex_wait futex_waitv flock semop semtimedop",
        ),
    )
    SLEEP = (
        "sleep",
        "s",
        "yellow",
        "std::thread::sleep and the like",
        Signs(
            rank=5,
            functions=r"thread::(\w+::)*sleep(_until|_ms)?\b | \busleep\b",
            calls="nanosleep clock_nanosleep",
        ),
    )
    FILE = (
        "file",
        "f",
        "blue",
        "read, write, open, stat of files",
        Signs(
            rank=9,
            functions=r"""
                std::fs:: | sys(::\w+)*::fs:: | \bfs::File\b | DirEntry | ReadDir
                | ^std/src/(sys/(\w+/)*)?fs[/.]""",
            kernel=r"""
                ^(filemap|folio_wait|wait_on_page|ext4|xfs|btrfs|f2fs|nfs4?|fuse|v9fs|p9|cifs|ovl
                |blkdev|submit_bio|blk|bio|jbd2|iomap|lookup|path|do_filp|iterate_dir)_""",
            busy_too=True,
            likely="open openat openat2 pread64 pwrite64 preadv pwritev preadv2 pwritev2 stat "
            "fstat lstat statx newfstatat access getdents getdents64 truncate ftruncate fallocate "
            "rename renameat renameat2 mkdir mkdirat rmdir link linkat unlink unlinkat readlinkat "
            "sendfile copy_file_range readahead fadvise64 faccessat faccessat2 statfs fstatfs "
            "chmod fchmod fchmodat chown fchown lchown fchownat symlink symlinkat readlink mknod "
            "mknodat utimensat getxattr lgetxattr fgetxattr setxattr listxattr creat chdir getcwd",
            files=(stat.S_IFREG, stat.S_IFDIR, stat.S_IFBLK),
        ),
    )
    SYNC = (
        "fsync",
        "y",
        "indigo",
        "waiting until data is on the disk",
        Signs(
            rank=2,
            kernel=r"^(vfs_fsync|file_write_and_wait|jbd2_log_wait|xfs_log_force)",
            calls="fsync fdatasync sync syncfs sync_file_range msync",
        ),
    )
    NETWORK = (
        "net",
        "n",
        "cyan",
        "a socket that blocks: connect, read, write",
        Signs(
            rank=7,
            functions=r"""
                std::net:: | sys(::\w+)*::net:: | (Tcp|Udp|Unix)(Stream|Socket|Listener|Datagram)
                | sys_common::net""",
            kernel=r"^(tcp|udp|inet6?|unix|sock|sk_wait|netlink)_",
            calls="connect accept accept4",
            likely="recvfrom recvmsg recvmmsg sendto sendmsg sendmmsg",
            files=(stat.S_IFSOCK,),
        ),
    )
    DNS = (
        "dns",
        "d",
        "teal",
        "getaddrinfo: a name was resolved",
        Signs(
            rank=3,
            functions="getaddrinfo | ToSocketAddrs | to_socket_addrs | LookupHost | lookup_host "
            "| gethostbyname",
            overrules=True,
            busy_too=True,
        ),
    )
    CHILD = (
        "child",
        "x",
        "violet",
        "waiting for another process",
        Signs(
            rank=4,
            functions=r"""
                std::process::(Command|Child) | process::(unix::)?.*::(wait|wait_with_output|read2)
                | Command::(output|status|spawn) | posix_spawn | waitpid
                | ^std/src/(sys/(\w+/)*)?process[/.]""",
            kernel=r"^(do_wait|kernel_wait4|wait_for_vfork_done)",
            overrules=True,
            busy_too=True,
            calls="wait4 waitid vfork execve",
        ),
    )
    PIPE = (
        "pipe",
        "p",
        "mauve",
        "a pipe or a terminal",
        Signs(
            rank=8,
            functions=r"""
                std::io::(stdio|Stdin|Stdout|Stderr) | io::pipe | Pipe(Reader|Writer) | AnonPipe
                | sys(::\w+)*::(pipe|stdio)::""",
            kernel=r"^(anon_)?(pipe|fifo)_ | ^wait_for_partner$ | ^n_tty_ | ^tty_",
            likely="splice",
            files=(stat.S_IFIFO, stat.S_IFCHR),
        ),
    )
    FAULT = (
        "fault",
        "m",
        "pink",
        "a page that was not in memory",
        Signs(likely="mmap munmap mremap mprotect madvise brk"),
    )
    WAITING = (
        "wait",
        "w",
        "grey",
        "ready to run, but another thread had the CPU: no blocker, see below",
        None,
        False,
    )
    STOPPED = (
        "stopped",
        "z",
        "grey",
        "by a signal or a debugger",
        Signs(rank=1, kernel=r"^(do_freezer_trap|__refrigerator|ptrace_stop|do_signal_stop)$"),
        False,
    )
    SYSCALL = "syscall", "k", "green", "another system call; the stack shows which"
    UNKNOWN = "unknown", "?", "", "not seen"


BY_RANK = sorted(Cause, key=lambda cause: cause.signs.rank)
