"""All that reads the target's files for one run: the resolver, and who asks it for what."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack

from hud.closing import Closing
from hud.model import Batch, Target
from hud.process.mappings import read_mappings
from hud.profiler.detection import context as detect
from hud.profiler.naming.addresses import Addresses
from hud.profiler.naming.cache import Cache, default_directory
from hud.profiler.naming.code import Codes
from hud.profiler.naming.debugfiles import DebugFileSearch
from hud.profiler.naming.debuginfo import DebugInfo
from hud.profiler.naming.executable import Image
from hud.profiler.naming.shared_objects import Objects
from hud.profiler.notes import Notes
from hud.profiler.options import Options
from hud.resolver.client import Resolver
from hud.resolver.download import Downloads, servers


class Naming(Closing):
    """Forks the resolver: before any BPF object, thread or screen exists."""

    def __init__(
        self, pid: int, options: Options, notes: Notes, say: Callable[[str], None]
    ) -> None:
        """``say`` gets a sentence of progress where it takes long. UsageError where a file that the
        user named cannot be opened."""
        with ExitStack() as stack:
            wants_code = options.exact or options.auto_threshold or options.code
            self.resolver = stack.enter_context(
                Resolver(imports=("capstone",) if wants_code else (), say=notes.add)
            )
            cache = Cache(default_directory() if options.use_cache else None)
            if cache.refusal:
                notes.add(f"nothing is kept for the next start: {cache.refusal}")
            self.store_of_root = cache.of_root()
            urls = servers(os.environ.get("DEBUGINFOD_URLS", "")) if cache else ()
            self.debug = DebugInfo(
                self.resolver,
                DebugFileSearch(pid, options.debug_files),
                cache,
                stack.enter_context(Downloads(urls)) if urls else None,
                notes,
            )
            stack.callback(self.debug.close)
            self.image = Image(self.resolver, options.executable, notes, say)
            self.addresses = Addresses(
                self.resolver,
                self.image.open,
                lambda: read_mappings(pid),
                cache,
                self.debug,
                notes,
            )
            self.codes = Codes(self.resolver, self.addresses.modules)
            self.objects = Objects(self.resolver, self.addresses.modules, notes)
            stack.callback(self.addresses.keep_names)
            self._stack = stack.pop_all()

    def close(self) -> None:
        self._stack.close()

    def begin(self, target: Target) -> None:
        """Hand what is mapped now to the resolver. TargetError if the process is gone."""
        self.image.begin(target, self.addresses)

    def wait(self, target: Target, *, for_tokio: bool) -> None:
        """Wait for what the executable is, and, where it has no Tokio, for other files that may.

        UsageError where the file of ``--target`` is of another build.
        """
        self.image.wait()
        facts = self.image.facts
        if for_tokio and (facts is None or not detect.has_tokio(facts)):
            self.objects.ask(target.executable)
            self.objects.wait()
        self.addresses.modules.show_new()  # before the first stacks

    def clear(self) -> None:
        """The target runs another program."""
        self.addresses.clear()
        self.codes.clear()
        self.objects.clear()

    def take(self, batch: Batch, timeout_s: float = 0.0) -> bool:
        """Put what the resolver has answered into a batch; waits for the first answer if need be.

        True: stacks that were named before may be named better now.
        """
        self.resolver.run(timeout_s)
        better = self.addresses.fill(batch)
        self.codes.fill(batch)
        return better
