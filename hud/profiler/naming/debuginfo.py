"""Offers the symbol resolver the debug information that lies outside of the target's modules.

The resolver answers for each file whether it is of the module's build. Nothing waits for an answer:
names that come later replace those shown before.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from hud.profiler.naming.cache import Cache
from hud.profiler.naming.debugfiles import MOST_OBJECTS, DebugFile, DebugFileSearch, FileState
from hud.profiler.notes import Notes
from hud.resolver.client import Resolver
from hud.resolver.download import SIZE_LIMIT, Downloads
from hud.resolver.messages import Debug, Failed
from hud.text import printable, shortened

MOST_DOWNLOADS = 64

_BUILD_ID = re.compile(r"[0-9a-f]{6,128}")


class Identity(NamedTuple):
    """What a module says about itself."""

    path: str
    build_id: str
    debuglink: str
    has_dwarf: bool


@dataclass(slots=True)
class _Module:
    number: int
    about: Identity
    open_offers: int = 0
    has_debug: bool = False
    packages_offered: bool = False
    packages: int = 0
    """Offered and not refused."""
    objects: dict[str, bool] = field(default_factory=dict)
    """By name; False = not found."""
    missing_noted: bool = False
    """That objects are missing."""
    offered: list[FileState] = field(default_factory=list)


class DebugInfo:
    """What was offered for each module (by the resolver's number), and what came of it."""

    def __init__(
        self,
        resolver: Resolver,
        files: DebugFileSearch,
        cache: Cache,
        downloads: Downloads | None = None,
        notes: Notes | None = None,
    ) -> None:
        """UsageError where a file that the user named cannot be opened."""
        self._resolver = resolver
        self._files = files
        self._cache = cache
        self._downloads = downloads
        self._named = files.named()
        self._modules: dict[int, _Module] = {}
        self._fetching: dict[str, list[int]] = {}
        self._to_fetch: deque[str] = deque()
        self._fetched_now = ""
        """The build id that is being fetched; empty = none is."""
        self._refused: dict[str, str] = {}
        self._notes = notes or Notes()
        self.better = False
        """Names known so far may be better, since the caller set this to False."""

    def close(self) -> None:
        """Close the files that the user named, and drop what is half downloaded."""
        for candidate in self._named:
            os.close(candidate.descriptor)
        self._named = []
        self._to_fetch.clear()
        self._cache.discard()

    def clear(self) -> None:
        """The target runs another image: its modules are others."""
        self._modules.clear()
        self._resolver.drop(self)
        self._fetching.clear()

    # ------------------------------------------------------------------ offering

    def begin(self, number: int, about: Identity) -> None:
        """Offer what is at hand for a new module."""
        if not _BUILD_ID.fullmatch(about.build_id):
            about = about._replace(build_id="")
        module = self._modules[number] = _Module(number, about)
        for candidate in self._named:
            self._offer(number, candidate, keep=True)
        if about.has_dwarf or not about.path.startswith("/"):
            return
        for candidate in self._files.separate(about.path, about.build_id, about.debuglink):
            self._offer(number, candidate)
        cached = self._cache.open(_cached_name(about.build_id)) if about.build_id else None
        if cached is not None:
            self._offer(number, DebugFile(cached, _cached_name(about.build_id)))
        if not module.open_offers:
            self._download(module)

    def debug_files(self, number: int) -> tuple[FileState, ...]:
        """The files offered for a module so far: what is known of it is valid with these only."""
        module = self._modules.get(number)
        return tuple(module.offered) if module is not None else ()

    def fetch_objects(self, number: int, names: Sequence[str], tries: int) -> bool:
        """Offer .dwo files that a module's frames missed, and its .dwp.

        True: the frames may be better if they are asked for again; ``tries`` says how often they
        were. Files that were offered before may have come too late for the first answer.
        """
        module = self._modules.get(number)
        if module is None:
            return False
        before = module.open_offers
        about = module.about
        if not module.packages_offered:
            module.packages_offered = True
            for candidate in self._files.packages(about.path, about.build_id, about.debuglink):
                self._offer(number, candidate, split=True)
                module.packages += 1
        fresh = [name for name in names if name not in module.objects]
        for name in fresh[: MOST_OBJECTS - len(module.objects)]:
            found = self._files.split_object(about.path, name)
            module.objects[name] = found is not None
            if found is not None:
                self._offer(number, found, split=True)
            elif not module.packages and not module.missing_noted:
                module.missing_noted = True
                shown = shortened(printable(name), 200)
                self._notes.add(f"{printable(about.path)}: split debug info not found: {shown}")
        if module.open_offers > before:
            return True
        return not tries and (module.packages > 0 or any(map(module.objects.get, names)))

    def _offer(
        self, number: int, candidate: DebugFile, *, split: bool = False, keep: bool = False
    ) -> None:
        module = self._modules[number]
        try:
            if not split:
                module.offered.append(candidate.state)
            then = partial(self._take, module, candidate.path, split)
            self._resolver.add_debug(number, candidate.descriptor, candidate.path, then, owner=self)
        finally:
            if not keep:
                os.close(candidate.descriptor)
        module.open_offers += 1

    # ------------------------------------------------------------------ answers

    def _take(self, module: _Module, path: str, split: bool, answer: Debug | Failed) -> None:
        """``split``: it was offered as an object or package."""
        module.open_offers -= 1
        why_not = answer.why_not if isinstance(answer, Debug) else answer.message
        named = any(path == candidate.path for candidate in self._named)
        if not why_not:
            if named:
                self._refused[path] = ""
            module.has_debug |= not split
            self.better |= not split
            return
        if named:
            self._refused.setdefault(path, why_not)
        elif split:
            module.packages -= path.endswith(".dwp")
            self._notes.add(f"split debug info: {printable(why_not)}")
        if path == _cached_name(module.about.build_id):
            self._cache.remove(path)
        if not module.open_offers and not split:
            self._download(module)

    def unused(self) -> list[str]:
        """Sentences about the user's files that no module took; each once, after all answers."""
        if self._resolver.pending(self):
            return []
        found = [f"--debug-file: {printable(why)}" for why in self._refused.values() if why]
        self._refused = dict.fromkeys(self._refused, "")
        return found

    # ------------------------------------------------------------------ downloads

    def _download(self, module: _Module) -> None:
        build_id = module.about.build_id
        if self._downloads is None or not build_id or module.has_debug or module.about.has_dwarf:
            return
        if build_id in self._fetching:
            return
        if len(self._fetching) >= MOST_DOWNLOADS:
            return
        self._fetching[build_id] = [module.number]
        self._to_fetch.append(build_id)
        self._fetch_next()

    def _fetch_next(self) -> None:
        """One after another: so much room is kept in the cache."""
        if self._downloads is None or self._fetched_now or not self._to_fetch:
            return
        descriptor = self._cache.scratch(SIZE_LIMIT)
        if descriptor is None:
            return
        build_id = self._to_fetch.popleft()
        try:
            if self._downloads.request(build_id, descriptor):
                self._fetched_now = build_id
            else:
                self._cache.discard()
        finally:
            os.close(descriptor)

    def poll(self) -> None:
        """Offer what has been downloaded since the last call."""
        if self._downloads is None or not self._fetched_now:
            return
        for build_id, why_not in self._downloads.done():
            self._fetched_now = ""
            if why_not:
                self._cache.discard()
                self._notes.add(f"debuginfod: {build_id}: {shortened(printable(why_not), 300)}")
                continue
            self._cache.keep(_cached_name(build_id))
            for number in self._fetching.get(build_id, []):
                cached = self._cache.open(_cached_name(build_id))
                if cached is not None and number in self._modules:
                    self._offer(number, DebugFile(cached, _cached_name(build_id)))
        self._fetch_next()


def _cached_name(build_id: str) -> str:
    return f"debug-{build_id[:128]}"
