"""Stripped builds with fat LTO and panic=abort: workers by CONTEXT's contents, names inferred."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import program
import pytest
import targets

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.e2e

HANDLERS = {
    "hash": ("hash", "hash_password"),
    "compress": ("compress", "compress_payload"),
    "parse": ("parse", "parse_report"),
    "dns": ("dns", "resolve_peer"),
    "sleep": ("sleep", "take_a_nap"),
    "lock": ("lock", "update_cache"),
    "read": ("read", "read_config", "forget_cached"),
}
"""Endpoint -> the functions that it blocks in, all of src/handlers.rs."""


def functions() -> dict[str, range]:
    """Function of handlers.rs -> its lines."""
    text = (targets.CRATES / "demo-server" / "src" / "handlers.rs").read_text()
    found = {}
    name, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"(?:pub )?(?:async )?fn (\w+)", line)
        if match:
            name, start = match[1], number
        elif line == "}" and name:
            found[name] = range(start, number + 1)
    return found


def source(file: str, line: int) -> str:
    """A line of the demo server."""
    return (targets.CRATES / "demo-server" / file).read_text().splitlines()[line - 1]


@pytest.mark.parametrize("tokio", targets.TOKIO_VERSIONS[1:])
def test_blockers_are_placed_without_any_symbol(
    build_target: Callable[..., Path], tmp_path: Path, tokio: str
) -> None:
    binary = targets.stripped(build_target("demo-server", tokio=tokio, config=targets.LTO_ABORT))
    file = tmp_path / "trace.json"
    with targets.demo_server(binary, "--workers", "2") as server, program.load(server.port):
        done = program.run("--headless", "--pid", server.pid, "--duration", 6, "--export", file)
    assert re.search(
        rf"tokio {re.escape(tokio)}, CONTEXT found by its contents at tls-\d+ \(stripped\)",
        file.read_text(),
    )
    said = " ".join(done.stdout.split())
    assert "--target FILE with the unstripped file of this build (build id " in said
    begins = program.begins(program.trace(file))
    assert {event["args"]["worker_id"] for event in begins} == {0, 1}
    known = functions()
    placed = set()
    for event in begins:
        args = event["args"]
        assert not event["name"].startswith("~")
        if args.get("file", "").startswith("src/"):
            assert args["inferred"]
            placed |= {args["place"]}
            if args["place"] == "definition":  # all handlers are inlined into one task's poll
                assert re.search(r"\basync\b", source(args["file"], args["line"]))
            elif args["file"] == "src/handlers.rs":
                placed |= {
                    endpoint
                    for endpoint, names in HANDLERS.items()
                    if any(args["line"] in known[name] for name in names)
                }
    assert {"definition", "near"} <= placed
    assert placed & set(HANDLERS), placed
    caught = [event["args"] for event in begins if event["args"]["stack"]]
    assert len(caught) >= 0.9 * len(begins)
    cut_off = [args["stack"] for args in caught if not args["stack_complete"]]
    assert len(cut_off) <= 0.01 * len(caught), cut_off


def test_a_default_release_build_of_mold_is_seen(
    build_target: Callable[..., Path], need: Callable[[object, str], None]
) -> None:
    """It takes the symbols away where rustc asks for no debug info, and names sections its own."""
    need(shutil.which("mold"), "mold")
    binary = build_target("nap", crateflags="-C link-arg=-fuse-ld=mold", features="multi")
    with targets.nap(binary) as running:
        done = program.run("--headless", "--pid", running.pid, "--duration", 2)
    assert "every long poll seen" in done.stdout
    row = r"sleep +~src/main\.rs:\d+ +~std/"
    assert re.search(row, done.stdout), done.stdout


def test_stacks_are_complete_without_unwind_tables(build_target: Callable[..., Path]) -> None:
    """Of the program's own code; std and libc have theirs."""
    flags = "-C force-unwind-tables=no -C panic=abort"
    binary = build_target("nap", rustflags=flags, features="multi")
    with targets.nap(binary) as running:
        done = program.run("--headless", "--pid", running.pid, "--duration", 2)
    assert ", every stack complete, " in done.stdout, done.stdout
    assert re.search(r" sleep .* std::thread::", done.stdout), done.stdout


def test_each_inferred_name_has_one_mark(build_target: Callable[..., Path], tmp_path: Path) -> None:
    binary = targets.stripped(build_target("demo-server", config=targets.LTO_ABORT))
    with targets.demo_server(binary, "--workers", "2") as server, program.load(server.port):
        done = program.run("--headless", "--pid", server.pid, "--duration", 4)
    place = r"~src/(main|handlers)\.rs:\d+"
    assert re.search(rf"  {place} ", done.stdout)
    assert "~~" not in done.stdout
    assert not re.search(r" src/(main|handlers)\.rs", re.sub(place, "", done.stdout))


def test_a_stripped_zoo_is_seen_in_full(build_target: Callable[..., Path], tmp_path: Path) -> None:
    binary = targets.stripped(build_target("zoo", config=targets.LTO_ABORT))
    file = tmp_path / "trace.json"
    with targets.zoo(binary, tmp_path / "truth", "--seconds", "8") as running:
        program.run("--headless", "--pid", running.pid, "--duration", 5, "--export", file)
    assert "CONTEXT found by its contents" in file.read_text()
    begins = program.begins(program.trace(file))
    causes = {event["args"]["cause"] for event in begins}
    assert {"cpu", "sleep", "lock"} <= causes
    files = {event["args"].get("file") for event in begins}
    assert "src/blocking.rs" in files
