"""Which mapped files besides the executable have Tokio in them: extensions of Python, of Node ...

Only files with enough thread-locals for Tokio's CONTEXT are looked into, each once; the resolver
reads them, hud goes on meanwhile.
"""

from __future__ import annotations

from functools import partial

from hud.profiler.detection.context import SharedObject, has_tokio
from hud.profiler.naming.modules import Modules
from hud.profiler.notes import Notes
from hud.resolver.client import Resolver
from hud.resolver.messages import AskFacts, Facts, Failed
from hud.runtime.context import LAYOUTS

LEAST = min(row.size for row in LAYOUTS)
"""Bytes of thread-locals; libc has 144, most files none."""

WAIT_S = 5.0


class Objects:
    """Asks for the facts of such files and keeps those that count."""

    def __init__(self, resolver: Resolver, modules: Modules, notes: Notes) -> None:
        """``notes`` gets sentences for the user."""
        self._resolver = resolver
        self._modules = modules
        self._notes = notes
        self._asked: set[int] = set()
        self._facts: dict[int, tuple[str, Facts]] = {}
        self.changed = False
        """One more has come since the caller set this to False."""

    @property
    def pending(self) -> int:
        """Files whose facts have not come yet."""
        return self._resolver.pending(self)

    def clear(self) -> None:
        """The target runs another program."""
        self._asked.clear()
        self._resolver.drop(self)
        self._facts.clear()
        self.changed = False

    def ask(self, executable: str) -> None:
        """Have the facts of the files that are mapped now and were not asked for before."""
        for number, path in self._modules.with_tls(LEAST):
            if path == executable or number in self._asked or not self._modules.is_ready(number):
                continue
            self._asked.add(number)
            known = self._modules.known_facts(number)
            if known is not None:
                self._keep(number, path, known)
            else:
                then = partial(self._take, number, path)
                self._resolver.ask(AskFacts(number), then, owner=self)

    def _take(self, number: int, path: str, answer: Facts | Failed) -> None:
        if isinstance(answer, Facts):
            self._modules.keep_facts(number, answer)
            self._keep(number, path, answer)

    def _keep(self, number: int, path: str, found: Facts) -> None:
        if not has_tokio(found):
            return
        self._facts[number] = path, found
        self.changed = True
        if not found.facts.has_names:
            self._notes.add(f"{path} is stripped: names marked ~ are inferred from panic locations")
        elif not found.facts.has_dwarf:
            self._notes.add(
                f"{path} has no debug info: files and lines are inferred where possible"
            )

    def wait(self) -> None:
        """Wait for what was asked, WAIT_S at most."""
        self._resolver.run_until(lambda: not self.pending, WAIT_S)

    def found(self) -> list[SharedObject]:
        """Those that have Tokio and are still mapped."""
        found = []
        for number, (path, facts) in sorted(self._facts.items()):
            mappings = self._modules.mappings_of(number)
            if mappings:
                found.append(SharedObject(path, facts, mappings))
        return found
