"""The repository itself: what lies where, what is inside, and that prebuilt files are current."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hud import resources
from hud.errors import ObjectError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = {
    "bpf_src",
    "hud",
    "prebuilt",
    "tests",
    "tools",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "pyproject.toml",
}
BINARIES = ("prebuilt/", "tests/data/")

# Written so that the patterns do not match their own source text. The homes of ``user``, ``u`` and
# the like are what documentation and test data may name.
HOMES = re.compile(
    r"(?<![\w}])/(?:root|home/(?!(?:user|u|me|alice|bob|build)\b)[a-z][\w-]*)/(?!\.cache/hud)[\w.]"
)
HOSTS = re.compile(r"\b(?:[\w-]+\.)+(?:internal|corp|lan|local)(?::\d+)?/")


@pytest.fixture(scope="session")
def tracked(need: Callable[[object, str], None]) -> list[str]:
    """Paths of the files that git tracks, or would: what is new and not ignored counts."""
    # Under sudo the checkout belongs to somebody else, which git refuses unless told.
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    command += ["--cached", "--others", "--exclude-standard"]
    need(shutil.which("git"), "git")
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    need(listing.returncode == 0, "a git checkout")
    return [name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_top_level_holds_what_the_design_names(tracked: list[str]) -> None:
    top = {name.split("/")[0] for name in tracked}
    assert {name for name in top - TOP_LEVEL if not name.startswith(".")} == set()


def test_binary_files_lie_only_where_they_belong(tracked: list[str]) -> None:
    outside = [name for name in tracked if not name.startswith(BINARIES)]
    assert [name for name in outside if b"\0" in (ROOT / name).read_bytes()] == []


def test_text_names_no_machine(tracked: list[str]) -> None:
    found = []
    for name in tracked:
        content = (ROOT / name).read_bytes()
        if name.startswith("tests/data/") or b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            if HOMES.search(line) or HOSTS.search(line):
                found.append(f"{name}:{number}: {line.strip()}")
    assert found == []


def test_prebuilt_binaries_name_no_machine(tracked: list[str]) -> None:
    homes = re.compile(HOMES.pattern.encode())
    found = {
        name: match.group()
        for name in tracked
        if name.startswith("prebuilt/") and (match := homes.search((ROOT / name).read_bytes()))
    }
    assert found == {}


def test_the_patterns_see_what_they_should() -> None:
    slash = "/"
    assert HOMES.search(f"{slash}root{slash}.cargo/registry")
    assert HOMES.search(f"x={slash}home{slash}jane{slash}src")
    assert not HOMES.search("rooted /home/user/src /proc/self/root/bin")
    assert HOSTS.search("https://mirror" + ".corp/simple")
    assert not HOSTS.search("https://docs.kernel.org/bpf/")


def test_every_module_says_what_it_is_for(tracked: list[str]) -> None:
    modules = [name for name in tracked if name.endswith(".py")]
    modules += [name for name in tracked if name.startswith("tools/") and is_python(name)]
    silent = [
        name
        for name in modules
        if (text := (ROOT / name).read_text(encoding="utf-8"))
        and not ast.get_docstring(ast.parse(text))
    ]
    assert silent == []


def is_python(name: str) -> bool:
    with (ROOT / name).open("rb") as file:
        return b"python3" in file.readline()


def manifest() -> dict[str, dict[str, object]]:
    entries: dict[str, dict[str, object]] = json.loads(
        (ROOT / "prebuilt" / "manifest.json").read_text(encoding="utf-8")
    )
    return entries


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_prebuilt_file_is_in_the_manifest_with_its_hash() -> None:
    files = {p.name: digest(p) for p in (ROOT / "prebuilt").iterdir() if p.name[0] != "."}
    del files["manifest.json"]
    assert files == {name: entry["sha256"] for name, entry in manifest().items()}


def test_both_architectures_have_a_bpf_object() -> None:
    assert {"hud-x86_64.bpf.o", "hud-aarch64.bpf.o"} <= set(manifest())


def test_prebuilt_files_are_read_by_name() -> None:
    assert set(resources.names()) == {"manifest.json", *manifest()}
    content = resources.read("hud-x86_64.bpf.o")
    assert hashlib.sha256(content).hexdigest() == manifest()["hud-x86_64.bpf.o"]["sha256"]
    with pytest.raises(ObjectError, match=r"prebuilt file \.\./pyproject\.toml: not part"):
        resources.read("../pyproject.toml")


def test_prebuilt_files_were_made_from_the_sources_that_are_here() -> None:
    stale = [
        f"{name}: {source} has changed; run {entry['built_by']}"
        for name, entry in manifest().items()
        for source, recorded in dict(entry["sources"]).items()  # type: ignore[call-overload]
        if not (ROOT / source).exists() or digest(ROOT / source) != recorded
    ]
    assert stale == []


def test_every_bpf_source_is_recorded() -> None:
    here = {f"bpf_src/{p.name}" for p in (ROOT / "bpf_src").iterdir() if p.suffix in (".c", ".h")}
    for name, entry in manifest().items():
        if name.endswith(".bpf.o"):
            assert set(dict(entry["sources"])) == here  # type: ignore[call-overload]


def test_the_zipapp_pins_what_the_project_needs() -> None:
    lock = (ROOT / "tools" / "zipapp.lock").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w.-]+\.whl", line) for line in lock)
    pinned = {line.split()[1].split("-")[0].lower() for line in lock}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    # No tomllib before Python 3.11.
    dependencies = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert dependencies
    declared = set(re.findall(r'"([\w.-]+?)[<>=~!]', dependencies[1]))
    assert "msgspec" in declared
    assert declared <= pinned
