"""The program that the target runs: hands its files to the resolver, reads the executable's facts.

The file of ``--target`` is read in place of the executable if it is of the same build.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from hud.errors import TargetError, UsageError
from hud.model import Mapping, Target
from hud.process.executable import open_executable, open_mapping, open_named, same_file
from hud.process.find import same_process
from hud.profiler.naming.addresses import Addresses
from hud.profiler.notes import Notes
from hud.resolver.client import Resolver
from hud.resolver.messages import AskFacts, Facts, Failed
from hud.text import printable

FACTS_TIMEOUT_S = 10.0
UNWIND_TIMEOUT_S = 5.0
SLOW_S = 1.0


class Image:
    """Reads one program; ``begin`` starts anew for another.

    ``notes`` gets sentences for the user, ``say`` one of progress where it takes long.
    """

    def __init__(
        self,
        resolver: Resolver,
        named: str | None,
        notes: Notes,
        say: Callable[[str], None],
    ) -> None:
        self._resolver = resolver
        self._named = named
        self._notes = notes
        self._say = say
        self.facts: Facts | None = None
        """None until they are read, and if they cannot be."""
        self._running: Facts | None = None
        """Of the executable itself, where the file of ``--target`` is read in its place."""
        self._reading = False
        self._pid = 0
        self._path = ""

    def open(self, mapping: Mapping) -> int:
        """A descriptor of the file behind a mapping; the executable's is that of ``--target``."""
        if self._named is None or not mapping.inode:
            return open_mapping(self._pid, mapping)
        running = open_executable(self._pid)
        try:
            descriptor = open_mapping(self._pid, mapping)
            if not same_file(running, descriptor):
                return descriptor
            os.close(descriptor)
        finally:
            os.close(running)
        return open_named(self._named)

    def begin(self, target: Target, addresses: Addresses) -> None:
        """Hand what is mapped now to the resolver. TargetError if the process is gone."""
        if not same_process(target):
            raise TargetError(f"process {target.pid} is gone")
        self._pid, self._path = target.pid, target.executable
        self._addresses = addresses
        addresses.refresh()
        self._resolver.drop(self)
        self.facts = self._running = None
        module = addresses.modules.module_of(target.executable)
        self._reading = module is not None
        if module is not None:
            addresses.modules.when_ready(module, partial(self._ask, module))
        if self._named is not None:
            running = open_executable(target.pid)
            try:
                number = self._resolver.add_module(running, target.executable)
            finally:
                os.close(running)
            self._resolver.ask(AskFacts(number), self._take_running, owner=self)

    def _ask(self, module: int) -> None:
        """Have the facts, from the cache or from the resolver, which has its debug files now."""
        known = self._addresses.modules.known_facts(module)
        if known is not None:
            self._use(known)
        else:
            self._resolver.ask(AskFacts(module), partial(self._take, module), owner=self)

    def _is_read(self) -> bool:
        return not self._reading and not self._resolver.pending(self)

    def wait(self) -> None:
        """Wait for the facts, and a little for the unwind tables. UsageError for a wrong file."""

        def done() -> bool:
            return self._is_read() and not self._addresses.modules.pending_unwind

        if not self._resolver.run_until(done, SLOW_S):
            self._say("reading the unwind tables of the target's files")
            self._resolver.run_until(done, UNWIND_TIMEOUT_S - SLOW_S)
            if not self._resolver.run_until(self._is_read, FACTS_TIMEOUT_S - UNWIND_TIMEOUT_S):
                self._notes.add(f"{self._path}: not read within {FACTS_TIMEOUT_S:g} s")
        if self._named is not None:
            self._require_same_build(self._running)

    def _require_same_build(self, running: Facts | None) -> None:
        hint = f"leave --target out: hud reads {self._path} by itself"
        if self.facts is None:
            raise UsageError(f"--target {self._named}: not a readable ELF file", hint)
        if running is None:
            return
        named, actual = self.facts.facts, running.facts
        same = (
            named.build_id == actual.build_id
            if named.build_id and actual.build_id
            else [s[:3] for s in named.segments] == [s[:3] for s in actual.segments]
        )
        if not same:
            what = "another build than the running program"
            raise UsageError(f"--target {self._named}: {what}", hint)

    def _take_running(self, answer: Facts | Failed) -> None:
        if isinstance(answer, Facts):
            self._running = answer

    def _take(self, module: int, answer: Facts | Failed) -> None:
        if isinstance(answer, Failed):
            self._reading = False
            self._notes.add(f"{self._path}: {answer.message}")
        else:
            self._addresses.modules.keep_facts(module, answer)
            self._use(answer)

    def _use(self, found: Facts) -> None:
        self._reading = False
        self.facts = found
        self._notes.add(*(f"{self._path}: {note}" for note in found.facts.notes))
        if not found.crates:
            pass  # no Rust in it, so nothing of it to be blamed
        elif not found.facts.has_names:
            self._notes.add(_stripped(found))
        elif not found.facts.has_dwarf:
            self._notes.add("no debug info: files and lines are inferred where possible")


def _stripped(found: Facts) -> str:
    facts = found.facts
    known = [f"build id {facts.build_id}"] * bool(facts.build_id)
    known += [f"package {printable(facts.package)}"] * bool(facts.package)
    of = f" ({', '.join(known)})" if known else ""
    return (
        "the executable is stripped: names marked ~ are inferred from panic locations; "
        f"--target FILE with the unstripped file of this build{of} gives the real ones"
    )
