"""A large Tokio service of Cargo's registry, with full debug information, and work for it.

It is sccache with all its storage backends: a release build whose inlined calls are all described,
360 MB of debug information. It takes some minutes to build, once, under .build/large.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from benchmarks import running

from hud.symbols.elf.file import ElfFile

CRATE, VERSION = "sccache", "0.19.0"
PLACE = running.ROOT / ".build" / "large"
PROFILE = {"DEBUG": "2", "STRIP": "none", "LTO": "off", "CODEGEN_UNITS": "16"}
BINARY = PLACE / CRATE / "bin" / CRATE


def build() -> Path:
    """The binary, built now if it is not there. SystemExit where cargo refuses."""
    if BINARY.exists():
        return BINARY
    command = ["nice", "-n", "10", "cargo", "install", CRATE, "--version", VERSION, "--locked"]
    command += ["--bin", CRATE, "--all-features", "--root", str(BINARY.parent.parent)]
    settings = {f"CARGO_PROFILE_RELEASE_{name}": value for name, value in PROFILE.items()}
    settings["CARGO_TARGET_DIR"] = str(PLACE / "target")
    if subprocess.run(command, env={**os.environ, **settings}).returncode:
        raise SystemExit(f"bench: {CRATE} {VERSION} was not built")
    shutil.rmtree(PLACE / "target")
    return BINARY


def debug_mb(binary: Path) -> float:
    """All sections of debug information, as in the file."""
    with binary.open("rb") as opened, ElfFile(opened.fileno(), str(binary)) as elf:
        return sum(s.size for s in elf.sections if s.name.startswith(".debug_")) / 1e6


@contextlib.contextmanager
def working(binary: Path) -> Iterator[int]:
    """The pid of a server of that binary while clients have it compile small C files."""
    if shutil.which("cc") is None:
        raise SystemExit("bench: the large target needs a C compiler to cache")
    with tempfile.TemporaryDirectory() as scratch, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        free.close()
        environment = {
            **{name: value for name, value in os.environ.items() if "SCCACHE" not in name},
            "SCCACHE_SERVER_PORT": port,
            "SCCACHE_DIR": f"{scratch}/cache",
            "SCCACHE_CONF": f"{scratch}/none",
            "SCCACHE_IDLE_TIMEOUT": "0",
        }
        alone = {**environment, "SCCACHE_START_SERVER": "1", "SCCACHE_NO_DAEMON": "1"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": scratch}
        with subprocess.Popen([binary], env=alone, **quiet) as server:
            over = threading.Event()
            clients = threading.Thread(
                target=_compile, args=(binary, scratch, environment, over), daemon=True
            )
            try:
                clients.start()
                yield server.pid
            finally:
                over.set()
                clients.join()
                server.kill()


def _compile(
    binary: Path, scratch: str, environment: dict[str, str], over: threading.Event
) -> None:
    """One file after the other, each with new contents; failures while the server starts count."""
    for number in itertools.count():
        if over.is_set():
            return
        Path(scratch, "one.c").write_text(f"int f{number}(int x) {{ return x * {number}; }}\n")
        subprocess.run(
            [binary, "cc", "-c", "one.c", "-o", "one.o"],
            env=environment,
            cwd=scratch,
            capture_output=True,
            check=False,
        )
