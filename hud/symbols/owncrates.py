"""Says which crates are the user's own: that of ``main``, its relatives, those of the workspace.

A member of the workspace is a folder with a ``src`` of its own that lies in no registry, checkout
or vendor folder. A crate is related to that of ``main`` if their names share the first word
(``hickory_dns``, ``hickory_proto``), where that word is nobody else's. Nobody but its own package
compiles a ``src/main.rs`` or ``src/bin/server.rs``: so such a path names the crate of ``main`` even
where that came from a registry (``cargo install``), and without any symbol.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from hud.symbols.demangle import demangle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hud.symbols.elf.file import ElfFile

SCAN_LIMIT = 256 << 20
"""Bytes of read-only data that are looked at."""
MATCH_LIMIT = 1 << 18
MEMBER_LIMIT = 4096
MAIN_SYMBOL = (
    rb"_ZN\d{1,3}[A-Za-z]\w{0,99}?4main17h[0-9a-f]{16}E"
    rb"|_RNvC(?:s\w{0,20}?_)?\d{1,3}[A-Za-z_]\w{0,99}?4main(?!\w)"
)
"""A function ``main`` at the root of a crate, both manglings."""

_PATH_BEFORE = 400
_SOURCE = re.compile(rb"src/([\w-]{1,64})((?:/[\w/-]{0,200})?)\.rs", re.ASCII)
_PATH = re.compile(rb"[\w./@+~-]*", re.ASCII)
_FOREIGN = re.compile(rb"/(?:registry/src|git/checkouts|rustc|vendor|library|deps)/")
_PACKAGE = re.compile(r"(?P<name>[A-Za-z][\w-]*?)-\d+\.\d+\.\d+[\w.+-]*")
_ROOTS = frozenset(("main", "lib", "mod", "bin", "build"))
_ANYONE = """
actix app api async aws axum base cargo cli client common core daemon data db demo dev example fast
file fs futures generic git grpc hello http hyper image io json lib libp2p linux local log main
micro mini mio multi my net new open os parallel pin proc proto python quick raw rs rust serde
server service simple small sql static std string super sync sys system test tiny tls tokio tonic
tool tower tracing unicode url util utils web win windows zero
"""
"""First words of crate names that say nothing of who wrote them."""
_ANYONES = frozenset(_ANYONE.split())


class OwnCrates(NamedTuple):
    """The user's crates as far as one file says; all empty = it says nothing."""

    main: str = ""
    """The crate of ``main``, as in Rust paths."""
    members: frozenset[str] = frozenset()
    """Folders of the workspace, as crate names."""
    modules: frozenset[str] = frozenset()
    """Top modules that its own source files are."""

    def owns(self, crate: str) -> bool:
        """By its name alone, wherever it was compiled."""
        if not self.main or not crate:
            return False
        return crate == self.main or self._is_related(crate)

    def _is_related(self, crate: str) -> bool:
        """Does its name share the first words with that of ``main``?"""
        longer, shorter = sorted((crate, self.main), key=len, reverse=True)
        word = self.main.partition("_")[0]
        if longer.startswith(f"{shorter}_") and shorter not in _ANYONES:
            return True
        return len(word) > 3 and word not in _ANYONES and crate.partition("_")[0] == word

    def holds(self, crate: str, module: str) -> bool:
        """Is a crate that no path names one of the workspace? ``module``: its part in a path."""
        if not self.main:
            return True
        return self.owns(crate) or crate in self.members or module in self.modules


NOT_KNOWN = OwnCrates()


def find(elf: ElfFile, main_symbols: Iterable[str]) -> OwnCrates:
    """Those of a file; never raises. ``main_symbols``: those that match MAIN_SYMBOL."""
    mains: Counter[str] = Counter()
    programs: Counter[str] = Counter()
    local: set[tuple[str, ...]] = set()
    members: set[str] = set()
    modules: set[str] = set()
    for _, data in elf.data_pieces(SCAN_LIMIT, writable=False):
        for folders, module, rest in _sources(data):
            package = _PACKAGE.fullmatch(folders[-1]) if folders else None
            if not package and len(local) < 2:  # two are enough
                local.add((*folders[-1:], module))
            if package and module == "main" and not rest:
                mains[_crate(package["name"])] += 1
            elif package and module == "bin":
                programs[_crate(package["name"])] += 1
            elif not package and len(members) < MEMBER_LIMIT and len(modules) < MEMBER_LIMIT:
                members.update(map(_crate, folders[-1:]))
                modules.update({module} - _ROOTS)
    named = {name for name in map(_crate_of_main, main_symbols) if name}
    main = min(named) if len(named) == 1 else ""
    if not _are_sources(local):  # a dependency's module can have that name
        mains = mains or programs
    if not main and mains:
        main = max(sorted(mains), key=lambda name: mains[name])
    return OwnCrates(main, frozenset(members), frozenset(modules))


def _are_sources(local: set[tuple[str, ...]]) -> bool:
    """Are these paths, each with its folder at most, those of a program, and not one that a text
    names, a help text say?"""
    return len(local) > 1 or any(len(path) > 1 or path[0] in _ROOTS for path in local)


def _crate_of_main(symbol: str) -> str:
    name = demangle(symbol) or ""
    crate, _, function = name.partition("::")
    return crate if function == "main" else ""


def _crate(folder: str) -> str:
    return folder.replace("-", "_")


def _sources(data: memoryview) -> Iterator[tuple[list[str], str, str]]:
    """(folders before ``src``, first part after it, the rest) of the source paths of packages that
    are a registry's, and of those that are nobody else's."""
    for count, match in enumerate(_SOURCE.finditer(data)):
        if count >= MATCH_LIMIT:
            return
        start = match.start()
        backwards = bytes(data[max(0, start - _PATH_BEFORE) : start])[::-1]
        path = _PATH.match(backwards)
        before = (path[0][::-1] if path else b"").rpartition(b".rs")[2]
        if not before.endswith(b"/"):  # the text before it, which has no end mark
            before = b""
        foreign = _FOREIGN.search(b"/" + before + b"/")
        if foreign and not (b"registry/src/" in before and match[1] in (b"main", b"bin")):
            continue
        folders = [part for part in before.decode("ascii").split("/") if part]
        yield folders, match[1].decode("ascii"), match[2].decode("ascii")
