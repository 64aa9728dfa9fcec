"""What the resolver does when a parser misbehaves; patched before the fork, so in the child too."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import NoReturn

import pytest

from hud.errors import FormatError
from hud.resolver import messages, service
from hud.resolver.client import Resolver
from hud.resolver.messages import Answer, AskFacts, AskFrames, Failed, Frames, Question
from hud.symbols.module import Module
from tests.builders.asked import ask


def _python(resolver: Resolver) -> int:
    with Path(sys.executable).resolve().open("rb") as file:
        return resolver.add_module(file.fileno(), "python")


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
        reply = ask(resolver, AskFacts(_python(resolver)))
        assert isinstance(reply, Failed)
        assert reply.message == message
        assert isinstance(ask(resolver, AskFrames(_python(resolver), [0x100, 0x200])), Frames)
        assert resolver.alive


@pytest.mark.parametrize("trouble", [_spin, lambda: _fail(FormatError("bad"))])
def test_an_address_in_trouble_costs_its_own_name(
    trouble: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "REQUEST_CPU_S", 0.3)
    monkeypatch.setattr(Module, "frames", lambda self, vaddr: trouble())  # type: ignore[operator]
    with Resolver() as resolver:
        reply = ask(resolver, AskFrames(_python(resolver), [0x100, 0x200]))
        assert isinstance(reply, Frames)
        assert [frame.function for (frame,) in reply.frames] == ["", ""]


def test_a_mistake_in_the_code_ends_the_child_with_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Module, "facts", lambda self: _fail(TypeError("our own mistake")))
    with Resolver() as resolver:
        reply = ask(resolver, AskFacts(_python(resolver)))
        assert isinstance(reply, Failed)
        assert reply.message == "the symbol resolver died: TypeError: our own mistake"


def test_what_hangs_in_a_library_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """No signal's Python function runs there."""
    monkeypatch.setattr(service, "REQUEST_CPU_S", 0.1)
    monkeypatch.setattr(service, "LAST_CPU_S", 0.2)
    monkeypatch.setattr(Module, "facts", lambda self: deque(repeat(0), maxlen=0))
    with Resolver() as resolver:
        died = Failed("the symbol resolver died: killed by SIGVTALRM")
        assert ask(resolver, AskFacts(_python(resolver))) == died


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
        reply = ask(resolver, AskFacts(_python(resolver)))
        assert isinstance(reply, Failed)
        assert "not allowed to drop privileges" in reply.message


def test_every_question_has_a_handler() -> None:
    kinds = set(messages.Question.__subclasses__()) - {messages.AddModule}
    assert {kind for kind in kinds if kind.__module__ == messages.__name__} == set(service.HANDLERS)


def test_a_new_question_is_a_message_and_a_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    class Length(Answer, frozen=True):
        letters: int

    class AskLength(Question[Length], frozen=True):
        module: int

    def length(files: service.Files, asked: AskLength) -> Length:
        return Length(len(files.of(asked.module).name))

    monkeypatch.setitem(service.HANDLERS, AskLength, service.Handler(length))
    with Resolver() as resolver:
        assert ask(resolver, AskLength(_python(resolver))) == Length(len("python"))
        assert isinstance(ask(resolver, AskLength(77)), Failed)
