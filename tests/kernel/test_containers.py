"""hud and containers as runc makes them: what works, and what is said where it does not."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
LIAR = ROOT / "tests" / "targets" / "liar.c"
RUNTIME = "runc"
Config = dict[str, Any]
SEES_POLLS = "All of it is one function: clock_nanosleep."
FIRST_OF_HOST = 100_000
"""What root is outside, where it is a user namespace's own."""


class Bundle(NamedTuple):
    """A container that is yet to be started."""

    place: Path
    config: Config

    def command(self) -> list[str]:
        (self.place / "config.json").write_text(json.dumps(self.config))
        return [RUNTIME, "run", "--bundle", str(self.place), self.name]

    @property
    def name(self) -> str:
        return f"hud-test-{os.getpid()}-{self.place.name}"

    def namespaces(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.config["linux"]["namespaces"]
        return found

    def without(self, *kinds: str) -> None:
        self.config["linux"]["namespaces"] = [
            one for one in self.namespaces() if one["type"] not in kinds
        ]

    def in_user_namespace(self) -> None:
        mapped = [{"containerID": 0, "hostID": FIRST_OF_HOST, "size": 65536}]
        self.namespaces().append({"type": "user"})
        for name in (".", "proc", "sys", "dev"):
            made = self.place / "rootfs" / name
            made.mkdir(exist_ok=True)
            os.chown(made, FIRST_OF_HOST, FIRST_OF_HOST)
        self.config["linux"] |= {"uidMappings": mapped, "gidMappings": copy.deepcopy(mapped)}


@pytest.fixture(scope="module")
def app(need: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    need(shutil.which("gcc"), "gcc")
    out = tmp_path_factory.mktemp("app") / "app"
    subprocess.run(["gcc", "-O1", "-static", "-pthread", "-o", out, LIAR], check=True)
    return out


@pytest.fixture
def bundle(app: Path, need: Callable[[object, str], None]) -> Iterator[Bundle]:
    """The app in a root of its own, which is read-only."""
    need(shutil.which(RUNTIME), RUNTIME)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        place.chmod(0o755)
        (place / "rootfs").mkdir()
        shutil.copy2(app, place / "rootfs")
        subprocess.run([RUNTIME, "spec"], cwd=place, check=True)
        config = json.loads((place / "config.json").read_text())
        config["process"] |= {"terminal": False, "args": ["/app", "none"]}
        yield Bundle(place, config)


def pid_of(name: str) -> int:
    ran = subprocess.run([RUNTIME, "state", name], check=True, capture_output=True, text=True)
    return int(json.loads(ran.stdout)["pid"])


@contextmanager
def started(bundle: Bundle) -> Iterator[int]:
    """The pid of the app, as the host has it."""
    with subprocess.Popen(bundle.command(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield pid_of(bundle.name)
        finally:
            subprocess.run(
                [RUNTIME, "delete", "--force", bundle.name], capture_output=True, check=False
            )


def hud(pid: int) -> str:
    """What it says of a process, in one line; it must succeed."""
    command = [sys.executable, "-m", "hud", "--pid", str(pid), "--headless", "--duration", "1"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return " ".join(ran.stdout.split())


def test_target_in_a_container(bundle: Bundle) -> None:
    with started(bundle) as pid:
        assert SEES_POLLS in hud(pid)


def test_target_in_a_user_namespace(bundle: Bundle) -> None:
    bundle.in_user_namespace()
    with started(bundle) as pid:
        assert Path(f"/proc/{pid}").stat().st_uid == FIRST_OF_HOST
        assert SEES_POLLS in hud(pid)


@contextmanager
def overlay(bundle: Bundle) -> Iterator[None]:
    """The root is layers: the app is in the lower one, which nothing is written to."""
    with ExitStack() as stack:
        layers = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        subprocess.run(["mount", "-t", "tmpfs", "layers", layers], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", layers], check=True)
        lower, upper, work = (layers / name for name in ("lower", "upper", "work"))
        shutil.copytree(bundle.place / "rootfs", lower)
        upper.mkdir()
        work.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        root = bundle.place / "rootfs"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", root], check=False)
        yield


@pytest.mark.parametrize("gone", ["file", "layers"])
def test_target_in_layers(bundle: Bundle, gone: str) -> None:
    """Its program is deleted meanwhile, or all layers are, as an image's that is pruned."""
    bundle.config["root"]["readonly"] = False
    with overlay(bundle), started(bundle) as pid:
        root = bundle.place / "rootfs"
        if gone == "file":
            (root / "app").unlink()
        if gone == "layers":
            subprocess.run(["umount", "--lazy", root], check=True)
        assert SEES_POLLS in hud(pid)


def with_hud_inside(bundle: Bundle, pid: int) -> None:
    """The container has the host's files, and runs hud on a process of the host."""
    command = [sys.executable, "-m", "hud", "--pid", str(pid), "--headless", "--duration", "1"]
    bundle.config["process"] |= {"args": command, "cwd": str(ROOT)}
    bundle.config["root"]["readonly"] = False
    shutil.rmtree(bundle.place / "rootfs")
    (bundle.place / "rootfs").mkdir()
    bundle.config["mounts"] += [
        {"destination": str(place), "type": "bind", "source": str(place), "options": ["rbind"]}
        for place in (Path("/usr"), Path("/etc"), ROOT, Path(sys.prefix), Path(sys.base_prefix))
    ]
    for link in ("bin", "sbin", "lib", "lib64"):
        if Path(f"/{link}").is_symlink():
            (bundle.place / "rootfs" / link).symlink_to(Path(f"/{link}").readlink())


def privileged(bundle: Bundle) -> None:
    """With the capabilities that the help names, and all of /proc and /sys."""
    names = ("BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "SETUID", "SETGID")
    held = [f"CAP_{name}" for name in (*names, "CHECKPOINT_RESTORE", "SYSLOG")]
    kinds = ("bounding", "effective", "permitted")
    bundle.config["process"]["capabilities"] = dict.fromkeys(kinds, held)
    bundle.config["process"]["noNewPrivileges"] = False
    bundle.config["linux"] |= {"maskedPaths": [], "readonlyPaths": []}


def ran(bundle: Bundle) -> tuple[int, str]:
    done = subprocess.run(bundle.command(), capture_output=True, text=True, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@contextmanager
def outside(app: Path) -> Iterator[int]:
    with subprocess.Popen([app, "none"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process.pid
        finally:
            process.kill()


def test_hud_in_a_container(bundle: Bundle, app: Path) -> None:
    """--privileged --pid=host."""
    with outside(app) as pid:
        with_hud_inside(bundle, pid)
        privileged(bundle)
        bundle.without("pid", "network")
        status, said = ran(bundle)
    assert SEES_POLLS in said
    assert status == 0


@pytest.mark.parametrize(
    ("lacks", "remedy"),
    [
        ("host's pids", "--pid=host"),
        ("capabilities", "grant CAP_SYS_PTRACE"),
        ("host's users", "user namespace"),
    ],
)
def test_hud_in_a_container_that_lacks_something(
    bundle: Bundle, app: Path, lacks: str, remedy: str
) -> None:
    with outside(app) as pid:
        with_hud_inside(bundle, pid)
        if lacks != "capabilities":
            privileged(bundle)
        if lacks != "host's pids":
            bundle.without("pid")
        if lacks == "host's users":
            bundle.in_user_namespace()
            bound = {"type": "bind", "source": "/proc", "options": ["rbind"]}
            bundle.config["mounts"][0] |= bound  # it may mount none itself
        status, said = ran(bundle)
    assert remedy in said
    assert "Traceback" not in said
    assert status in (3, 4)
