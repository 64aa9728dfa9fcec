"""Debug files through the resolver process: which are accepted, which refused and why."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from hud.resolver.client import Resolver
from hud.resolver.messages import (
    AskFacts,
    AskFrames,
    AskUnwind,
    Debug,
    Facts,
    Failed,
    Frames,
    Unwind,
)
from tests.builders import elfbuild as b
from tests.builders.asked import ask
from tests.builders.elfbuild import TEXT, Sec, Sym
from tests.builders.splitdwarf import PLACES, dwo, dwp, make

PATIENCE_S = 60
SYMBOLS = b.symbol_sections([Sym("named", TEXT, 0x100)])


def build_id(payload: bytes) -> list[Sec]:
    return [Sec(".note.gnu.build-id", b.note(3, b"GNU\0", payload), 7)] if payload else []


def link(target: bytes) -> list[Sec]:
    return [Sec(".gnu_debuglink", b"app.debug\0\0\0" + zlib.crc32(target).to_bytes(4, "little"))]


@pytest.fixture(scope="module")
def resolver() -> Iterator[Resolver]:
    with Resolver() as made:
        yield made


def add(resolver: Resolver, tmp_path: Path, content: bytes) -> int:
    path = tmp_path / "app"
    path.write_bytes(content)
    with path.open("rb") as file:
        return resolver.add_module(file.fileno(), "app")


def offer(resolver: Resolver, module: int, tmp_path: Path, content: bytes, name: str) -> str:
    path = tmp_path / name
    path.write_bytes(content)
    with path.open("rb") as file:
        found: list[Debug | Failed] = []
        resolver.add_debug(module, file.fileno(), name, found.append)
    assert resolver.run_until(lambda: found, PATIENCE_S)
    (answer,) = found
    assert isinstance(answer, Debug)
    return answer.why_not


def functions(resolver: Resolver, module: int, vaddr: int) -> list[str]:
    reply = ask(resolver, AskFrames(module, [vaddr]))
    assert isinstance(reply, Frames)
    return [frame.raw for frame in reply.frames[0]]


def test_the_same_build_id(resolver: Resolver, tmp_path: Path) -> None:
    module = add(resolver, tmp_path, b.elf(build_id(b"one") + link(b"another")))
    assert functions(resolver, module, TEXT) == [""]
    other = b.elf(build_id(b"two") + SYMBOLS)
    assert offer(resolver, module, tmp_path, other, "x.debug") == (
        "x.debug: of another build (build id 74776f, not 6f6e65)"
    )
    assert functions(resolver, module, TEXT) == [""]
    right = b.elf(build_id(b"one") + SYMBOLS)
    assert offer(resolver, module, tmp_path, right, "y.debug") == ""
    assert functions(resolver, module, TEXT) == ["named"]
    assert offer(resolver, module, tmp_path, right, "z.debug") == "z.debug: y.debug is in use"
    facts = ask(resolver, AskFacts(module))
    assert isinstance(facts, Facts)
    assert facts.facts.has_symtab


def test_without_a_build_id_the_link_decides(resolver: Resolver, tmp_path: Path) -> None:
    right = b.elf(SYMBOLS)
    module = add(resolver, tmp_path, b.elf(link(right)))
    wrong = b.elf([*SYMBOLS, Sec("more", b"")])
    assert offer(resolver, module, tmp_path, wrong, "app.debug") == (
        f"app.debug: of another build (CRC {zlib.crc32(wrong):08x}, not {zlib.crc32(right):08x})"
    )
    assert offer(resolver, module, tmp_path, right, "app.debug") == ""
    assert functions(resolver, module, TEXT) == ["named"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b.elf(SYMBOLS), "no build id and no debug link to compare"),
        (b.elf(SYMBOLS, machine=183), "for aarch64, not x86_64"),
        (b.elf(), "neither debug information nor symbols"),
        (b"#!/bin/sh\n" * 10, "not an ELF file"),
        (b"", "not an ELF file"),
    ],
)
def test_what_is_refused(content: bytes, why: str, resolver: Resolver, tmp_path: Path) -> None:
    module = add(resolver, tmp_path, b.elf())
    assert offer(resolver, module, tmp_path, content, "f") == f"f: {why}"


def test_what_a_module_says_of_itself(resolver: Resolver, tmp_path: Path) -> None:
    module = add(resolver, tmp_path, b.elf(build_id(b"one") + link(b"")))
    reply = ask(resolver, AskUnwind(module))
    assert isinstance(reply, Unwind)
    assert (reply.build_id, reply.debuglink, reply.has_dwarf) == ("6f6e65", "app.debug", False)
    module = add(resolver, tmp_path, make(5).program)
    reply = ask(resolver, AskUnwind(module))
    assert isinstance(reply, Unwind)
    assert (reply.build_id, reply.debuglink, reply.has_dwarf) == ("", "", True)


@pytest.mark.parametrize("name", ["a.dwo", "a.dwp"])
def test_split_debug_info(name: str, resolver: Resolver, tmp_path: Path) -> None:
    made = make(5)
    module = add(resolver, tmp_path, made.program)
    reply = ask(resolver, AskFrames(module, list(PLACES)))
    assert isinstance(reply, Frames)
    assert reply.objects == ["/build/outer.dwo"]
    content = dwo(made) if name.endswith("o") else dwp(5, made)
    assert offer(resolver, module, tmp_path, content, name) == ""
    reply = ask(resolver, AskFrames(module, list(PLACES)))
    assert isinstance(reply, Frames)
    assert reply.objects == []
    assert [[frame.raw for frame in frames] for frames in reply.frames] == [
        ["outer"],
        ["inner", "outer"],
        ["outer"],
    ]


def test_split_debug_info_of_a_separate_file(resolver: Resolver, tmp_path: Path) -> None:
    """The program is stripped, the skeletons are in the debug file, the entries in a .dwp."""
    made = make(5)
    module = add(resolver, tmp_path, b.elf(link(made.program)))
    assert offer(resolver, module, tmp_path, made.program, "app.debug") == ""
    assert offer(resolver, module, tmp_path, dwp(5, made), "app.dwp") == ""
    assert functions(resolver, module, TEXT + 0x44) == ["inner", "outer"]
