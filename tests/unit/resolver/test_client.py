"""The resolver process, forked for real: answers, refusals, death, privileges, descriptors."""

from __future__ import annotations

import gc
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hud.resolver import messages
from hud.resolver.client import (
    FactsReply,
    FailedReply,
    FramesReply,
    Reply,
    Resolver,
    UnwindReply,
)
from hud.resolver.confinement import MAPPED_LIMIT
from hud.symbols.elf import ElfFile
from hud.symbols.unwind.table import unwind_table

from ..symbols import elfbuild

PATIENCE_S = 60


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    with Resolver() as started:
        yield started


def _libc() -> Path:
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[-1]
        if "/libc.so" in path or "/libc-" in path or "/ld-musl" in path:
            return Path(path)
    pytest.skip("no shared libc in this Python")


def _add(resolver: Resolver, path: Path) -> int:
    with path.open("rb") as file:
        return resolver.add_module(file.fileno(), str(path))


def _add_bytes(resolver: Resolver, data: bytes, name: str = "hostile") -> int:
    fd = os.memfd_create(name)
    os.write(fd, data)
    module = resolver.add_module(fd, name)
    os.close(fd)
    return module


def _all(resolver: Resolver) -> dict[int, Reply]:
    """Every pending reply by request; each must come once."""
    found: dict[int, Reply] = {}
    end = time.monotonic() + PATIENCE_S
    while resolver.pending and time.monotonic() < end:
        for reply in resolver.wait(1):
            assert reply.request not in found
            found[reply.request] = reply
    assert resolver.pending == 0
    return found


def _descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_facts_unwind_and_frames_of_libc(resolver: Resolver) -> None:
    path = _libc()
    with path.open("rb") as file, ElfFile(file.fileno(), str(path)) as elf:
        want = unwind_table(elf)
        segments = [(load.vaddr, load.offset, load.filesz) for load in elf.loads]
        from hud.symbols.module import Module

        (_, start, _) = Module(elf).defined(rb"^qsort$")[0]
        offset = elf.offset_of(start)
        facts_here = Module(elf).facts()
    assert offset is not None
    module = _add(resolver, path)
    facts = resolver.request_facts(module)
    unwind = resolver.request_unwind(module)
    frames = resolver.request_frames(module, [offset, 1 << 60])
    assert len({facts, unwind, frames}) == 3
    assert resolver.pending == 3
    got = _all(resolver)

    assert got[facts] == FactsReply(facts, facts_here, {}, ())
    reply = got[unwind]
    assert isinstance(reply, UnwindReply)
    assert reply.table == want
    assert set(reply.segments) < set(segments)  # the executable ones
    reply = got[frames]
    assert isinstance(reply, FramesReply)
    named, unknown = reply.frames
    assert named[-1].raw.startswith("qsort")
    assert (named[-1].address, named[-1].module, named[-1].offset) == (0, str(path), start)
    (nothing,) = unknown
    assert (nothing.function, nothing.module, nothing.offset) == ("", str(path), 1 << 60)
    assert resolver.replies() == []


def test_many_offsets_in_one_request(resolver: Resolver) -> None:
    module = _add(resolver, _libc())
    request = resolver.request_frames(module, range(1 << 40, (1 << 40) + 20_000))
    reply = _all(resolver)[request]
    assert isinstance(reply, FramesReply)
    assert [one.offset for (one,) in reply.frames] == list(range(1 << 40, (1 << 40) + 20_000))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF",
        b"#!/bin/sh\n" * 100,
        b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, 62) + b"\xff" * 200,
    ],
    ids=["empty", "short", "script", "garbage"],
)
def test_a_file_that_is_no_program_fails_and_the_child_lives_on(
    resolver: Resolver, data: bytes
) -> None:
    bad = _add_bytes(resolver, data)
    requests = [
        resolver.request_facts(bad),
        resolver.request_unwind(bad),
        resolver.request_frames(bad, [0, 1]),
        resolver.request_facts(bad),
    ]
    got = _all(resolver)
    assert all(isinstance(got[request], FailedReply) for request in requests)
    good = resolver.request_unwind(_add(resolver, _libc()))
    assert isinstance(_all(resolver)[good], UnwindReply)
    assert resolver.alive


def test_a_module_that_was_never_added(resolver: Resolver) -> None:
    request = resolver.request_facts(77)
    assert isinstance(_all(resolver)[request], FailedReply)
    assert resolver.alive


def test_damaged_programs_never_end_the_child(resolver: Resolver) -> None:
    whole = Path(sys.executable).resolve().read_bytes()[: 1 << 20]
    for seed in range(12):
        data = bytearray(whole[: len(whole) >> (seed % 5)])
        for at in range(seed, min(len(data), 4096), 61 + seed):
            data[at] ^= 0x5A
        data[:4] = b"\x7fELF"
        module = _add_bytes(resolver, bytes(data))
        resolver.request_facts(module)
        resolver.request_unwind(module)
        resolver.request_frames(module, [0x1000, 0x20000])
    assert len(_all(resolver)) == 36
    assert resolver.alive


def test_a_killed_child_fails_each_pending_request_once(resolver: Resolver) -> None:
    os.kill(resolver.pid, signal.SIGSTOP)
    module = _add(resolver, _libc())
    asked = [resolver.request_unwind(module), resolver.request_facts(module)]
    os.kill(resolver.pid, signal.SIGKILL)
    got = _all(resolver)
    assert got == {
        request: FailedReply(request, "the symbol resolver died: killed by SIGKILL")
        for request in asked
    }
    assert not resolver.alive
    assert (resolver.cpu_ns(), resolver.rss_bytes()) == (0, 0)
    late = resolver.request_facts(module)
    assert [reply.request for reply in resolver.replies()] == [late]
    assert resolver.replies() == []


def test_a_file_cut_while_it_is_read_costs_names_only(resolver: Resolver, tmp_path: Path) -> None:
    path = tmp_path / "shrinking"
    path.write_bytes(Path(sys.executable).resolve().read_bytes())
    module = _add(resolver, path)
    facts = resolver.request_facts(module)
    assert isinstance(_all(resolver)[facts], FactsReply)
    with path.open("r+b") as file:
        file.truncate(mmap.PAGESIZE)
    request = resolver.request_unwind(module)
    reply = _all(resolver)[request]
    assert isinstance(reply, FailedReply)
    assert reply.message == "the symbol resolver died: killed by SIGBUS"


def test_asking_never_blocks(resolver: Resolver) -> None:
    os.kill(resolver.pid, signal.SIGSTOP)
    module = _add(resolver, _libc())
    asked = [resolver.request_frames(module, range(n, n + 3000)) for n in range(60)]
    assert resolver.replies() == []
    assert resolver.wait(0.01) == []
    os.kill(resolver.pid, signal.SIGCONT)
    got = _all(resolver)
    assert sorted(got) == asked
    assert all(isinstance(reply, FramesReply) for reply in got.values())


def test_short_requests_overtake_long_ones(resolver: Resolver) -> None:
    os.kill(resolver.pid, signal.SIGSTOP)
    module = _add(resolver, _libc())
    long = resolver.request_frames(module, range(1000))
    short = resolver.request_frames(module, [5])
    unwind = resolver.request_unwind(module)
    os.kill(resolver.pid, signal.SIGCONT)
    assert list(_all(resolver)) == [unwind, short, long]


def test_closing_is_quick_even_when_the_child_hangs() -> None:
    with Resolver() as resolver:
        os.kill(resolver.pid, signal.SIGSTOP)
        resolver.request_facts(_add(resolver, _libc()))
        pid = resolver.pid
        start = time.monotonic()
    assert time.monotonic() - start < 1
    assert not Path(f"/proc/{pid}").exists()
    resolver.close()


def test_no_descriptor_stays_open() -> None:
    gc.collect()
    before = _descriptors()
    for kill in (False, True):
        with Resolver() as resolver:
            module = _add(resolver, _libc())
            resolver.request_unwind(module)
            resolver.request_frames(module, range(9000))
            _all(resolver)
            os.kill(resolver.pid, signal.SIGSTOP)
            for _ in range(50):
                resolver.request_frames(_add(resolver, _libc()), range(9000))
            if kill:
                os.kill(resolver.pid, signal.SIGKILL)
                resolver.wait(PATIENCE_S)
    assert _descriptors() == before


def test_the_child_has_no_descriptor_of_the_parent(resolver: Resolver) -> None:
    resolver.request_facts(_add(resolver, _libc()))
    _all(resolver)
    try:
        links = [str(path.readlink()) for path in Path(f"/proc/{resolver.pid}/fd").iterdir()]
    except PermissionError:
        pytest.skip("the child's descriptors are hidden from everyone but root")
    devices = [link for link in links if link == "/dev/null"]
    sockets = [link for link in links if link.startswith("socket:")]
    files = [link for link in links if link == str(_libc().resolve())]
    assert (len(devices), len(sockets)) == (3, 1)
    assert len(devices) + len(sockets) + len(files) == len(links)


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _ready(resolver: Resolver) -> None:
    """The child has dropped everything before it answers."""
    resolver.request_facts(9999)
    _all(resolver)


def test_no_privilege_is_left(resolver: Resolver) -> None:
    _ready(resolver)
    status = _status(resolver.pid)
    assert status["NoNewPrivs"] == "1"
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0
    if os.geteuid() == 0:
        assert status["Groups"] == ""
        assert "0" not in status["Uid"].split() + status["Gid"].split()
    else:
        assert status["Uid"].split() == [str(os.getuid())] * 4
    limits = Path(f"/proc/{resolver.pid}/limits").read_text()
    for name, value in (
        ("Max data size", 2 << 30),
        ("Max address space", (2 << 30) + MAPPED_LIMIT),
        ("Max core file size", 0),
        ("Max file size", messages.BODY_LIMIT),
    ):
        line = next(line for line in limits.splitlines() if line.startswith(name))
        assert line.split()[-3:-1] == [str(value)] * 2
    ignored = int(status["SigIgn"], 16)
    assert ignored >> (signal.SIGINT - 1) & 1
    assert ignored >> (signal.SIGTERM - 1) & 1
    assert os.getpriority(os.PRIO_PROCESS, resolver.pid) >= 5


@pytest.mark.skipif(os.geteuid() != 0, reason="root")
@pytest.mark.parametrize(
    ("environment", "uid", "gid"),
    [
        ({}, 65534, 65534),
        ({"SUDO_UID": "1234", "SUDO_GID": "2345"}, 1234, 2345),
        ({"SUDO_UID": "0", "SUDO_GID": "0"}, 65534, 65534),
        ({"SUDO_UID": "-1", "SUDO_GID": "x"}, 65534, 65534),
        ({"SUDO_UID": "99999999999", "SUDO_GID": "1"}, 65534, 65534),
    ],
)
def test_root_becomes_the_user_who_called(
    environment: dict[str, str], uid: int, gid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SUDO_UID", "SUDO_GID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Resolver() as resolver:
        _ready(resolver)
        status = _status(resolver.pid)
    assert status["Uid"].split() == [str(uid)] * 4
    assert status["Gid"].split() == [str(gid)] * 4


def test_the_memory_limit_costs_a_request(tmp_path: Path) -> None:
    status = _status(os.getpid())
    used = int(status["VmData"].split()[0]) << 10
    big = tmp_path / "big"
    body = elfbuild.compressed(bytes(400 << 20))
    big.write_bytes(elfbuild.elf([elfbuild.Sec(".debug_info", body, flags=0x800)]))
    mapped = tmp_path / "mapped"
    mapped.write_bytes(elfbuild.elf())
    with mapped.open("r+b") as file:
        file.truncate(4 << 30)  # does not count: the system can take its pages back
    with Resolver(memory_limit=used + (256 << 20)) as resolver:
        request = resolver.request_facts(_add(resolver, big))
        assert _all(resolver)[request] == FailedReply(
            request, "not enough memory within the resolver's limit"
        )
        request = resolver.request_facts(_add(resolver, mapped))
        assert isinstance(_all(resolver)[request], FactsReply)
        after = resolver.request_unwind(_add(resolver, _libc()))
        assert isinstance(_all(resolver)[after], UnwindReply)


def test_use_is_counted(resolver: Resolver) -> None:
    resolver.request_unwind(_add(resolver, _libc()))
    _all(resolver)
    assert resolver.cpu_ns() > 1_000_000
    assert 1 << 20 < resolver.rss_bytes() < 1 << 30


def test_the_child_ends_with_its_parent() -> None:
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        try:
            resolver = Resolver()
            resolver.request_facts(1)
            resolver.wait(PATIENCE_S)
            os.write(writer, str(resolver.pid).encode())
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.close(writer)
    pid = int(os.read(reader, 32))
    os.close(reader)
    os.waitpid(parent, 0)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if _status(pid)["State"].startswith("Z"):
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.01)
    pytest.fail("the resolver outlived its parent")


def test_a_descriptor_that_is_not_a_sealed_memfd_is_refused(tmp_path: Path) -> None:
    from hud.errors import FormatError

    path = tmp_path / "plain"
    path.write_bytes(b"x")
    with path.open("rb") as file, pytest.raises(FormatError):
        messages.read_memfd(file.fileno())
    sealed = messages.memfd(b"rows", b"buckets")
    assert messages.read_memfd(sealed) == b"rowsbuckets"
    with pytest.raises(PermissionError):
        os.write(sealed, b"x")
    os.close(sealed)


def test_a_child_that_speaks_nonsense_is_ended(resolver: Resolver) -> None:
    """As if a hostile file had taken the child over."""
    import socket

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    resolver._socket.close()
    ours.setblocking(False)
    resolver._socket = ours
    request = resolver.request_facts(1)
    theirs.send(b"\0\xc1nonsense")
    (reply,) = resolver.wait(PATIENCE_S)
    assert isinstance(reply, FailedReply)
    assert reply.request == request
    assert "nonsense" in reply.message
    assert not Path(f"/proc/{resolver.pid}").exists()
    theirs.close()
