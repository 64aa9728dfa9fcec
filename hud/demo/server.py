"""The demo server as a running process: taken from the prebuilt files or made by cargo.

It listens on loopback only, in a private directory that is removed at the end, and dies with hud.
Where hud is root, an ordinary user runs the server, its load and cargo.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hud import resources
from hud.demo.load import die_with
from hud.errors import HudError
from hud.process.rights import NOBODY, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NAME = "demo-server"
CRATE = Path(__file__).resolve().parents[2] / "tests" / "targets" / NAME
WORKERS = 4
START_S = 20.0
STOP_S = 2.0


class Server(NamedTuple):
    """The demo server, listening."""

    process: subprocess.Popen[str]
    port: int


@contextlib.contextmanager
def running(
    user: User | None, *, seconds: float, say: Callable[[str], None], build: bool = False
) -> Iterator[Server]:
    """The server, started as ``user`` and stopped at the end; it lives ``seconds`` at most.

    Raises HudError when there is none for this machine, when no directory lets it be started, or
    when it ends before it listens.
    """
    refused = []
    for parent in directories(os.environ):
        if reason := unfit(parent):
            refused.append(f"{parent} {reason}")
            continue
        with _directory(parent, user) as directory:
            binary = _built(directory, user, say) if build else _unpacked(directory, say)
            errors = directory / "errors"
            try:
                process = _start(binary, directory / "files", errors, user, seconds)
            except PermissionError as error:
                if error.errno != errno.EACCES:
                    raise HudError(f"start the demo server: {_words(error)}") from error
                refused.append(f"{parent} does not let programs run")
                continue
            except OSError as error:
                raise HudError(f"start the demo server: {_words(error)}") from error
            for reason in refused:
                say(f"demo server: {reason}, so it is in {parent}")
            try:
                yield Server(process, _port(process, errors))
            finally:
                _stop(process)
            return
    raise HudError(
        f"start the demo server: {'; '.join(refused)}",
        hint="set TMPDIR to a directory where programs may run",
    )


def directories(environment: Mapping[str, str]) -> list[Path]:
    """Those a program may be started from, best first; not all of them need exist."""
    names = [environment.get("TMPDIR", ""), "/tmp", "/var/tmp", "/run", "/dev/shm"]
    return [Path(name) for name in dict.fromkeys(names) if name]


def unfit(directory: Path) -> str:
    """Why no program can be started from ``directory``; empty when it may work."""
    try:
        flags = os.statvfs(directory).f_flag
    except OSError:
        return "is absent"
    if flags & os.ST_NOEXEC:
        return "is mounted noexec"
    return "" if os.access(directory, os.W_OK) else "is not writable"


@contextlib.contextmanager
def _directory(parent: Path, user: User | None) -> Iterator[Path]:
    """hud's directory, which the user can only pass through, with one of the user's inside."""
    directory = Path(tempfile.mkdtemp(prefix="hud-demo-", dir=parent))
    try:
        _directory_of(directory / "files", user)
        if user:
            directory.chmod(0o711)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _directory_of(path: Path, user: User | None) -> Path:
    path.mkdir(mode=0o700)
    if user:
        os.chown(path, user.uid, user.gid)
    return path


def _unpacked(directory: Path, say: Callable[[str], None]) -> Path:
    name = f"{NAME}-{platform.machine()}"
    if name not in resources.names():
        raise HudError(
            f"demo server: none prebuilt for {platform.machine()}",
            hint="build it in hud's source tree: ./tools/demo --build",
        )
    binary = directory / NAME
    binary.write_bytes(resources.read(name))
    binary.chmod(0o755)
    say(f"demo server: prebuilt {name}")
    return binary


def _built(directory: Path, user: User | None, say: Callable[[str], None]) -> Path:
    """Made by cargo, as the caller of sudo if there is one: the toolchain is theirs."""
    owner = user if user != NOBODY else None
    home = _home(owner.uid if owner else os.geteuid())
    cargo = shutil.which("cargo") or shutil.which("cargo", path=str(home / ".cargo" / "bin"))
    if cargo is None:
        raise HudError("build the demo server: no cargo", hint="install Rust from rustup.rs")
    if not CRATE.is_dir():
        raise HudError(
            "build the demo server: its sources are not part of this installation",
            hint="leave out --build, or run ./tools/demo --build in hud's source tree",
        )
    say(f"demo server: building it with {cargo}")
    target = _directory_of(directory / "build", owner)
    search = f"{Path(cargo).parent}:{os.environ.get('PATH', os.defpath)}"
    built = subprocess.run(
        [cargo, "build", "--quiet", "--release", "--locked", "--target-dir", str(target)],
        cwd=CRATE,
        env={**os.environ, "HOME": str(home), "PATH": search},
        capture_output=True,
        text=True,
        check=False,
        user=owner.uid if owner else None,
        group=owner.gid if owner else None,
        extra_groups=[] if owner else None,
    )
    if built.returncode:
        raise HudError(
            f"build the demo server: cargo ended with status {built.returncode}",
            hint="--verbose shows what cargo said",
            detail=built.stderr,
        )
    # nobody may not enter a directory of root's, and the caller's belongs to the user.
    target.chmod(0o711)
    (target / "release").chmod(0o711)
    return target / "release" / NAME


def _home(uid: int) -> Path:
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return Path.home()


def _start(
    binary: Path, files: Path, errors: Path, user: User | None, seconds: float
) -> subprocess.Popen[str]:
    parent = os.getpid()
    options = ["--port", "0", "--workers", str(WORKERS), "--seconds", str(int(seconds))]
    with errors.open("w") as stderr:
        return subprocess.Popen(
            [str(binary), *options, "--dir", str(files)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd="/",
            start_new_session=True,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            preexec_fn=lambda: die_with(parent),
        )


def _port(process: subprocess.Popen[str], errors: Path) -> int:
    """From the first line that the server prints: ``listening on 127.0.0.1:PORT``."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_S)
    line = process.stdout.readline() if ready else ""
    port = line.strip().rpartition(":")[2]
    if not port.isdigit():
        raise HudError(
            "start the demo server: it does not listen", detail=errors.read_text(errors="replace")
        )
    return int(port)


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def _words(error: OSError) -> str:
    return (error.strerror or "refused").lower()
