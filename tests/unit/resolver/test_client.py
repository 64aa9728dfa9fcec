"""The resolver process, forked for real: answers, refusals, death, privileges, descriptors."""

from __future__ import annotations

import gc
import mmap
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hud.resolver import messages
from hud.resolver.client import LIVES, Resolver
from hud.resolver.confinement import MAPPED_LIMIT
from hud.resolver.messages import (
    Answer,
    AskFacts,
    AskFrames,
    AskUnwind,
    Debug,
    Facts,
    Failed,
    Frames,
    Question,
    Unwind,
)
from hud.symbols.elf.file import ElfFile
from hud.symbols.facts import UnwindTable
from hud.symbols.unwind.table import unwind_table
from tests.builders import elfbuild
from tests.builders.asked import ask

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


class Answers:
    """What came for each question, in that order; each must come once."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.found: dict[int, Answer] = {}
        self.asked = 0

    def ask(self, question: Question[Any]) -> int:
        self.asked += 1
        self.resolver.ask(question, partial(self._take, self.asked), owner=self)
        return self.asked

    def _take(self, number: int, answer: Answer) -> None:
        assert number not in self.found
        self.found[number] = answer

    def all(self) -> dict[int, Answer]:
        assert self.resolver.run_until(lambda: not self.resolver.pending(), PATIENCE_S)
        assert len(self.found) == self.asked
        return self.found


@pytest.fixture
def answers(resolver: Resolver) -> Answers:
    return Answers(resolver)


def _descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_facts_unwind_and_frames_of_libc(resolver: Resolver, answers: Answers) -> None:
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
    facts = answers.ask(AskFacts(module))
    unwind = answers.ask(AskUnwind(module))
    frames = answers.ask(AskFrames(module, [offset, 1 << 60]))
    assert resolver.pending() == resolver.pending(answers) == 3
    got = answers.all()

    assert got[facts] == Facts(facts_here, {}, ())
    answer = got[unwind]
    assert isinstance(answer, Unwind)
    assert answer.table == want
    assert set(answer.segments) < set(segments)  # the executable ones
    answer = got[frames]
    assert isinstance(answer, Frames)
    named, unknown = answer.frames
    assert named[-1].raw.startswith("qsort")
    assert (named[-1].address, named[-1].module, named[-1].offset) == (0, str(path), start)
    (nothing,) = unknown
    assert (nothing.function, nothing.module, nothing.offset) == ("", str(path), 1 << 60)
    assert not resolver.run()


def test_many_offsets_in_one_request(resolver: Resolver) -> None:
    module = _add(resolver, _libc())
    offsets = list(range(1 << 40, (1 << 40) + 20_000))
    answer = ask(resolver, AskFrames(module, offsets))
    assert isinstance(answer, Frames)
    assert [one.offset for (one,) in answer.frames] == offsets


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
    resolver: Resolver, answers: Answers, data: bytes
) -> None:
    bad = _add_bytes(resolver, data)
    for question in (AskFacts(bad), AskUnwind(bad), AskFrames(bad, [0, 1]), AskFacts(bad)):
        answers.ask(question)
    assert all(isinstance(answer, Failed) for answer in answers.all().values())
    assert isinstance(ask(resolver, AskUnwind(_add(resolver, _libc()))), Unwind)
    assert resolver.alive


@pytest.mark.parametrize("content", [b"root:$6$secret:1::::::\n", b"", b"\x7fEL"])
def test_the_child_never_has_a_file_that_is_no_program(
    resolver: Resolver, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others choose by which names root opens files."""
    path = tmp_path / "shadow"
    path.write_bytes(content)
    given: list[str] = []

    def send(to: socket.socket, packet: bytes, descriptors: Sequence[int]) -> None:
        given.extend(str(Path(f"/proc/self/fd/{one}").readlink()) for one in descriptors)
        whole(to, packet, descriptors)

    whole = messages.send
    monkeypatch.setattr(messages, "send", send)
    program = _add(resolver, _libc())
    assert isinstance(ask(resolver, AskFacts(_add(resolver, path))), Failed)
    found: list[Answer] = []
    with path.open("rb") as file:
        resolver.add_debug(program, file.fileno(), "shadow", found.append)
    assert resolver.run_until(lambda: found, PATIENCE_S)
    assert found == [Debug("shadow: not an ELF file")]
    assert given == [str(_libc().resolve())]


def test_a_module_that_was_never_added(resolver: Resolver) -> None:
    assert isinstance(ask(resolver, AskFacts(77)), Failed)
    assert resolver.alive


def test_damaged_programs_never_end_the_child(resolver: Resolver, answers: Answers) -> None:
    whole = Path(sys.executable).resolve().read_bytes()[: 1 << 20]
    for seed in range(12):
        data = bytearray(whole[: len(whole) >> (seed % 5)])
        for at in range(seed, min(len(data), 4096), 61 + seed):
            data[at] ^= 0x5A
        data[:4] = b"\x7fELF"
        module = _add_bytes(resolver, bytes(data))
        answers.ask(AskFacts(module))
        answers.ask(AskUnwind(module))
        answers.ask(AskFrames(module, [0x1000, 0x20000]))
    assert len(answers.all()) == 36
    assert resolver.alive


def test_a_killed_child_fails_each_open_question_once(resolver: Resolver, answers: Answers) -> None:
    os.kill(resolver.pid, signal.SIGSTOP)
    module = _add(resolver, _libc())
    asked = [answers.ask(AskUnwind(module)), answers.ask(AskFacts(module))]
    os.kill(resolver.pid, signal.SIGKILL)
    died = Failed("the symbol resolver died: killed by SIGKILL")
    assert answers.all() == dict.fromkeys(asked, died)
    assert not resolver.run()


def _whole(tmp_path: Path, name: str) -> Path:
    """A program, or its debug file, with the same build id."""
    note = elfbuild.Sec(
        ".note.gnu.build-id", elfbuild.note(3, b"GNU\0", bytes.fromhex("0a0b0c0d")), 7
    )
    symbols = elfbuild.symbol_sections([elfbuild.Sym(name, elfbuild.TEXT, 0x1000)])
    path = tmp_path / name
    path.write_bytes(elfbuild.elf([note, *(symbols if name == "named" else [])]))
    return path


def test_a_dead_child_is_started_anew_with_the_files_it_had(tmp_path: Path) -> None:
    said: list[str] = []
    with Resolver(say=said.append) as resolver:
        module = _add(resolver, _whole(tmp_path, "program"))
        accepted: list[Answer] = []
        with _whole(tmp_path, "named").open("rb") as file:
            resolver.add_debug(module, file.fileno(), "named", accepted.append)
        assert resolver.run_until(lambda: accepted, PATIENCE_S)
        for _ in range(LIVES - 1):
            before = resolver.pid
            os.kill(before, signal.SIGKILL)
            assert isinstance(ask(resolver, AskFacts(module)), Failed)
            assert resolver.alive
            answer = ask(resolver, AskFrames(module, [elfbuild.TEXT]))
            assert isinstance(answer, Frames)
            assert [frame.raw for (frame,) in answer.frames] == ["named"]
            assert resolver.pid != before
            _confined(resolver.pid)
        os.kill(resolver.pid, signal.SIGKILL)
        for _ in range(3):
            assert isinstance(ask(resolver, AskFacts(module)), Failed)
        assert not resolver.alive
        assert (resolver.cpu_ns(), resolver.rss_bytes()) == (0, 0)
    died = "the symbol resolver died: killed by SIGKILL; "
    again = died + "it was restarted, and some names are missing"
    assert said == [*[again] * (LIVES - 1), died + "no names from here on"]


def test_a_debug_file_that_kills_the_child_is_not_offered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Resolver() as resolver:
        module = _add(resolver, _whole(tmp_path, "program"))
        os.kill(resolver.pid, signal.SIGSTOP)
        found: list[Answer] = []
        with _whole(tmp_path, "named").open("rb") as file:
            resolver.add_debug(module, file.fileno(), "named", found.append)
        os.kill(resolver.pid, signal.SIGKILL)
        assert resolver.run_until(lambda: found, PATIENCE_S)
        assert isinstance(found[0], Failed)
        answer = ask(resolver, AskFrames(module, [elfbuild.TEXT]))
        assert isinstance(answer, Frames)
        assert [frame.raw for (frame,) in answer.frames] == [""]


def test_a_child_that_cannot_be_started_anew(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(resolver, "_say", said.append)
    monkeypatch.setattr(sys, "executable", "/nowhere")
    os.kill(resolver.pid, signal.SIGKILL)
    assert isinstance(ask(resolver, AskFacts(1)), Failed)
    assert isinstance(ask(resolver, AskFacts(1)), Failed)
    end = "no names from here on: No such file or directory"
    assert said == [f"the symbol resolver died: killed by SIGKILL; {end}"]


def test_a_file_cut_while_it_is_read_costs_names_only(resolver: Resolver, tmp_path: Path) -> None:
    path = tmp_path / "shrinking"
    path.write_bytes(Path(sys.executable).resolve().read_bytes())
    module = _add(resolver, path)
    assert isinstance(ask(resolver, AskFacts(module)), Facts)
    with path.open("r+b") as file:
        file.truncate(mmap.PAGESIZE)
    assert ask(resolver, AskUnwind(module)) == Failed("the symbol resolver died: killed by SIGBUS")


def test_asking_never_blocks(resolver: Resolver, answers: Answers) -> None:
    os.kill(resolver.pid, signal.SIGSTOP)
    module = _add(resolver, _libc())
    for n in range(1, 13):
        answers.ask(AskFrames(module, list(range(n << 40, (n << 40) + 3000))))
    assert not resolver.run()
    assert not resolver.run(0.01)
    os.kill(resolver.pid, signal.SIGCONT)
    assert all(isinstance(answer, Frames) for answer in answers.all().values())


def test_short_questions_overtake_long_ones(resolver: Resolver, answers: Answers) -> None:
    os.kill(resolver.pid, signal.SIGSTOP)
    module = _add(resolver, _libc())
    long = answers.ask(AskFrames(module, list(range(1000))))
    short = answers.ask(AskFrames(module, [5]))
    unwind = answers.ask(AskUnwind(module))
    os.kill(resolver.pid, signal.SIGCONT)
    assert list(answers.all()) == [unwind, short, long]


def test_dropped_questions_get_no_answer(resolver: Resolver, answers: Answers) -> None:
    os.kill(resolver.pid, signal.SIGSTOP)
    module = _add(resolver, _libc())
    others = Answers(resolver)
    answers.ask(AskUnwind(module))
    kept = others.ask(AskFacts(module))
    resolver.drop(answers)
    assert (resolver.pending(answers), resolver.pending(others), resolver.pending()) == (0, 1, 2)
    os.kill(resolver.pid, signal.SIGCONT)
    assert list(others.all()) == [kept]
    assert answers.found == {}


def test_an_answer_may_ask_and_drop(resolver: Resolver, answers: Answers) -> None:
    module = _add(resolver, _libc())
    got: list[Answer] = []

    def then(answer: Answer) -> None:
        got.append(answer)
        resolver.drop(answers)
        resolver.ask(AskUnwind(module), got.append)

    os.kill(resolver.pid, signal.SIGSTOP)
    resolver.ask(AskFacts(module), then)
    answers.ask(AskFacts(module))
    os.kill(resolver.pid, signal.SIGCONT)
    assert resolver.run_until(lambda: not resolver.pending(), PATIENCE_S)
    assert [type(one) for one in got] == [Facts, Unwind]
    assert answers.found == {}


def test_waiting_ends_in_time(resolver: Resolver) -> None:
    assert not resolver.run(60), "nothing is open"
    assert not resolver.run_until(lambda: False, 0.01)
    assert resolver.run_until(lambda: True, 0)


def test_closing_is_quick_even_when_the_child_hangs() -> None:
    with Resolver() as resolver:
        os.kill(resolver.pid, signal.SIGSTOP)
        Answers(resolver).ask(AskFacts(_add(resolver, _libc())))
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
            answers = Answers(resolver)
            answers.ask(AskUnwind(module))
            answers.ask(AskFrames(module, list(range(9000))))
            answers.all()
            os.kill(resolver.pid, signal.SIGSTOP)
            for _ in range(50):
                answers.ask(AskFrames(_add(resolver, _libc()), list(range(9000))))
            if kill:
                os.kill(resolver.pid, signal.SIGKILL)
                answers.all()
    assert _descriptors() == before


def test_the_child_has_no_descriptor_of_the_parent(resolver: Resolver) -> None:
    ask(resolver, AskFacts(_add(resolver, _libc())))
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
    ask(resolver, AskFacts(9999))


def _confined(pid: int) -> None:
    status = _status(pid)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0
    if os.geteuid() == 0:
        assert int(status["CapBnd"], 16) == 0
        assert status["Groups"] == ""
        assert status["Uid"].split() == status["Gid"].split() == ["65534"] * 4
    else:
        assert status["Uid"].split() == [str(os.getuid())] * 4


@pytest.mark.parametrize("sudo", [False, True])
def test_no_privilege_is_left(sudo: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUDO_UID", "SUDO_GID"):
        monkeypatch.delenv(name, raising=False)
        if sudo:  # whose home is worth as much
            monkeypatch.setenv(name, "1234")
    with Resolver() as resolver:
        _ready(resolver)
        _confined(resolver.pid)
        ignored = int(_status(resolver.pid)["SigIgn"], 16)
        assert ignored >> (signal.SIGINT - 1) & 1
        assert ignored >> (signal.SIGTERM - 1) & 1
        assert os.getpriority(os.PRIO_PROCESS, resolver.pid) >= 5


def test_its_limits(resolver: Resolver) -> None:
    _ready(resolver)
    limits = Path(f"/proc/{resolver.pid}/limits").read_text()
    for name, value in (
        ("Max data size", 512 << 20),
        ("Max address space", (512 << 20) + MAPPED_LIMIT),
        ("Max core file size", 0),
        ("Max file size", messages.BODY_LIMIT),
    ):
        line = next(line for line in limits.splitlines() if line.startswith(name))
        assert line.split()[-3:-1] == [str(value)] * 2


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
        assert ask(resolver, AskFacts(_add(resolver, big))) == Failed(
            "not enough memory within the resolver's limit"
        )
        assert isinstance(ask(resolver, AskFacts(_add(resolver, mapped))), Facts)
        assert isinstance(ask(resolver, AskUnwind(_add(resolver, _libc()))), Unwind)


def test_use_is_counted(resolver: Resolver) -> None:
    ask(resolver, AskUnwind(_add(resolver, _libc())))
    assert resolver.cpu_ns() > 1_000_000
    assert 1 << 20 < resolver.rss_bytes() < 1 << 30


def test_the_child_ends_with_its_parent() -> None:
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        try:
            resolver = Resolver()
            ask(resolver, AskFacts(1))
            os.write(writer, str(resolver.pid).encode())
            os.kill(resolver.pid, signal.SIGSTOP)  # it cannot see that its socket has ended
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
    sealed = messages.memfd(b"rowsbuckets")
    assert messages.read_memfd(sealed) == b"rowsbuckets"
    with pytest.raises(PermissionError):
        os.write(sealed, b"x")
    os.close(sealed)


def _unwind(**sizes: int) -> bytes:
    fields = {"rows": bytes(8 * sizes.pop("rows")), "buckets": bytes(sizes.pop("buckets"))}
    table = UnwindTable(base=0, count=2, functions=1, unsupported=0, **fields)
    return messages.encode((1, Unwind([], table, "")))


@pytest.mark.parametrize(
    "packet",
    [
        b"\xc1nonsense",
        messages.encode((7, Failed("of a question that was not asked"))),
        messages.encode((1, Facts(msgspec.Raw(b"\x90")))),  # type: ignore[arg-type]
        messages.encode((1, Frames([]))),
        _unwind(rows=2, buckets=4),
        _unwind(rows=3, buckets=8),
    ],
    ids=["bytes", "number", "facts", "kind", "buckets", "rows"],
)
def test_a_child_that_speaks_nonsense_is_ended(resolver: Resolver, packet: bytes) -> None:
    """As if a hostile file had taken the child over."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    resolver._child.socket.close()
    ours.setblocking(False)
    resolver._child = resolver._child._replace(socket=ours)
    found: list[Answer] = []
    # no module is added, so that this is question 1
    resolver.ask(AskUnwind(1), found.append)
    pid = resolver.pid
    theirs.send(b"\0" + packet)
    assert resolver.run(PATIENCE_S)
    (answer,) = found
    assert isinstance(answer, Failed)
    assert "nonsense" in answer.message
    assert not Path(f"/proc/{pid}").exists()
    theirs.close()


def test_what_the_parent_has_made_is_not_copied() -> None:
    """To look for garbage among it would be to write to each object."""
    theirs = [[number] for number in range(400_000)]
    gc.collect()
    with Resolver() as resolver:
        _add(resolver, _libc())
        ask(resolver, AskFacts(0))
        rollup = Path(f"/proc/{resolver.pid}/smaps_rollup").read_text()
    own_kb = int(rollup.partition("Private_Dirty:")[2].split()[0])
    assert own_kb << 10 < len(theirs) * 64
