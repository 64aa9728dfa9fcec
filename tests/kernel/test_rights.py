"""Another user's file rights in one thread, and the resolver's code under privileges dropped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import capstone
import msgspec
import pytest

from hud.process.rights import FileRights, User, rights_of, take_file_rights
from hud.profiler.naming.debugfiles import DebugFile, DebugFileSearch
from hud.profiler.naming.source import Quote, SourceReader, Wanted

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


def read_sources(pid: int, paths: list[str]) -> dict[str, Quote]:
    """What is quoted of each path when a target names it."""
    sources = SourceReader()
    found: dict[str, Quote] = {}
    for key, path in enumerate(paths):
        sources.ask(Wanted(key, pid, path, 1, "/srv/app", 0))
    end = time.monotonic() + 20
    while len(found) < len(paths) and time.monotonic() < end:
        found |= {paths[key]: quote for key, quote in sources.answers()}
        time.sleep(0.005)
    return found


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

    files = private, of_roots_group, public

    def read(rights: FileRights) -> list[str]:
        take_file_rights(rights)
        return [path for path in files if not readable(path)]

    nobody = rights_of(NOBODY)
    assert in_thread(lambda: read(nobody)) == [private, of_roots_group]
    # each part of them by itself
    assert in_thread(lambda: read(nobody._replace(uid=0))) == []
    assert in_thread(lambda: read(nobody._replace(gid=0))) == [private]
    assert in_thread(lambda: read(nobody._replace(groups=(0,)))) == [private]
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
        take_file_rights(rights_of(NOBODY))
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
    found = read_sources(os.getpid(), [private, public])
    assert found[public] == Quote(((1, "fn main() {}"),), "")
    refused = Quote((), f"{private}: permission denied")
    assert found[private] == (refused if sudo else Quote(((1, "fn main() {}"),), ""))


WITHOUT_ROOT = """
import os, sys
from hud.process.rights import owners_rights, with_file_rights
def read():
    try:
        return open(sys.argv[1]).read(3)
    except PermissionError:
        return "refused"
print(os.geteuid(), read(), with_file_rights(owners_rights(os.getpid()), read), read())
"""


def test_capabilities_open_no_file_of_others_choice(place: Path) -> None:
    private = file(place / "private.rs", 0o600)
    both = "+dac_override,+dac_read_search"
    setpriv = ["setpriv", "--reuid=65534", "--clear-groups"]
    setpriv += [f"--inh-caps={both}", f"--ambient-caps={both}"]
    done = subprocess.run(
        [*setpriv, sys.executable, "-c", WITHOUT_ROOT, private],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("65534 fn  refused fn \n", "")


LIFE = """
import os, sys, time
root, user = sys.argv[1], int(sys.argv[2])
os.chroot(root)
os.setgroups([]), os.setgid(user), os.setuid(user)
print("there", flush=True)
time.sleep(60)
"""


@contextmanager
def running(root: Path, user: int, *before: str) -> Iterator[int]:
    """The pid of a process with that root, of that user."""
    life = [*before, sys.executable, "-c", LIFE, str(root), str(user)]
    with subprocess.Popen(life, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"there\n"
            yield process.pid
        finally:
            process.kill()


def names(descriptors: Iterable[DebugFile]) -> list[str]:
    found = []
    for candidate in descriptors:
        found.append(str(Path(f"/proc/self/fd/{candidate.descriptor}").readlink()))
        os.close(candidate.descriptor)
    return found


def test_a_container_chooses_no_file_of_the_host(place: Path) -> None:
    """A program at /etc/app of its root, whose debug link says shadow."""
    (place / "root").mkdir()
    (place / "private.dwo").write_text("")
    with running(place / "root", 0, "unshare", "-m") as pid:
        files = DebugFileSearch(pid)
        assert names(files.separate("/etc/app", "", "shadow")) == []
        assert names(files.packages(f"{place}/root", "", "")) == []
        assert files.split_object("/etc/app", f"{place}/private.dwo") is None


def test_a_program_chooses_no_file_that_it_may_not_read(place: Path) -> None:
    for name, mode in (("private", 0o600), ("public", 0o644)):
        for suffix in (".debug", ".debug.dwp", ".dwo"):
            file(place / f"{name}{suffix}", mode)
        (place / f"link-{name}").symlink_to(f"{place}/{name}.debug")
    app = f"{place}/app"
    with running(Path("/"), NOBODY.uid) as pid:
        files = DebugFileSearch(pid)
        for name, wanted in (("private", ""), ("public", f"{place}/public.debug")):
            assert names(files.separate(app, "", f"{name}.debug")) == [wanted] * bool(wanted)
            assert names(files.separate(app, "", f"link-{name}")) == [wanted] * bool(wanted)
            packages = names(files.packages(app, "", f"{name}.debug"))
            assert packages == [f"{wanted}.dwp"] * bool(wanted)
            split = files.split_object(app, f"{place}/{name}.dwo")
            assert names([split] * bool(split)) == [f"{place}/{name}.dwo"] * bool(wanted)


@pytest.mark.parametrize(
    ("user", "before", "readable"),
    [
        (0, (), ["private.rs", "public.rs"]),
        (NOBODY.uid, (), ["public.rs"]),
        (0, ("unshare", "-m"), ["public.rs"]),
    ],
    ids=["of root", "of another user", "in a container"],
)
def test_source_that_a_target_may_choose(
    place: Path,
    user: int,
    before: tuple[str, ...],
    readable: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A root of its own where neither file is, so that both are looked for on the host."""
    monkeypatch.delenv("SUDO_UID", raising=False)
    (place / "root").mkdir()
    paths = [file(place / "private.rs", 0o600), file(place / "public.rs", 0o644)]
    with running(place / "root", user, *before) as pid:
        found = read_sources(pid, paths)
    assert [Path(path).name for path in paths if found[path].lines] == readable


CONFINED = """
from pathlib import Path
from hud.resolver.client import Resolver
from hud.resolver.messages import AskFacts
def status(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return [line for line in lines if line.startswith(("Cap", "Groups"))]
with Resolver() as resolver:
    found = []
    resolver.ask(AskFacts(1), found.append)
    assert resolver.run_until(lambda: found, 60)
    print(*status("self"), *status(resolver.pid), sep="\\n")
"""
HELD = 1 << 1 | 1 << 2 | 1 << 8
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SETPCAP."""


@pytest.mark.parametrize("user", [0, NOBODY.uid])
def test_the_resolver_keeps_no_capability_and_no_group(user: int) -> None:
    both = "+dac_override,+dac_read_search,+setpcap"
    setpriv = ["setpriv", f"--reuid={user}", "--groups=4242"]
    setpriv += [f"--inh-caps={both}", f"--ambient-caps={both}"]
    done = subprocess.run(
        [*setpriv, sys.executable, "-c", CONFINED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    *own, groups, inheritable, permitted, effective, bounding, ambient = (
        line.split("\t")[1].strip() for line in done.stdout.splitlines()
    )
    assert own[0] == "4242"
    assert int(own[1], 16) & int(own[3], 16) & int(own[5], 16) & HELD == HELD
    assert {int(one, 16) for one in (inheritable, permitted, effective, bounding, ambient)} == {0}
    assert groups == ("" if user == 0 else "4242")


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
