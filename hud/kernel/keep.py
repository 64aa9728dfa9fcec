"""Keeps what was fitted to the running kernel for the next start, which is spared both readings.

An entry is found by the object, all of the kernel's types, and the sources that made it: of another
of these it says nothing. Who can write to the store can give hud programs to load; so it is for the
caller to offer none that others than root may write to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from hud import __version__
from hud.errors import FormatError
from hud.kernel import btf
from hud.kernel.btf import Btf
from hud.kernel.spec import MapSpec, ObjectSpec, ProgramSpec, Variable

KIND = "programs"
PIECE = 1 << 18
"""Bytes of the kernel's types that are hashed at a time."""


class Store(Protocol):
    """What keeps bytes by key and kind, and gives back what was stored or None."""

    def load(self, key: str, kind: str) -> bytes | None: ...
    def store(self, key: str, kind: str, payload: bytes) -> None: ...
    def remove(self, name: str) -> None: ...


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """An ``ObjectSpec`` as it is stored."""

    name: str
    license: str
    programs: list[ProgramSpec]
    maps: list[MapSpec]
    variables: list[Variable]
    types: bytes

    def spec(self) -> ObjectSpec:
        """FormatError where it is none of ours."""
        maps = {one.name: one for one in self.maps}
        if not all(_is_sound(program, maps) for program in self.programs):
            raise FormatError("a program that does not fit its maps")
        if any(one.map not in maps for one in self.variables):
            raise FormatError("a variable outside the maps")
        return ObjectSpec(
            name=self.name,
            license=self.license,
            programs={one.name: one for one in self.programs},
            maps=maps,
            variables={one.name: one for one in self.variables},
            btf=Btf(self.types, f"object {self.name}") if self.types else None,
        )


class Keep:
    """The entry of one object, in the variant of the caller's choice, on the running kernel."""

    def __init__(self, store: Store | None, data: bytes, types: Path | None, variant: str) -> None:
        """``types``: a file with the kernel's types; None = its own."""
        self._store = store
        self._key = "" if store is None else _key(data, types or btf.KERNEL_BTF, variant)

    def kept(self) -> ObjectSpec | None:
        """What was stored; None = nothing of use, and what is of none is removed."""
        content = self._store.load(self._key, KIND) if self._store and self._key else None
        if content is None:
            return None
        try:
            return msgspec.msgpack.decode(content, type=Kept).spec()
        except (msgspec.MsgspecError, FormatError):
            self.forget()
            return None

    def keep(self, spec: ObjectSpec) -> None:
        """Store a fitted object."""
        if self._store and self._key:
            kept = Kept(
                spec.name,
                spec.license,
                list(spec.programs.values()),
                list(spec.maps.values()),
                list(spec.variables.values()),
                spec.btf.data if spec.btf else b"",
            )
            self._store.store(self._key, KIND, msgspec.msgpack.encode(kept))

    def forget(self) -> None:
        """What was stored turned out to be of no use."""
        if self._store and self._key:
            self._store.remove(f"{self._key}.{KIND}")


def _is_sound(program: ProgramSpec, maps: dict[str, MapSpec]) -> bool:
    """Whether each reference is to a map that is there, from inside the program."""
    slots = len(program.instructions) // 8
    return not program.core and all(
        one.map in maps and 0 <= one.index < slots - 1 and 0 <= (one.offset or 0) < 1 << 32
        for one in program.references
    )


def _key(data: bytes, types: Path, variant: str) -> str:
    """Empty = these types are not to be had, or in a large file beside much else."""
    digest = hashlib.sha256(f"{__version__} {variant}".encode())
    try:
        for path in sorted(Path(__file__).parent.glob("*.py")):
            _add(digest.update, path.read_bytes())
        _add(digest.update, data)
        with types.open("rb", buffering=0) as file:
            if file.read(2) != btf.MAGIC.to_bytes(2, "little"):
                return ""
            _add_file(digest.update, file.readinto)
    except OSError:
        return ""
    return digest.hexdigest()[:40]


def _add(update: Callable[[bytes], None], content: bytes) -> None:
    update(len(content).to_bytes(8, "little"))
    update(content)


def _add_file(
    update: Callable[[memoryview], None], readinto: Callable[[bytearray], int | None]
) -> None:
    piece = bytearray(PIECE)
    while length := readinto(piece):
        update(memoryview(piece)[:length])
