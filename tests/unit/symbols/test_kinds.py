"""The types of tasks of the demo server that hud ships."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hud.symbols import kinds
from hud.symbols.elf.file import ElfFile
from hud.symbols.kinds import OFFSETS, POINTERS, TaskKinds, VtableFunctions
from hud.symbols.module import Module

DEMO = Path(__file__).resolve().parents[3] / "prebuilt" / "demo-server-x86_64"
CONNECTION = "demo_server::connection::{async}"
REFRESH = "demo_server::state::refresh_async_cache::{async}"

pytestmark = pytest.mark.skipif(not DEMO.exists(), reason="no prebuilt demo server")


@pytest.fixture
def module() -> Iterator[Module]:
    with DEMO.open("rb") as file, ElfFile(file.fileno(), "demo") as elf:
        yield Module(elf)


def _vtables(module: Module) -> list[VtableFunctions]:
    found = []
    for load in module.elf.loads:
        data = bytes(module.elf.read(load.vaddr, load.filesz))
        at = data.find(OFFSETS)
        while at >= 0:
            start = load.vaddr + at - 8 * (POINTERS + 1)
            words = [module.locations.pointer_or_none(start + 8 * i) for i in range(POINTERS)]
            if all(words):
                found.append(VtableFunctions(words[0], words[1], words[2], words[4], words[6]))
            at = data.find(OFFSETS, at + 8)
    return found


def test_each_vtable_has_its_future(module: Module) -> None:
    found = TaskKinds(module.elf, module)
    names = [found.of(one).name for one in _vtables(module)]
    assert sorted(set(names)) == [CONNECTION, REFRESH]


def test_the_comparison_of_vtables_ends(module: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "MOST_REACHED", 0)
    names = [TaskKinds(module.elf, module).of(one).name for one in _vtables(module)]
    assert all(CONNECTION in name or REFRESH in name for name in names)


def test_types_that_read_alike_are_told_once() -> None:
    """hyper's H2Stream of one future and two bodies."""
    streams = [
        "hyper::proto::h2::server::H2Stream<a::f::{{closure}},Full>",
        "hyper::proto::h2::server::H2Stream<a::f::{{closure}},Empty>",
        "a::g::{{closure}}",
    ]
    assert kinds.any_of(streams) == "a::f::{async} | a::g::{async}"
