"""Debug information outside of the program: split by the compiler, or by objcopy and strip."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import program
import pytest
import targets
from test_symbols_oracle import differences, tool

from hud.symbols.elf.file import ElfFile
from hud.symbols.module import Module, RawFrame

if TYPE_CHECKING:
    from collections.abc import Callable

    Need = Callable[[object, str], None]

pytestmark = pytest.mark.e2e

VERSIONS = (4, 5)


@pytest.fixture
def symbolizer(need: Need) -> str:
    found = tool("llvm-symbolizer-19", "llvm-symbolizer")
    need(found, "llvm-symbolizer")
    return found


def split(build_target: Callable[..., Path], how: str, version: int = 4) -> Path:
    """The zoo with DWARF 4, herd, which has less to compile, with DWARF 5."""
    return build_target(
        {4: "zoo", 5: "herd"}[version],
        rustflags=f"-C dwarf-version={version}",
        debug=2,
        config=(f'profile.release.split-debuginfo="{how}"',),
    )


def load(path: Path, *, relocatable: bool = False) -> ElfFile:
    with path.open("rb") as file:
        return ElfFile(file.fileno(), str(path), relocatable=relocatable)


def with_package(elf: ElfFile, addresses: list[int]) -> Module:
    module = Module(elf)
    assert module.add_split(load(Path(f"{elf.name}.dwp"), relocatable=True)) == ""
    return module


def with_objects(elf: ElfFile, addresses: list[int]) -> Module:
    module = Module(elf)
    added = 0
    while True:
        for address in addresses:
            module.frames(address)
        wanted = [name for name in module.take_wanted() if Path(name).exists()]
        if not wanted:
            break
        for name in wanted:
            assert module.add_split(load(Path(name), relocatable=True)) == ""
        added += len(wanted)
    assert added > 10
    return module


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("how", ["packed", "unpacked"])
def test_split_units_against_llvm(
    how: str, version: int, symbolizer: str, build_target: Callable[..., Path]
) -> None:
    path = split(build_target, how, version)
    complete = with_package if how == "packed" else with_objects
    wrong, lines = differences(symbolizer, path, 400, complete)
    assert wrong == []
    assert lines > 800


def separated(path: Path, place: Path) -> Path:
    """A stripped copy whose debug file is in .debug/, by debug link."""
    stripped = place / path.name
    debug = place / ".debug" / f"{path.name}.debug"
    debug.parent.mkdir(parents=True)
    subprocess.run(["objcopy", "--only-keep-debug", path, debug], check=True)
    subprocess.run(["strip", "--strip-all", "-o", stripped, path], check=True)
    subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", stripped], check=True)
    return stripped


def test_a_stripped_program_and_its_debug_file(
    symbolizer: str, need: Need, build_target: Callable[..., Path], tmp_path: Path
) -> None:
    need(shutil.which("objcopy") and shutil.which("strip"), "binutils")
    whole = build_target("zoo", debug=2)
    stripped = separated(whole, tmp_path)
    debug = load(tmp_path / ".debug" / "zoo.debug")
    reference = Module(load(whole))
    text = reference.elf.section(".text")
    assert text is not None
    pick = random.Random(2)
    addresses = [pick.randrange(text.addr, text.addr + text.size) for _ in range(500)]

    def answers(module: Module) -> list[tuple[RawFrame, ...]]:
        return [module.frames(address) for address in addresses]

    assert answers(Module(load(stripped), debug)) == answers(reference)
    assert not any(answers(Module(load(stripped))))
    wrong, lines = differences(symbolizer, stripped, 300, lambda elf, _: Module(elf, debug))
    # where there is no DWARF, llvm-symbolizer does not look into the debug file's symbol table
    assert [line for line in wrong if not line.endswith(" is not ")] == []
    assert lines > 300


# --------------------------------------------------------------------------- live


def lines_of(binary: Path, place: Path, *options: object) -> tuple[set[str], list[str]]:
    """file:line of the blockers that hud found in the zoo's own code, and the notes of the run."""
    trace = place / "trace.json"
    with targets.zoo(binary, place / "truth", "--seconds", "8") as zoo:
        program.run(
            "--pid", zoo.pid, "--headless", "--quiet", "--duration", 4, "--export", trace, *options
        )
    written = program.trace(trace)
    begun = program.begins(written)
    found = {f"{event['args'].get('file')}:{event['args'].get('line')}" for event in begun}
    found = {place for place in found if "/src/blocking.rs:" in place}
    return found, written["otherData"]["notes"]


def _moved(binary: Path, place: Path) -> Path:
    place.mkdir()
    return Path(shutil.copy2(binary, place))


@pytest.mark.parametrize("how", ["packed", "unpacked"])
def test_hud_finds_split_units(how: str, build_target: Callable[..., Path], tmp_path: Path) -> None:
    found, notes = lines_of(split(build_target, how), tmp_path)
    assert len(found) >= 3
    assert not [note for note in notes if "split" in note]


def test_hud_says_that_a_package_is_missing(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    binary = split(build_target, "packed")
    alone = _moved(binary, tmp_path / "alone")
    found, notes = lines_of(alone, tmp_path)
    assert [note for note in notes if "split debug info not found" in note]
    found, notes = lines_of(alone, tmp_path, "--debug-file", f"{binary}.dwp")
    assert len(found) >= 3
    assert not [note for note in notes if "split" in note]


def test_hud_finds_the_debug_file_of_a_stripped_program(
    need: Need, build_target: Callable[..., Path], tmp_path: Path
) -> None:
    need(shutil.which("objcopy") and shutil.which("strip"), "binutils")
    stripped = separated(build_target("zoo", debug=2), tmp_path)
    found, notes = lines_of(stripped, tmp_path)
    assert len(found) >= 3
    assert not [note for note in notes if "stripped" in note]
    # the same, from the cache
    again, _ = lines_of(stripped, tmp_path)
    assert again & found
