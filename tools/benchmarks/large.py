"""A large Tokio service of Cargo's registry, with full debug information, and work for it.

It is sccache with all its storage backends, in the dev profile: no function is inlined away and no
dependency left out. It takes a while to build, once, and some gigabytes under .build/large.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmarks import running

from hud.symbols.elf import ElfFile

CRATE, VERSION = "sccache", "0.19.0"
PLACE = running.ROOT / ".build" / "large"
BINARY = PLACE / CRATE / "bin" / CRATE


def build() -> Path:
    """The binary, built now if it is not there. SystemExit where cargo refuses."""
    if BINARY.exists():
        return BINARY
    settings = {
        "CARGO_TARGET_DIR": str(PLACE / "target"),
        "CARGO_PROFILE_DEV_DEBUG": "2",
        "CARGO_PROFILE_DEV_SPLIT_DEBUGINFO": "off",
        "CARGO_INCREMENTAL": "0",
    }
    command = ["nice", "-n", "10", "cargo", "install", CRATE, "--version", VERSION, "--locked"]
    command += ["--debug", "--root", str(BINARY.parent.parent)]
    if subprocess.run(command, env={**os.environ, **settings}).returncode:
        raise SystemExit(f"bench: {CRATE} {VERSION} was not built")
    return BINARY


def debug_mb(binary: Path) -> float:
    """All sections of debug information, as in the file."""
    with binary.open("rb") as opened, ElfFile(opened.fileno(), str(binary)) as elf:
        return sum(s.size for s in elf.sections if s.name.startswith(".debug_")) / 1e6
