"""One module as the resolver has it: its file, its debug files, and what was read of them.

Each part is read when it is first asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.model import Origin

if TYPE_CHECKING:
    from hud.model import Frame
    from hud.symbols.elf.file import ElfFile
    from hud.symbols.inference.inferred import Inferred
    from hud.symbols.inference.places import Places
    from hud.symbols.kinds import TaskKinds
    from hud.symbols.listing import Listings
    from hud.symbols.module import Module
    from hud.symbols.owncrates import OwnCrates
    from hud.symbols.tailcalls.landings import Landings


class Loaded:
    """``descriptor`` None: it was not given, for it is no ELF file, and every question fails."""

    def __init__(self, name: str, descriptor: int | None) -> None:
        self.name = name
        self._descriptor = descriptor
        self._trouble = f"{name}: not an ELF file"
        self._elf: ElfFile | None = None
        self._module: Module | None = None
        self._inferred: Inferred | None = None
        self._places: Places | None = None
        self._listings: Listings | None = None
        self._kinds: tuple[Module, TaskKinds] | None = None
        self._landings: tuple[Module, Landings] | None = None
        self._debug: ElfFile | None = None
        self._splits: list[ElfFile] = []
        self._crates: dict[str, str] | None = None
        self._tokio_versions: tuple[str, ...] = ()
        self._own_crates: OwnCrates | None = None

    def elf(self) -> ElfFile:
        from hud.symbols.elf.file import ElfFile

        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            try:
                self._elf = ElfFile(descriptor, self.name)
            except FormatError as why:
                self._trouble = str(why)
            finally:
                os.close(descriptor)  # the map keeps its own
        if self._elf is None:
            raise FormatError(self._trouble)
        return self._elf

    def module(self) -> Module:
        from hud.symbols.module import Module

        if self._module is None:
            self._module = Module(self.elf(), self._debug, self._splits)
        return self._module

    def inferred(self) -> Inferred:
        from hud.symbols.inference.inferred import Inferred

        if self._inferred is None:
            self._inferred = Inferred(self.elf(), self.own_crates())
        return self._inferred

    def places(self) -> Places:
        from hud.symbols.inference.places import Places

        if self._places is None:
            module, inferred = self.module(), self.inferred()
            self._places = Places(
                inferred.locations,
                inferred.references,
                module.coroutines,
                module.symbol,
                self.own_crates(),
            )
        return self._places

    def listings(self) -> Listings:
        from hud.symbols.listing import Listings

        if self._listings is None:
            self._listings = Listings(self.module(), self.inferred())
        return self._listings

    @property
    def debug(self) -> ElfFile | None:
        """Its separate debug file."""
        return self._debug

    def kinds(self) -> TaskKinds:
        from hud.symbols.kinds import TaskKinds

        module = self.module()
        if self._kinds is None or self._kinds[0] is not module:
            self._kinds = module, TaskKinds(self.elf(), module)
        return self._kinds[1]

    def landings(self) -> Landings:
        from hud.symbols.tailcalls.landings import Landings

        module = self.module()
        if self._landings is None or self._landings[0] is not module:
            self._landings = module, Landings(module)
        return self._landings[1]

    def frames(self, vaddr: int) -> tuple[Frame, ...]:
        """The calls at a vaddr as people read them, innermost first; empty where nothing is known.

        For a caller's frame pass the return address - 1.
        """
        from hud.symbols.names import describe

        crates, own_crates = self.crates()[0], self.own_crates()
        frames = describe(self.name, vaddr, self.module().frames(vaddr), crates, own_crates)
        if frames:
            return self._placed(vaddr, frames)
        return self.inferred().frames(vaddr)

    def _placed(self, vaddr: int, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
        """With the place of the outermost, where it can be inferred."""
        outer = frames[-1]
        symbol = None if outer.file or outer.origin is Origin.C else self.module().symbol(vaddr)
        if symbol is None or symbol[0] != outer.raw:
            return frames
        return *frames[:-1], *self.places().placed(outer, vaddr, symbol)

    def add_debug(self, descriptor: int, name: str) -> None:
        """Use one more file, if it belongs to the module; FormatError with the reason if not."""
        from hud.symbols.elf.debug import Part, part_of, require_same_build
        from hud.symbols.elf.file import ElfFile

        file = ElfFile(descriptor, name, relocatable=True)
        if part_of(file) is Part.SPLIT:
            why_not = self.module().add_split(file)
            if why_not:
                raise FormatError(why_not)
            self._splits.append(file)
            return
        if self._debug is not None:
            raise FormatError(f"{name}: {self._debug.name} is in use")
        require_same_build(self.elf(), file)
        self._debug, self._module, self._listings = file, None, None

    def crates(self) -> tuple[dict[str, str], tuple[str, ...]]:
        from hud.symbols import packages
        from hud.symbols.inference import panics

        if self._crates is None:
            found = packages.with_listed(panics.scan(self.elf()), packages.listed(self.elf()))
            self.elf().release()
            self._crates = panics.crates(found)
            self._tokio_versions = panics.tokio_versions(found)
        return self._crates, self._tokio_versions

    def own_crates(self) -> OwnCrates:
        """Which of its crates are the user's."""
        from hud.symbols import owncrates

        if self._own_crates is None:
            mains = [name for name, _, _ in self.module().defined(owncrates.MAIN_SYMBOL)]
            self._own_crates = owncrates.find(self.elf(), mains)
            self.elf().release()
        return self._own_crates
