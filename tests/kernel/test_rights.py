"""Another user's file rights in one thread, and the resolver's code under privileges dropped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import capstone
import msgspec
import pytest

from hud.process.rights import User, take_file_rights
from hud.profiler.naming.source import Quote, Sources, Wanted

pytestmark = pytest.mark.kernel

NOBODY = User(65534, 65534)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody can reach, unlike pytest's own."""
    made = Path("/tmp") / f"hud-rights-{os.getpid()}"
    made.mkdir(mode=0o755)
    yield made
    shutil.rmtree(made)


def file(path: Path, mode: int, gid: int = 0) -> str:
    path.write_text("fn main() {}\n")
    os.chown(path, 0, gid)
    path.chmod(mode)
    return str(path)


def readable(path: str) -> bool:
    try:
        return bool(Path(path).read_text())
    except PermissionError:
        return False


def in_thread(act: Callable[[], object]) -> object:
    found: list[object] = []

    def run() -> None:
        try:
            found.append(act())
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_rights_of_one_thread(place: Path) -> None:
    private = file(place / "private.rs", 0o600)
    of_roots_group = file(place / "group.rs", 0o640)
    public = file(place / "public.rs", 0o644)

    def read() -> list[str]:
        take_file_rights(NOBODY)
        return [path for path in (private, of_roots_group, public) if not readable(path)]

    assert in_thread(read) == [private, of_roots_group]
    assert Path(private).read_text() == Path(of_roots_group).read_text() == "fn main() {}\n"
    status = Path("/proc/thread-self/status").read_text()
    assert "Uid:\t0\t0\t0\t0\n" in status


def test_groups_of_the_user_count(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    row = next((row for row in pwd.getpwall() if row.pw_uid == NOBODY.uid), None)
    assert row is not None
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, 4242])
    path = file(place / "team.rs", 0o640, gid=4242)

    def read() -> str:
        take_file_rights(NOBODY)
        return Path(path).read_text()

    assert in_thread(read) == "fn main() {}\n"


@pytest.mark.parametrize("sudo", [False, True])
def test_source_is_read_with_the_rights_of_who_called_sudo(
    place: Path, sudo: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SUDO_UID", "SUDO_GID"):
        monkeypatch.delenv(name, raising=False)
        if sudo:
            monkeypatch.setenv(name, "65534")
    private = file(place / "private.rs", 0o600)
    public = file(place / "public.rs", 0o644)
    sources = Sources()
    found: dict[int, Quote] = {}
    for key, path in ((1, private), (2, public)):
        sources.ask(Wanted(key, os.getpid(), path, 1, "/srv/app", 0))
    end = time.monotonic() + 20
    while len(found) < 2 and time.monotonic() < end:
        found |= dict(sources.answers())
        time.sleep(0.005)
    assert found[2] == Quote(((1, "fn main() {}"),), "")
    refused = Quote((), f"{private}: permission denied")
    assert found[1] == (refused if sudo else Quote(((1, "fn main() {}"),), ""))


PROGRAM = """
import sys
from hud.resolver.client import Resolver
from hud.resolver.messages import AskCode
from hud.symbols.elf.file import ElfFile
with Resolver(imports=("capstone",)) as resolver, open("/proc/self/exe", "rb") as file:
    elf = ElfFile(file.fileno())
    module = resolver.add_module(file.fileno(), "python")
    replies = []
    resolver.ask(AskCode(module, elf.offset_of(elf.entry), caller=False), replies.append)
    assert resolver.run_until(lambda: replies, 30)
    (reply,) = replies
assert "capstone" not in sys.modules
print(reply.at == elf.entry, len(reply.instructions) > 3, "capstone" in sys.modules)
"""


def test_resolver_reaches_capstone_where_its_user_cannot(place: Path) -> None:
    packages = place / "packages"
    for package in (capstone, msgspec):
        source = Path(package.__file__).parent
        shutil.copytree(source, packages / source.name, ignore=shutil.ignore_patterns("include"))
    packages.chmod(0o700)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM],
        env={**kept, "PYTHONPATH": f"{packages}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("True True False\n", "")
