"""Which mapped files besides the executable have Tokio in them: extensions of Python, of Node ...

Only files with enough thread-locals for Tokio's CONTEXT are looked into, each once; the resolver
reads them, hud goes on meanwhile.
"""

from __future__ import annotations

import time

from hud.profiler.addresses import Addresses
from hud.profiler.detection import SharedObject, has_tokio
from hud.resolver.client import FactsReply, FailedReply, Reply, Resolver
from hud.runtime.context import LAYOUTS

LEAST = min(row.size for row in LAYOUTS)
"""Bytes of thread-locals; libc has 144, most files none."""

WAIT_S = 5.0


class Objects:
    """Asks for the facts of such files and keeps those that count."""

    def __init__(self, resolver: Resolver, addresses: Addresses, notes: list[str]) -> None:
        """``notes`` gets sentences for the user."""
        self._resolver = resolver
        self._addresses = addresses
        self._modules = addresses.modules
        self._notes = notes
        self._asked: set[int] = set()
        self._requests: dict[int, tuple[int, str]] = {}
        self._facts: dict[int, tuple[str, FactsReply]] = {}
        self.changed = False
        """One more has come since the caller set this to False."""

    @property
    def pending(self) -> int:
        """Files whose facts have not come yet."""
        return len(self._requests)

    def clear(self) -> None:
        """The target runs another program."""
        self._asked.clear()
        self._requests.clear()
        self._facts.clear()
        self.changed = False

    def ask(self, executable: str) -> None:
        """Have the facts of the files that are mapped now and were not asked for before."""
        for number, path in self._modules.with_tls(LEAST):
            if path == executable or number in self._asked or not self._modules.is_begun(number):
                continue
            self._asked.add(number)
            known = self._modules.known_facts(number)
            if known is not None:
                self._keep(number, path, known)
            else:
                self._requests[self._resolver.request_facts(number)] = number, path

    def take(self, reply: Reply) -> None:
        """Use an answer, if it is to a question of ``ask``."""
        asked = self._requests.pop(reply.request, None)
        if asked is not None and isinstance(reply, FactsReply):
            self._modules.keep_facts(asked[0], reply)
            self._keep(*asked, reply)

    def _keep(self, number: int, path: str, reply: FactsReply) -> None:
        if not has_tokio(reply):
            return
        self._facts[number] = path, reply
        self.changed = True
        if not reply.facts.has_names:
            self._notes.append(
                f"{path} is stripped: names marked ~ are inferred from panic locations"
            )
        elif not reply.facts.has_dwarf:
            self._notes.append(
                f"{path} has no debug info: files and lines as far as they can be inferred"
            )

    def wait(self) -> None:
        """Wait for what was asked, WAIT_S at most."""
        end = time.monotonic() + WAIT_S
        while self._requests and self._resolver.alive and time.monotonic() < end:
            replies = self._resolver.wait(0.05)
            for reply in replies:
                if isinstance(reply, FactsReply | FailedReply):
                    self.take(reply)
            self._addresses.take(replies)

    def found(self) -> list[SharedObject]:
        """Those that have Tokio and are still mapped."""
        found = []
        for number, (path, reply) in sorted(self._facts.items()):
            mappings = self._modules.mappings_of(number)
            if mappings:
                found.append(SharedObject(path, reply, mappings))
        return found
