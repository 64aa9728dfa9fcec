"""dist/hud.pyz: the same bytes twice, every CPython at hand, and whose cache it trusts."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hud

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
MINORS = range(10, 15)
STUB = """
import os, sys
import capstone, msgspec, elftools.elf.elffile
import hud
def main():
    code = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm(b"\\x90\\xc3", 0)
    assert [i.mnemonic for i in code] == ["nop", "ret"] and msgspec.json.decode(b"[1]") == [1]
    print(os.path.dirname(os.path.dirname(hud.__file__)))
    return 0
"""


def interpreters(minors: range) -> dict[str, str]:
    """version -> path of one CPython of that version on this machine."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {}
    for minor in minors:
        name = f"python3.{minor}"
        places = [str(p) for p in pyenv.glob(f"versions/3.{minor}.*/bin/{name}")]
        for path in [shutil.which(name, path="/usr/bin:/usr/local/bin"), *sorted(places)]:
            if path:
                found[f"3.{minor}"] = path
                break
    return found


Build = Callable[..., Path]


@pytest.fixture(scope="module")
def build(
    need: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Build]:
    """``build(name, *options)``: an archive in a directory that any user can read."""
    place = Path(tempfile.mkdtemp(prefix="hud-zipapp-"))
    place.chmod(0o755)

    def run(name: str, *options: str) -> Path:
        output = place / name
        command = [sys.executable, str(ROOT / "tools/build_zipapp"), "--output", str(output)]
        made = subprocess.run([*command, *options], capture_output=True, text=True)
        need("no package index in reach" not in made.stderr, "a package index, or .build/wheels")
        assert made.returncode == 0, made.stdout + made.stderr
        return output

    yield run
    shutil.rmtree(place)


@pytest.fixture(scope="module", autouse=True)
def _roots_cache_as_before() -> Iterator[None]:
    cache = Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".cache" / "hud"
    before = set(cache.glob("*"))
    yield
    for tree in set(cache.glob("*")) - before:
        shutil.rmtree(tree)


@pytest.fixture(scope="module")
def archive(build: Build) -> Path:
    """The real thing."""
    return build("hud.pyz")


@pytest.fixture(scope="module")
def stub(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same start and dependencies around a program that prints its tree."""
    package = tmp_path_factory.mktemp("stub") / "hud"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text(STUB)
    return build("stub.pyz", "--package", str(package))


class Account:
    """A user with a home of its own, for whom archives are started without an environment."""

    def __init__(self, base: Path, uid: int) -> None:
        self.uid = uid
        self.home = base / "home"
        self.temporary = base / "tmp"
        for directory in (self.home, self.temporary):
            directory.mkdir()
            os.chown(directory, uid, uid)
        self.cache = self.home / ".cache" / "hud"

    def own(self, directory: Path, mode: int = 0o700) -> Path:
        directory.mkdir(exist_ok=True)
        os.chown(directory, self.uid, self.uid)
        directory.chmod(mode)
        return directory

    def start(self, archive: Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/usr/bin/python3", "-I", "-S", str(archive)],
            env={"HOME": str(self.home), "TMPDIR": str(self.temporary), **environment},
            user=self.uid,
            group=self.uid,
            extra_groups=[],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, archive: Path, **environment: str) -> tuple[str, str]:
        """The tree that the stub ran from, and what it said on stderr."""
        started = self.start(archive, **environment)
        out, err = started.communicate(timeout=60)
        assert started.returncode == 0, err
        return out.strip(), err


@pytest.fixture
def account(need: Callable[[object, str], None]) -> Iterator[Account]:
    probe = [shutil.which("python3", path="/usr/bin") or "false", "-c"]
    probe.append("import sys; sys.exit(sys.version_info < (3, 10))")
    need(subprocess.run(probe, check=False).returncode == 0, "/usr/bin/python3 >= 3.10")
    base = Path(tempfile.mkdtemp(prefix="hud-account-"))
    base.chmod(0o755)
    yield Account(base, NOBODY)
    shutil.rmtree(base)


def test_the_same_bytes_twice_within_the_size(archive: Path, build: Build) -> None:
    assert archive.read_bytes() == build("again.pyz").read_bytes()
    assert archive.stat().st_size <= 12 * 1024 * 1024
    with zipfile.ZipFile(archive) as inside:
        names = set(inside.namelist())
    for machine in ("x86_64", "aarch64"):
        assert f"{machine}/hud/prebuilt/hud-{machine}.bpf.o" in names
        for minor in MINORS:
            tag = f"cpython-3{minor}-{machine}-linux-gnu"
            assert f"{tag}/msgspec/_core.{tag}.so" in names


@pytest.mark.parametrize("version", interpreters(MINORS))
def test_runs_without_environment_on(version: str, archive: Path, stub: Path) -> None:
    python = [interpreters(MINORS)[version], "-I", "-S"]
    shown = subprocess.run([*python, str(archive), "--version"], env={}, capture_output=True)
    assert (shown.stdout, shown.stderr) == (f"hud {hud.__version__}\n".encode(), b"")
    ran = subprocess.run([*python, str(stub)], env={}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert f"cpython-{version.replace('.', '')}-" in ran.stdout


@pytest.mark.parametrize("version", interpreters(MINORS))
def test_does_the_demo_job_on(
    version: str, archive: Path, need: Callable[[object, str], None]
) -> None:
    need(platform.machine() == "x86_64", "x86_64, for which the demo server is prebuilt")
    ran = subprocess.run(
        [interpreters(MINORS)[version], "-I", "-S", str(archive), "demo", "--duration", "3"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert "hash" in ran.stdout


def test_the_help_topics_are_in_it(archive: Path) -> None:
    shown = subprocess.run(
        [sys.executable, archive, "help", "tuning"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == (ROOT / "hud" / "help" / "tuning.md").read_text("utf-8")


def test_the_parts_of_the_report_are_in_it(archive: Path, tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    run = ROOT / "tests" / "data" / "demo.hud"
    subprocess.run([sys.executable, archive, "report", run, "-o", page], check=True)
    assert page.read_text("utf-8").rstrip().endswith("</html>")


def test_an_older_python_gets_a_sentence(archive: Path) -> None:
    older = interpreters(range(2, 10))
    if not older:
        pytest.skip("no Python older than 3.10 here")
    for version, python in older.items():
        ran = subprocess.run([python, str(archive)], env={}, capture_output=True, text=True)
        assert ran.returncode == 4
        expected = f"hud: Python 3.10 or newer is needed, this is Python {version}"
        assert ran.stderr.splitlines()[0] == expected


def test_a_second_start_uses_the_first_ones_tree(stub: Path, account: Account) -> None:
    first, said = account.run(stub)
    assert Path(first).parent == account.cache
    assert said == ""
    unpacked = Path(first).stat().st_ino
    assert account.run(stub) == (first, "")
    assert Path(first).stat().st_ino == unpacked
    assert account.cache.stat().st_mode & 0o777 == 0o700


def test_starts_at_once_share_one_tree(stub: Path, account: Account) -> None:
    starts = [account.start(stub) for _ in range(4)]
    said = [started.communicate(timeout=120) for started in starts]
    assert [started.returncode for started in starts] == [0, 0, 0, 0], said
    assert len({out for out, _ in said}) == 1
    assert [entry.name for entry in account.cache.iterdir()] == [Path(said[0][0].strip()).name]


def test_a_damaged_tree_is_unpacked_again(stub: Path, account: Account) -> None:
    tree, _ = account.run(stub)
    (Path(tree) / "msgspec" / "__init__.py").write_bytes(b"")
    (Path(tree) / "capstone" / "__init__.py").unlink()
    assert account.run(stub) == (tree, "")
    (Path(tree) / ".sizes").write_bytes(b"")
    assert account.run(stub) == (tree, "")
    assert len(list(account.cache.iterdir())) == 1


def test_what_a_killed_start_left_goes_at_once(stub: Path, account: Account) -> None:
    account.own(account.cache.parent)
    account.own(account.cache)
    with subprocess.Popen(["sleep", "60"]) as alive:
        gone = account.own(account.cache / f".unpacking-{(1 << 22) + 1}-abc")
        (gone / "half").write_text("")
        older = account.own(account.cache / ".unpacking-abcdefgh")
        busy = account.own(account.cache / f".unpacking-{alive.pid}-abc")
        account.run(stub)
        assert [path.exists() for path in (gone, older, busy)] == [False, False, True]
        alive.kill()


SHADOW = """
import pathlib
pathlib.Path({marker!r}).open("a").write(__name__ + "\\n")
"""


@pytest.mark.parametrize("python", [True, False])
def test_nothing_of_the_callers_environment_is_run(
    python: bool, stub: Path, account: Account, tmp_path: Path
) -> None:
    """As root it would be run by: sudo -E ./hud.pyz."""
    account.uid = 0
    marker = tmp_path / "imported"
    for name in ("sitecustomize", "pwd", "zipfile", "hud_start", "hud", "startup"):
        (tmp_path / f"{name}.py").write_text(SHADOW.format(marker=str(marker)))
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "startup.py")}
    stub.chmod(0o755)
    ran = subprocess.run(
        ["/usr/bin/python3", str(stub)] if python else [str(stub)],
        env={"HOME": str(account.home), "PATH": "/usr/bin:/bin", **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    imported = set(marker.read_text().split()) if marker.exists() else set()
    # a Python that was named has read PYTHONPATH before it reads the archive
    assert imported <= ({"sitecustomize"} if python else set())


def test_a_tree_of_another_version_goes_after_a_month(stub: Path, account: Account) -> None:
    account.own(account.cache.parent)
    account.own(account.cache)
    old, recent = account.own(account.cache / "old"), account.own(account.cache / "recent")
    os.utime(old, (0, time.time() - 31 * 86400))
    account.run(stub)
    assert not old.exists()
    assert recent.exists()


def link(account: Account) -> str:
    account.own(account.home / "elsewhere")
    account.own(account.cache.parent)
    account.cache.symlink_to(account.home / "elsewhere")
    return f"{account.cache} is a symbolic link"


def foreign(account: Account) -> str:
    account.own(account.cache.parent)
    account.cache.mkdir()
    return f"{account.cache} belongs to user 0, not {account.uid}"


def open_to_others(account: Account) -> str:
    account.own(account.cache.parent)
    account.own(account.cache, 0o777)
    return f"{account.cache} can be written by others"


def open_above(account: Account) -> str:
    account.own(account.cache.parent, 0o777)
    account.own(account.cache)
    return f"{account.cache.parent} can be written by others"


def foreign_above(account: Account) -> str:
    account.own(account.cache.parent)
    os.chown(account.home, account.uid - 1, account.uid - 1)
    account.home.chmod(0o755)
    account.own(account.cache)
    return f"{account.home} belongs to user {account.uid - 1}"


def not_writable(account: Account) -> str:
    os.chown(account.home, 0, 0)
    return f"{account.cache}: permission denied"


@pytest.mark.parametrize(
    "spoil", [link, foreign, open_to_others, open_above, foreign_above, not_writable]
)
def test_a_cache_that_is_not_safe_is_not_used(
    spoil: Callable[[Account], str], stub: Path, account: Account
) -> None:
    reason = spoil(account)
    tree, said = account.run(stub)
    assert Path(tree).parent == account.temporary
    assert said == f"hud: note: unpacking at every start: {reason}\n"
    assert list(account.temporary.iterdir()) == []
    assert not any((account.home / "elsewhere").glob("*"))


def test_a_tree_of_another_owner_is_not_used(stub: Path, account: Account) -> None:
    tree, _ = account.run(stub)
    os.chown(tree, 0, 0)
    Path(tree).chmod(0o755)
    instead, said = account.run(stub)
    assert Path(instead).parent == account.temporary
    assert said.endswith(f": {tree} belongs to user 0, not {account.uid}\n")


def test_roots_cache_does_not_depend_on_the_environment(stub: Path, account: Account) -> None:
    account.uid = 0
    tree, said = account.run(stub, XDG_CACHE_HOME=str(account.home))
    assert said == ""
    assert list(account.home.iterdir()) == []
    assert not tree.startswith(str(account.home))


def test_a_platform_without_wheels_gets_the_remedy(
    stub: Path, account: Account, tmp_path: Path
) -> None:
    poor = stub.with_name("poor.pyz")
    with zipfile.ZipFile(stub) as full, zipfile.ZipFile(poor, "w") as out:
        for member in full.infolist():
            if not member.filename.startswith("cpython-"):
                out.writestr(member, full.read(member))
    started = account.start(poor)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 4
    first, second = said.splitlines()
    assert first.startswith("hud: no msgspec and no capstone wheel inside for CPython 3.")
    assert second.endswith("python3 -m pip install msgspec capstone")
