"""The program that the target runs: its files handed to the resolver, what the executable is.

Terms: the *facts* are what is read of the executable (hud.symbols.module); the *named file* is that
of ``--target``, read in place of the executable if it is of the same build.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from hud.errors import TargetError, UsageError
from hud.model import Mapping, Target
from hud.profiler.addresses import Addresses
from hud.resolver.client import FactsReply, FailedReply, Reply, Resolver
from hud.target.executable import open_executable, open_mapping, open_named, same_file
from hud.target.find import same_process
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
        notes: list[str],
        say: Callable[[str], None],
    ) -> None:
        self._resolver = resolver
        self._named = named
        self._notes = notes
        self._say = say
        self.facts: FactsReply | None = None
        """None until they are read, and if they cannot be."""

    def open(self, target: Target, mapping: Mapping) -> int:
        """A descriptor of the file behind a mapping, the named file in place of the executable."""
        if self._named is None or not mapping.inode:
            return open_mapping(target.pid, mapping)
        running = open_executable(target.pid)
        try:
            descriptor = open_mapping(target.pid, mapping)
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
        self._path = target.executable
        self._addresses = addresses
        addresses.refresh()
        self.facts = None
        self._request = 0
        self._running_request = 0
        self._module = addresses.modules.module_of(target.executable)
        self._ask()
        if self._named is not None:
            running = open_executable(target.pid)
            try:
                number = self._resolver.add_module(running, target.executable)
            finally:
                os.close(running)
            self._running_request = self._resolver.request_facts(number)

    def _ask(self) -> None:
        """Have the facts, from the cache or when the resolver has the module's debug files."""
        module = self._module
        if module is None or self._request or not self._addresses.modules.is_begun(module):
            return
        self._request = -1
        known = self._addresses.modules.known_facts(module)
        if known is not None:
            self.take(replace(known, request=self._request))
        else:
            self._request = self._resolver.request_facts(module)

    def wait(self) -> None:
        """Wait for the facts, and a little for the unwind tables. UsageError for a wrong file."""
        began = time.monotonic()
        running: FactsReply | None = None
        told = False
        while time.monotonic() < began + FACTS_TIMEOUT_S:
            wanted = self._module is not None
            wanted |= running is None and bool(self._running_request)
            patient = time.monotonic() < began + UNWIND_TIMEOUT_S
            if not wanted and not (self._addresses.modules.pending_unwind and patient):
                break
            if not told and time.monotonic() > began + SLOW_S:
                self._say("reading the unwind tables of the target's files")
                told = True
            replies = self._resolver.wait(0.05)
            for reply in replies:
                if isinstance(reply, FactsReply) and reply.request == self._running_request:
                    running = reply
                elif isinstance(reply, FactsReply | FailedReply):
                    self.take(reply)
            self._addresses.take(replies)
            self._ask()
            if not self._resolver.alive:
                break
        else:
            self._notes.append(f"{self._path}: not read within {FACTS_TIMEOUT_S:g} s")
        if self._named is not None:
            self._require_same_build(running)

    def _require_same_build(self, running: FactsReply | None) -> None:
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

    def take(self, reply: Reply) -> None:
        """Use an answer, if it is to the question for the facts."""
        if reply.request != self._request:
            return
        module, self._module = self._module, None
        if isinstance(reply, FactsReply):
            if self._request > 0 and module is not None:
                self._addresses.modules.keep_facts(module, reply)
            self.facts = reply
            self._notes += [f"{self._path}: {note}" for note in reply.facts.notes]
            if not reply.crates:
                pass  # no Rust in it, so nothing of it to be blamed
            elif not reply.facts.has_names:
                self._notes.append(_stripped(reply))
            elif not reply.facts.has_dwarf:
                self._notes.append("no debug info: files and lines as far as they can be inferred")
        elif isinstance(reply, FailedReply):
            self._notes.append(f"{self._path}: {reply.message}")
        self._request = 0


def _stripped(reply: FactsReply) -> str:
    facts = reply.facts
    known = [f"build id {facts.build_id}"] * bool(facts.build_id)
    known += [f"package {printable(facts.package)}"] * bool(facts.package)
    of = f" ({', '.join(known)})" if known else ""
    return (
        "the executable is stripped: names marked ~ are inferred from panic locations; "
        f"--target FILE with the unstripped file of this build{of} gives the real ones"
    )
