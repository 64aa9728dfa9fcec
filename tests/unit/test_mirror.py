"""Each module has a test of its name; of those without one the table says which test it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "hud"
TESTS = ROOT / "tests"

ELSEWHERE = {
    "commands/arguments.py": "unit/test_cli.py",
    "commands/attach.py": "e2e/test_headless.py",
    "commands/checks.py": "e2e/test_doctor.py",
    "commands/ended.py": "e2e/test_diff.py",
    "commands/export.py": "e2e/test_recordings.py",
    "commands/info.py": "e2e/test_recordings.py",
    "commands/profile.py": "e2e/test_headless.py",
    "commands/test.py": "e2e/test_testrun.py",
    "commands/view.py": "e2e/test_recordings.py",
    "ending.py": "e2e/test_endings.py",
    "gates/breach.py": "unit/gates/test_judge.py",
    "kernel/attach.py": "kernel/test_loader.py",
    "kernel/btfext.py": "unit/kernel/test_elf.py",
    "kernel/elftables.py": "unit/kernel/test_elf.py",
    "kernel/features.py": "kernel/test_loader.py",
    "kernel/link.py": "unit/kernel/test_elf.py",
    "kernel/mapdefs.py": "unit/kernel/test_elf.py",
    "kernel/syscalls.py": "kernel/test_loader.py",
    "process/classicbpf.py": "unit/resolver/test_confinement.py",
    "process/connector.py": "kernel/test_life.py",
    "profiler/detection/ladder.py": "e2e/test_rungs.py",
    "profiler/events.py": "kernel/test_profiler.py",
    "profiler/kernel_stacks.py": "unit/profiler/test_sent.py",
    "profiler/naming/cache_entries.py": "unit/profiler/naming/test_cache.py",
    "profiler/naming/cached_names.py": "unit/profiler/naming/test_addresses.py",
    "profiler/naming/cached_tail_frames.py": "unit/profiler/naming/test_addresses.py",
    "profiler/naming/cached_types.py": "unit/profiler/test_tasks.py",
    "profiler/naming/debugfiles.py": "unit/profiler/naming/test_debuginfo.py",
    "profiler/naming/executable.py": "kernel/test_profiler.py",
    "profiler/naming/modules.py": "unit/profiler/naming/test_addresses.py",
    "profiler/naming/tail_frames.py": "unit/profiler/naming/test_addresses.py",
    "profiler/runtasks.py": "e2e/test_tasks.py",
    "report/blockers.py": "unit/report/test_page.py",
    "report/data.py": "unit/report/test_page.py",
    "resolver/child.py": "unit/resolver/test_client.py",
    "resolver/landlock.py": "unit/resolver/test_confinement.py",
    "resolver/messages.py": "unit/resolver/test_client.py",
    "resolver/seccomp.py": "unit/resolver/test_confinement.py",
    "session.py": "e2e/test_headless.py",
    "symbols/calls.py": "unit/symbols/test_listing.py",
    "symbols/dwarf/functions.py": "unit/symbols/dwarf/test_reader.py",
    "symbols/dwarf/ranges.py": "unit/symbols/dwarf/test_reader.py",
    "symbols/dwarf/units.py": "unit/symbols/dwarf/test_reader.py",
    "symbols/elf/relocations.py": "unit/symbols/inference/test_locations.py",
    "symbols/facts.py": "e2e/test_doctor.py",
    "symbols/inference/bodies.py": "unit/symbols/inference/test_places.py",
    "symbols/loaded.py": "unit/symbols/tailcalls/test_paths.py",
    "symbols/machine/disassembly.py": "unit/symbols/test_listing.py",
    "symbols/machine/instructions.py": "unit/symbols/inference/test_coroutines.py",
    "symbols/machine/scan.py": "unit/symbols/inference/test_references.py",
    "symbols/tailcalls/landings.py": "unit/symbols/tailcalls/test_paths.py",
    "symbols/tailcalls/recovered.py": "unit/symbols/tailcalls/test_paths.py",
    "symbols/unwind/bounds.py": "unit/symbols/inference/test_locations.py",
    "symbols/unwind/cfi.py": "unit/symbols/unwind/test_table.py",
    "symbols/unwind/tableless.py": "unit/symbols/unwind/test_derived.py",
    "testrun/observer.py": "e2e/test_testrun.py",
    "testrun/session.py": "e2e/test_testrun.py",
}
"""Module -> a test that fails where it is broken."""

NOT_HELD_TO_IT = {"analysis", "export", "tui"}
"""Layers whose tests are named by what one sees."""


def modules() -> list[str]:
    """Those that do something."""
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if not path.name.startswith("__")]
    names = [path.relative_to(PACKAGE).as_posix() for path in paths if acts(path)]
    return [name for name in names if name.split("/")[0] not in NOT_HELD_TO_IT]


def acts(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree))


def of_its_name(module: str) -> list[Path]:
    folder, _, name = module.rpartition("/")
    places = (TESTS / "unit" / folder, TESTS / "kernel", TESTS / "e2e")
    return [path for place in places if (path := place / f"test_{name}").exists()]


@pytest.mark.parametrize("module", modules())
def test_it_has_a_test(module: str) -> None:
    assert bool(of_its_name(module)) != (module in ELSEWHERE)


def test_what_is_tested_elsewhere_is() -> None:
    assert ELSEWHERE.keys() <= set(modules())
    assert [test for test in ELSEWHERE.values() if not (TESTS / test).exists()] == []


def test_each_unit_test_lies_where_its_module_does() -> None:
    folders = {path.parent.relative_to(TESTS / "unit") for path in TESTS.glob("unit/**/test_*.py")}
    assert sorted(str(one) for one in folders if not (PACKAGE / one).is_dir()) == []
