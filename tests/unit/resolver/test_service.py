"""What the resolver does when a parser misbehaves; patched before the fork, so in the child too."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from hud.errors import FormatError
from hud.resolver import service
from hud.resolver.client import FailedReply, FramesReply, Reply, Resolver
from hud.symbols.module import Module

PATIENCE_S = 60


def _ask(resolver: Resolver, what: str) -> Reply:
    with Path(sys.executable).resolve().open("rb") as file:
        module = resolver.add_module(file.fileno(), "python")
    if what == "facts":
        request = resolver.request_facts(module)
    else:
        request = resolver.request_frames(module, [0x100, 0x200])
    found: list[Reply] = []
    end = time.monotonic() + PATIENCE_S
    while resolver.pending and time.monotonic() < end:
        found += resolver.wait(1)
    (reply,) = found
    assert reply.request == request
    return reply


def _recurse(depth: int = 0) -> int:
    return _recurse(depth + 1) + 1


def _exhaust() -> object:
    return bytearray(1 << 50)


def _spin() -> NoReturn:
    while True:
        pass


def _fail(error: Exception) -> NoReturn:
    raise error


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (_recurse, "nested too deeply"),
        (_exhaust, "not enough memory within the resolver's limit"),
        (lambda: _fail(FormatError("bad bytes")), "bad bytes"),
        (lambda: _fail(IndexError("list index")), "unexpected IndexError: list index"),
        (_spin, "gave up after 0 s of CPU time"),
    ],
    ids=["recursion", "memory", "format", "slip", "endless"],
)
def test_trouble_costs_one_request(
    trouble: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "REQUEST_CPU_S", 0.3)
    monkeypatch.setattr(Module, "facts", lambda self: trouble())  # type: ignore[operator]
    with Resolver() as resolver:
        reply = _ask(resolver, "facts")
        assert isinstance(reply, FailedReply)
        assert reply.message == message
        assert isinstance(_ask(resolver, "frames"), FramesReply)
        assert resolver.alive


@pytest.mark.parametrize("trouble", [_spin, lambda: _fail(FormatError("bad"))])
def test_an_address_in_trouble_costs_its_own_name(
    trouble: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "REQUEST_CPU_S", 0.3)
    monkeypatch.setattr(Module, "frames", lambda self, vaddr: trouble())  # type: ignore[operator]
    with Resolver() as resolver:
        reply = _ask(resolver, "frames")
        assert isinstance(reply, FramesReply)
        assert [frame.function for (frame,) in reply.frames] == ["", ""]


def test_a_mistake_in_the_code_ends_the_child_with_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Module, "facts", lambda self: _fail(TypeError("our own mistake")))
    with Resolver() as resolver:
        reply = _ask(resolver, "facts")
        assert isinstance(reply, FailedReply)
        assert reply.message == "the symbol resolver died: TypeError: our own mistake"
        assert not resolver.alive


@pytest.fixture
def _no_zombies() -> Iterator[None]:
    yield
    assert not list(Path("/proc/self/task").glob("*/children")) or not any(
        path.read_text() for path in Path("/proc/self/task").glob("*/children")
    )


@pytest.mark.usefixtures("_no_zombies")
def test_nothing_is_left_of_a_child_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(memory_limit: int) -> NoReturn:
        raise PermissionError(1, "not allowed to drop privileges")

    monkeypatch.setattr(service, "drop_privileges", refuse)
    with Resolver() as resolver:
        reply = _ask(resolver, "facts")
        assert isinstance(reply, FailedReply)
        assert "not allowed to drop privileges" in reply.message
