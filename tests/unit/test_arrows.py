"""Which layer may import which, and which third-party package: the design's table, enforced."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "hud"

# A layer is a package or a top-level module of hud. An entry with a dot allows that module only.
ARROWS: dict[str, set[str]] = {
    "cli": {"commands", "garbage"},
    "commands": {
        "session",
        "ending",
        "export",
        "gates",
        "testrun",
        "record",
        "report",
        "tui",
        "profiler",
        "runtime",
        "resolver",
        "analysis",
        "demo",
        "process",
        "kernel",
        "resources",
        "model",
    },
    "record": {"analysis", "export.write", "model"},
    "demo": {"resources", "process.rights"},
    "session": {"profiler", "analysis", "ending", "garbage", "model", "tui.effects"},
    "tui": {"analysis", "model", "process.rights"},
    "export": {"analysis", "model"},
    "report": {"export", "analysis", "tui.folding", "tui.frames", "tui.style", "model"},
    "gates": {"analysis", "export.markdown", "export.places", "export.telling", "model"},
    "testrun": {
        "session",
        "ending",
        "profiler",
        "process",
        "analysis",
        "export.telling",
        "gates.breach",
        "gates.suppressions",
        "model",
    },
    "analysis": {"model"},
    "profiler": {"probe", "process", "runtime", "resolver", "symbols.facts", "model"},
    "probe": {"kernel", "model"},
    "runtime": {"process", "model"},
    "resolver": {"symbols", "process.rights", "process.classicbpf", "model"},
    "symbols": {"model"},
    "process": {"model"},
    "kernel": set(),
    "model": set(),
    "resources": set(),
    "closing": set(),
    "ending": set(),
    "garbage": set(),
    "errors": set(),
    "text": set(),
    "figures": set(),
    "__main__": {"cli"},
    "__init__": set(),
}
SYMBOLS: dict[str, set[str]] = {
    "demangle": set(),
    "elf": {"facts"},
    "machine": {"elf", "facts"},
    "unwind": {"machine", "elf", "facts"},
    "dwarf": {"elf"},
    "inference": {"machine", "unwind", "elf", "demangle", "names", "generics", "owncrates"},
    "tailcalls": {"module", "loaded", "machine", "unwind", "elf", "facts"},
}
"""The folders of hud.symbols, and what each may import of it."""
FOR_ANYONE = {"closing", "errors", "figures", "text"}
"""Leaves; ``import hud`` for the version counts as one."""

DEPENDENCIES = {"blessed", "capstone", "elftools", "msgspec", "pyroute2", "wcwidth"}
NEWER_STDLIB = {"compression"}  # Python 3.14
ONLY_IN = {"elftools": {"kernel/elftables.py"}}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def imports(path: Path) -> list[tuple[int, str]]:
    here = ["hud", *path.relative_to(PACKAGE).parent.parts]
    return list(imports_of(path.read_text(encoding="utf-8"), here))


def imports_of(text: str, here: list[str]) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import, wherever it stands; relative ones made absolute."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{source}.{alias.name}"


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def target_of(name: str) -> str | None:
    """``hud.process.mappings.parse`` -> ``process.mappings``; None for the bare package."""
    found: list[str] = []
    for part in name.split(".")[1:]:
        place = PACKAGE.joinpath(*found, part)
        if not place.is_dir() and not place.with_suffix(".py").exists():
            break
        found.append(part)
    return ".".join(found) or None


def is_allowed(layer: str, target: str) -> bool:
    allowed = ARROWS[layer] | FOR_ANYONE | {layer}
    return target in allowed or target.split(".")[0] in allowed


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_follow_the_arrows(path: Path) -> None:
    layer = layer_of(path)
    assert layer in ARROWS, f"{layer} is not in the table"
    wrong = [
        f"line {line}: {name}"
        for line, name in imports(path)
        if name.split(".")[0] == "hud"
        and (target := target_of(name)) is not None
        and not is_allowed(layer, target)
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", SYMBOLS)
def test_the_folders_of_symbols_have_an_order(folder: str) -> None:
    found = {
        target.split(".")[1]
        for path in (PACKAGE / "symbols" / folder).glob("*.py")
        for _, name in imports(path)
        if name.startswith("hud.symbols.") and (target := target_of(name)) is not None
    }
    assert found - {folder} == SYMBOLS[folder]


def test_every_folder_of_symbols_is_in_the_table() -> None:
    folders = {path.parent.name for path in (PACKAGE / "symbols").glob("*/__init__.py")}
    assert folders == SYMBOLS.keys()


def test_every_arrow_is_used() -> None:
    used: dict[str, set[str]] = {layer: set() for layer in ARROWS}
    for path in modules():
        for _, name in imports(path):
            if name.split(".")[0] == "hud" and (target := target_of(name)) is not None:
                used[layer_of(path)] |= {target, target.split(".")[0]}
    idle = {layer: allowed - used[layer] for layer, allowed in ARROWS.items()}
    assert {layer: rest for layer, rest in idle.items() if rest} == {}


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_only_the_declared_packages_are_imported(path: Path) -> None:
    known = sys.stdlib_module_names | NEWER_STDLIB | DEPENDENCIES | {"hud"}
    inside = path.relative_to(PACKAGE).as_posix()
    wrong = [
        f"line {line}: {name}"
        for line, name in imports(path)
        if (top := name.split(".")[0]) not in known or inside not in ONLY_IN.get(top, {inside})
    ]
    assert wrong == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports for types only count: who knows whom must have an order."""
    graph = {
        module_of(path): {
            target
            for _, name in imports(path)
            if name.split(".")[0] == "hud" and (target := target_of(name)) is not None
        }
        - {module_of(path)}
        for path in modules()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_profiler_loads_no_parser() -> None:
    """What runs as root must not read the bytes of others' files: hud.resolver's child does."""
    script = "import sys, hud.profiler; print(*(m for m in sys.modules if 'hud.symbols' in m))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) == {"hud.symbols", "hud.symbols.facts"}


def test_at_most_one_module_of_the_screen_knows_blessed() -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in modules()
        for _, name in imports(path)
        if name.split(".")[0] == "blessed"
    }
    assert len(users) <= 1
    assert all(user.startswith("tui/") for user in users)


@pytest.mark.parametrize(
    ("layer", "target", "allowed"),
    [
        ("kernel", "errors", True),
        ("kernel", "model", False),
        ("profiler", "symbols.facts", True),
        ("profiler", "symbols.elf", False),
        ("profiler", "symbols", False),
        ("tui", "profiler", False),
        ("analysis", "analysis.store", True),
        ("profiler", "analysis.results", False),
        ("probe", "analysis.results", False),
        ("runtime", "analysis.results", False),
        ("symbols", "analysis.results", False),
        ("resolver", "analysis.results", False),
        ("model", "analysis.results", False),
    ],
)
def test_the_table_itself(layer: str, target: str, allowed: bool) -> None:
    assert is_allowed(layer, target) is allowed


def test_an_import_inside_a_function_or_for_types_only_counts() -> None:
    text = (
        "import os.path\n"
        "def f():\n    from hud.model import Frame\n"
        "if TYPE_CHECKING:\n    from ..probe import wire\n"
    )
    assert list(imports_of(text, ["hud", "kernel"])) == [
        (1, "os.path"),
        (3, "hud.model.Frame"),
        (5, "hud.probe.wire"),
    ]


def scripts() -> list[Path]:
    """Python under tools/, whatever its name."""
    files = [path for path in sorted((ROOT / "tools").rglob("*")) if path.is_file()]
    return [path for path in files if path.suffix == ".py" or is_python(path)]


def is_python(path: Path) -> bool:
    return path.open("rb").readline().startswith(b"#!/usr/bin/env python3")


@pytest.mark.parametrize("path", scripts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_tool_imports_of_hud_is_there(path: Path) -> None:
    """mypy does not read the tools."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hud":
            module = import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    import_module(f"{node.module}.{alias.name}")
