"""Questions to the resolver that wait for the answer, and a resolver that the test answers for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from hud.resolver.client import Resolver
from hud.resolver.messages import AddModule, Answer, AnswerT, Failed, Question

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = TypeVar("Kind", bound=Question[Any])
PATIENCE_S = 60


def ask(resolver: Resolver, question: Question[AnswerT]) -> AnswerT | Failed:
    """Wait for the answer to a question."""
    found: list[AnswerT | Failed] = []
    resolver.ask(question, found.append)
    assert resolver.run_until(lambda: found, PATIENCE_S)
    return found[0]


class Asked(Resolver):
    """The parent's end without the process: the test says what comes through the socket."""

    def __init__(self) -> None:
        self._open = {}
        self._last = 0
        self._answers: dict[int, Answer] = {}
        self.sent: dict[int, Question[Any]] = {}
        """What has no answer yet, by number."""
        self.modules: dict[int, str] = {}

    def _post(self, message: Question[Any], descriptor: int | None) -> int:
        if descriptor is not None:
            os.close(descriptor)
        self._last += 1
        if isinstance(message, AddModule):
            self.modules[self._last] = message.name
        else:
            self.sent[self._last] = message
        return self._last

    def _receive(self) -> dict[int, Answer]:
        found, self._answers = self._answers, {}
        return found

    def all(self, kind: type[Kind]) -> list[Kind]:
        """The questions of a kind that have no answer yet."""
        return [one for one in self.sent.values() if isinstance(one, kind)]

    def answer(self, kind: type[Kind], *answers: Answer) -> None:
        """Answer the oldest questions of a kind, one each."""
        numbers = [number for number, one in self.sent.items() if isinstance(one, kind)]
        self._give(dict(zip(numbers, answers, strict=False)))

    def answer_all(self, kind: type[Kind], make: Callable[[Kind], Answer]) -> None:
        """Answer every question of a kind."""
        self._give({at: make(one) for at, one in self.sent.items() if isinstance(one, kind)})

    def _give(self, answers: dict[int, Answer]) -> None:
        for number in answers:
            del self.sent[number]
        self._answers = answers
        self.run()
