"""What is tried from inside the real child, and what the kernel says to it."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hud.resolver import seccomp, service
from hud.resolver.client import Resolver
from hud.resolver.messages import Answer, Question
from tests.builders.asked import ask

NEW = f"/tmp/hud-{os.getpid()}"
CLONE_NEWUSER = 0x1000_0000
PTRACE_ATTACH = 16
LIBC = ctypes.CDLL(None, use_errno=True)
BPF, IO_URING_SETUP = {"x86_64": (321, 425), "aarch64": (280, 425)}[os.uname().machine]


def libc(name: str, *arguments: int) -> None:
    if getattr(LIBC, name)(*map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), name)


def start_thread() -> None:
    try:
        threading.Thread(target=int).start()
    except RuntimeError as error:
        raise PermissionError(errno.EPERM, str(error)) from error


def new_code() -> None:
    mmap.mmap(
        -1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON
    )


def code_from_data() -> None:
    place = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON)
    address = ctypes.addressof(ctypes.c_char.from_buffer(place))
    libc("mprotect", address, 4096, mmap.PROT_READ | mmap.PROT_EXEC)


ATTEMPTS: dict[str, Callable[[], object]] = {
    "TCP": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "UDP": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    "a Unix socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "fork": os.fork,
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "a thread": start_thread,
    "reading a file": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "writing a file": lambda: os.open(NEW, os.O_WRONLY | os.O_CREAT),
    "a directory": lambda: os.mkdir(NEW),  # noqa: PTH102
    "a user namespace": lambda: libc("unshare", CLONE_NEWUSER),
    "killing": lambda: os.kill(os.getppid(), 0),
    "tracing": lambda: libc("ptrace", PTRACE_ATTACH, os.getppid(), 0, 0),
    "another user": lambda: os.setuid(0),
    "prctl": lambda: libc("prctl", 1, signal.SIGTERM),
    "bpf": lambda: libc("syscall", BPF, 0, 0, 0),
    "io_uring": lambda: libc("syscall", IO_URING_SETUP, 1, 0),
    "new code": new_code,
    "code from data": code_from_data,
    "uncounted memory": lambda: mmap.mmap(-1, 4096),
}


class Tried(Answer, frozen=True):
    outcome: dict[str, str]


class AskTry(Question[Tried], frozen=True):
    pass


def outcome(act: Callable[[], object]) -> str:
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def attempt(_: service.Files, __: AskTry) -> Tried:
    return Tried({name: outcome(act) for name, act in ATTEMPTS.items()})


def test_nothing_can_be_reached_from_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(service.HANDLERS, AskTry, service.Handler(attempt))
    with Resolver() as resolver:
        found = ask(resolver, AskTry())
    assert isinstance(found, Tried)
    assert found.outcome == dict.fromkeys(ATTEMPTS, "EPERM")


def test_landlock_holds_where_the_filter_would_not(monkeypatch: pytest.MonkeyPatch) -> None:
    if not int(in_python(LANDLOCKED).split()[0]):
        pytest.skip("this kernel has no Landlock")
    monkeypatch.setitem(service.HANDLERS, AskTry, service.Handler(attempt))
    monkeypatch.setattr(seccomp, "allow_only_the_table", lambda: None)
    only = ("reading a file", "writing a file", "a directory")
    monkeypatch.setattr(sys.modules[__name__], "ATTEMPTS", {name: ATTEMPTS[name] for name in only})
    with Resolver() as resolver:
        found = ask(resolver, AskTry())
    assert isinstance(found, Tried)
    assert found.outcome == dict.fromkeys(only, "EACCES")


def in_python(program: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    return ran.stdout + ran.stderr


STARTED_BY_ANOTHER = """
import ctypes, os
from pathlib import Path
if os.geteuid() == 0:
    os.setgroups([65534, 4242]), os.setgid(65534), os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
from hud.resolver.client import Resolver
from hud.resolver.messages import AskFacts
with Resolver() as resolver:
    found = []
    resolver.ask(AskFacts(1), found.append)
    assert resolver.run_until(lambda: found, 60)
    print(os.stat(f"/proc/{os.getpid()}/maps").st_uid == os.geteuid())
    print(os.stat(f"/proc/{resolver.pid}/maps").st_uid == os.geteuid())
"""


def test_processes_of_the_same_user_cannot_look_into_it() -> None:
    assert in_python(STARTED_BY_ANOTHER) == "True\nFalse\n"


WITH_CAPABILITIES = """
import ctypes, os, struct
libc = ctypes.CDLL(None)
if {another}:  # a service of a user of its own, as systemd starts it with AmbientCapabilities
    libc.prctl(8, 1, 0, 0, 0)
    os.setgid(1234), os.setuid(1234)
    read_all = 1 << 2
    libc.capset(struct.pack("<Ii", 0x20080522, 0), struct.pack("<6I", *[read_all] * 3, 0, 0, 0))
    assert libc.prctl(47, 2, 2, 0, 0) == 0
else:
    os.setgroups([4242])
from pathlib import Path
from hud.resolver.client import Resolver
from hud.resolver.messages import AskFacts
with Resolver() as resolver:
    found = []
    resolver.ask(AskFacts(1), found.append)
    assert resolver.run_until(lambda: found, 60)
    for line in Path(f"/proc/{{resolver.pid}}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            print(int(value, 16))
        elif name == "Groups" and not {another}:
            print(value.strip())
"""


@pytest.mark.parametrize("another", [False, True])
def test_no_group_or_capability_of_whoever_starts_it_is_left(
    another: bool, need: Callable[[object, str], None]
) -> None:
    need(os.geteuid() == 0, "root")
    said = in_python(WITH_CAPABILITIES.format(another=another)).splitlines()
    assert said == (["0"] * 4 if another else ["", *["0"] * 4])


LANDLOCKED = """
import ctypes, os, socket
from hud.resolver import landlock
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
sock = socket.socket()
version = landlock.reach_nothing()
def refused(act):
    try:
        act()
    except PermissionError:
        return True
print(version, refused(lambda: open("/etc/passwd")), refused(lambda: os.mkdir("/tmp/hud-here")),
      refused(lambda: sock.bind(("127.0.0.1", 0))))
"""


def test_landlock_alone_holds_as_well() -> None:
    version, *refused = in_python(LANDLOCKED).split()
    if version == "0":
        pytest.skip("this kernel has no Landlock")
    assert refused == ["True", "True", str(int(version) >= 4 or None)]


STRANGER = """
import ctypes, os, signal, sys
from hud.resolver import seccomp
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
other = {"x86_64": "aarch64", "aarch64": "x86_64"}[os.uname().machine]
seccomp.MACHINES = {os.uname().machine: seccomp.MACHINES[other]}
child = os.fork()
if not child:
    seccomp.allow_only_the_table()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGSYS)
"""


def test_calls_by_another_processors_numbers_end_it() -> None:
    assert in_python(STRANGER) == "True\n"


@pytest.mark.parametrize(
    ("header", "machine"),
    [("x86_64-linux-gnu/asm/unistd_64.h", "x86_64"), ("asm-generic/unistd.h", "aarch64")],
)
def test_the_numbers_are_the_kernels(header: str, machine: str) -> None:
    path = Path("/usr/include") / header
    if not path.exists():
        pytest.skip("no headers of the kernel")
    known = {}
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "#define" and words[2].isdigit():
            known[words[1].removeprefix("__NR_").removeprefix("__NR3264_")] = int(words[2])
    known["newfstatat"] = known.get("newfstatat", known.get("fstatat", -1))
    column = seccomp.MACHINES[machine].column
    calls = seccomp.CALLS | seccomp.DOWNLOADS
    ours = {name: numbers[column] for name, numbers in calls.items()}
    assert {name: known.get(name) for name in ours} == ours
