"""Builds the Rust crates of tests/targets for any Tokio, profile and flags, and starts them.

A build is cached by the content of the crate, the settings and the compiler, under
``.build/targets/<key>/``; dependencies are shared by all builds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CRATES = ROOT / "tests" / "targets"
BUILDS = ROOT / ".build" / "targets"
CARGO_TARGET = ROOT / ".build" / "cargo" / "targets"

TOKIO_VERSIONS = ("1.28.2", "1.38.2", "1.47.5", "1.54.1")
FRAME_POINTERS = "-C force-frame-pointers=yes"
LTO = ('profile.release.lto="fat"', "profile.release.codegen-units=1")
LTO_ABORT = ('profile.release.lto="fat"', 'profile.release.panic="abort"')


def cargo_at_hand() -> bool:
    return shutil.which("cargo") is not None


def build(
    crate: str,
    *,
    tokio: str | None = None,
    profile: str = "release",
    rustflags: str = "",
    strip: bool = False,
    debug: int | None = None,
    config: tuple[str, ...] = (),
    features: str = "",
    shared: bool = False,
    toolchain: Toolchain | None = None,
    words: tuple[str, ...] = (),
    crateflags: str = "",
    vendored: bool = False,
) -> Path:
    """The binary of ``tests/targets/<crate>``, built now or found in the cache.

    ``tokio``: an exact version; None = that of Cargo.lock. ``profile``: ``release`` or ``dev``.
    ``debug``: level of debug info, None = the profile's. ``config``: further ``cargo --config``
    settings, such as ``profile.release.lto="fat"``. ``features``: with commas. ``shared``: the
    crate as a shared object. ``words``: further ones for ``cargo build``. ``crateflags``: rustc's
    for the crate alone, so that its dependencies are those of the build without. ``vendored``: from
    copies of the dependencies, whose paths have no version. Raises CalledProcessError with cargo's
    words in ``stderr``. With ``split-debuginfo="packed"`` the .dwp file is beside the binary.
    """
    toolchain = toolchain or Toolchain()
    if tokio == _locked(crate):
        tokio = None
    if (profile, debug) == ("dev", 2):  # Cargo's own
        debug = None
    settings = [*config]
    if strip:
        settings.append(f'profile.{profile}.strip="symbols"')
    if debug is not None:
        settings.append(f"profile.{profile}.debug={debug}")
    more = [features, "shared"] if shared else [features] if features else []
    more += [*words, *["vendored"] * vendored, *[crateflags] * bool(crateflags)]
    key = _key(CRATES / crate, [str(tokio), profile, rustflags, *settings, *more], toolchain)
    product = f"lib{crate}.so" if shared else crate
    binary = BUILDS / key / "bin" / product
    if binary.exists():
        return binary
    BUILDS.mkdir(parents=True, exist_ok=True)
    # cargo's own lock ends with the build; the binary is copied after it.
    with (BUILDS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            options = [
                "--lib" if shared else "--bins",
                *(["--features", features] * bool(features)),
                *words,
            ]
            job = _Job(
                crate, product, BUILDS / key, tokio, profile, rustflags, crateflags, toolchain
            )
            _build(job, settings, options, vendored=vendored)
    return binary


def stripped(binary: Path) -> Path:
    """A copy without symbols, as the linker makes it with ``strip = "symbols"``."""
    place = binary.parent / "stripped"
    place.mkdir(exist_ok=True)
    scratch = place / f".{binary.name}.{os.getpid()}"
    subprocess.run(["strip", "--strip-all", "-o", scratch, binary], check=True)
    return scratch.replace(place / binary.name)


def _locked(crate: str) -> str:
    """The Tokio of a crate's Cargo.lock."""
    lock = (CRATES / crate / "Cargo.lock").read_text()
    return lock.partition('name = "tokio"\nversion = "')[2].partition('"')[0]


@dataclass(frozen=True)
class Toolchain:
    """Which cargo and rustc build; those of PATH unless said otherwise."""

    cargo: tuple[str, ...] = ("cargo",)
    rustc: str = "rustc"
    target: str = ""
    """``x86_64-unknown-linux-musl``; empty = this machine's."""

    @property
    def environment(self) -> dict[str, str]:
        # rustup has a rustc of its own for each of its cargos
        return {} if self.cargo[-1].startswith(("cargo", "+")) else {"RUSTC": self.rustc}

    @property
    def compiler(self) -> list[str]:
        return [self.rustc, *self.cargo[1:], "--version"]


@dataclass(frozen=True)
class _Job:
    crate: str
    product: str
    place: Path
    tokio: str | None
    profile: str
    rustflags: str
    crateflags: str
    toolchain: Toolchain


def _build(job: _Job, settings: list[str], options: list[str], *, vendored: bool) -> None:
    sources = job.place / job.crate
    shutil.rmtree(job.place, ignore_errors=True)
    shutil.copytree(CRATES / job.crate, sources, ignore=shutil.ignore_patterns("target"))
    toolchain = job.toolchain
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(CARGO_TARGET),
        "RUSTFLAGS": job.rustflags,
        **toolchain.environment,
    }
    if job.tokio is not None:
        update = ["update", "--package", "tokio", "--precise", job.tokio]
        _cargo(update, sources, environment, toolchain)
    if vendored:
        replace = _cargo(["vendor", "vendor"], sources, environment, toolchain)
        (sources / ".cargo").mkdir()
        (sources / ".cargo" / "config.toml").write_text(replace)
    if toolchain.target:
        options += ["--target", toolchain.target]
    options += [word for setting in settings for word in ("--config", setting)]
    common = ["--locked", "--profile", job.profile, *options]
    build = ["build", *common]
    if job.crateflags:
        build = ["rustc", *common, "--", *job.crateflags.split()]
    _cargo(build, sources, environment, toolchain)
    folder = "debug" if job.profile == "dev" else job.profile
    built = CARGO_TARGET / toolchain.target / folder / job.product
    (job.place / "bin").mkdir()
    package = built.with_name(f"{job.crate}.dwp")
    if any("packed" in setting and "unpacked" not in setting for setting in settings):
        shutil.copy2(package, job.place / "bin")
    scratch = job.place / "bin" / f".{job.product}.new"
    shutil.copy2(built, scratch)
    scratch.replace(job.place / "bin" / job.product)


def _cargo(
    arguments: list[str], directory: Path, environment: dict[str, str], toolchain: Toolchain
) -> str:
    return subprocess.run(
        [*toolchain.cargo, "--quiet", *arguments],
        check=True,
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
    ).stdout


def _key(crate: Path, settings: list[str], toolchain: Toolchain) -> str:
    digest = hashlib.sha256()
    for path in sorted(crate.rglob("*")):
        relative = path.relative_to(crate)
        if path.is_file() and relative.parts[0] != "target":
            digest.update(str(relative).encode() + b"\0" + path.read_bytes() + b"\0")
    compiler = subprocess.run(toolchain.compiler, check=True, capture_output=True).stdout
    digest.update(compiler + "\0".join([*settings, toolchain.target]).encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Running:
    """A target that runs."""

    process: subprocess.Popen[str]
    port: int
    """Where the demo server listens; 0 for the zoo."""

    @property
    def pid(self) -> int:
        return self.process.pid


@contextlib.contextmanager
def demo_server(binary: Path, *options: str, seconds: int = 120) -> Iterator[Running]:
    """The demo server on a free port of loopback; killed at the end, or by itself."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [binary, "--port", "0", "--dir", scratch, "--seconds", str(seconds), *options]
        with _started(command) as (process, line):
            yield Running(process, port=int(line.rpartition(":")[2]))


@contextlib.contextmanager
def zoo(binary: Path, truth: Path, *options: str) -> Iterator[Running]:
    """The zoo, its truth going to ``truth``; it ends by itself after its ``--seconds`` (5)."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [binary, "--truth", truth, "--dir", scratch, *options]
        with _started(command) as (process, _):
            yield Running(process, port=0)


@contextlib.contextmanager
def nap(binary: Path, *arguments: str, loader: tuple[str, ...] = ()) -> Iterator[Running]:
    """The smallest program whose task blocks: 12 ms at a time, for a minute.

    ``loader``: a dynamic loader that is started in its place, with its options.
    """
    with _started([*loader, binary, *arguments]) as (process, _):
        yield Running(process, port=0)


GUEST = """
import ctypes, os, sys, threading, time
def visit(arguments):
    library, *rest = arguments
    ctypes.CDLL(library).zoo_start("\\n".join(rest).encode())
sleeper = threading.Thread(target=time.sleep, args=(3600,), daemon=True)
sleeper.start()
print("host", flush=True)
while sys.argv[1] and not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
visits, arguments = [], []
for word in sys.argv[2:] + ["--and"]:
    if word != "--and":
        arguments.append(word)
    else:
        visits.append(threading.Thread(target=visit, args=(arguments,)))
        arguments = []
[visit.start() for visit in visits]
[visit.join() for visit in visits]
"""
"""Python as the host of shared objects of the zoo: a file that it waits for before it loads them,
or an empty word; then for each its path and the zoo's options, ``--and`` between two."""


@contextlib.contextmanager
def hosted_zoo(visits: list[list[str | Path]], after: Path | str = "") -> Iterator[Running]:
    """Python with a zoo in a thread for each of ``visits``: the shared object and its options."""
    with tempfile.TemporaryDirectory() as scratch:
        words: list[str | Path] = []
        for number, visit in enumerate(visits):
            words += [*(["--and"] if number else []), *visit, "--dir", scratch]
        with _started([sys.executable, "-c", GUEST, str(after), *words]) as (process, _):
            yield Running(process, port=0)


@contextlib.contextmanager
def _started(command: list[str | Path]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the first line that it printed; killed at the end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            assert line, f"{Path(command[0]).name} printed nothing"
            yield process, line
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
