"""The ways in which the corpus is built: linkers, profiles, compilers, Tokio, starts."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import targets

STABLE_MINORS = (
    *("1.38.2", "1.39.3", "1.40.0", "1.41.1", "1.42.1", "1.43.4", "1.44.2", "1.45.1", "1.46.1"),
    *("1.47.5", "1.48.0", "1.49.0", "1.50.0", "1.51.0", "1.51.6", "1.52.0", "1.52.4", "1.53.3"),
)
"""Every minor from 1.38 on, and the patches that differ inside; the newest is the locked one."""
OLDER = ("1.20.6", "1.21.2", "1.22.0", "1.25.3", "1.28.2", "1.29.1", "1.32.1", "1.35.1")
UNSTABLE = ("1.38.2", "1.41.1", "1.43.4", "1.47.5", "1.49.0", "1.51.0", "1.54.1")
NEWEST = "1.54.1"

LTO = ('profile.release.lto="fat"', "profile.release.codegen-units=1")
ABORT = ('profile.release.panic="abort"',)
DEBIAN = targets.Toolchain(("/usr/bin/cargo",), "/usr/bin/rustc")
NIGHTLY = targets.Toolchain(("cargo", "+nightly"))
MUSL = targets.Toolchain(target="x86_64-unknown-linux-musl")
REGISTRY = Path.home() / ".cargo" / "registry" / "src"


class Build(NamedTuple):
    """One way to build the corpus, and to start it."""

    name: str
    tokio: str = NEWEST
    profile: str = "release"
    rustflags: str = ""
    config: tuple[str, ...] = ()
    features: str = ""
    words: tuple[str, ...] = ()
    toolchain: targets.Toolchain = targets.Toolchain()
    vendored: bool = False
    debug: int | None = None
    strip: bool = False
    after: tuple[str, ...] = ()
    """A command on the finished file, which comes as its last word."""
    start: str = "program"
    """``program``, ``loader`` (by ld.so); in Python: ``object`` (before hud), ``late`` (after)."""
    needs: str = ""
    """A command, beside the compiler."""

    def missing(self) -> str:
        """What this machine lacks for it; empty = nothing."""
        if self.needs and not shutil.which(self.needs):
            return f"no {self.needs}"
        try:
            done = subprocess.run(self.toolchain.compiler, capture_output=True, check=False)
        except OSError:
            return f"no {self.toolchain.rustc}"
        if done.returncode:
            return f"no {' '.join(self.toolchain.compiler[:-1])}"
        return self._missing_target()

    def _missing_target(self) -> str:
        target = self.toolchain.target
        if not target:
            return ""
        words = [self.toolchain.rustc, "--print", "target-libdir", "--target", target]
        place = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
        return "" if place and any(Path(place).glob("libstd-*")) else f"no std for {target}"

    def make(self) -> Path:
        """The finished file."""
        shared = self.start in ("object", "late")
        binary = targets.build(
            "corpus",
            tokio=self.tokio,
            profile=self.profile,
            rustflags=self.rustflags,
            config=self.config,
            features=self.features,
            words=self.words,
            toolchain=self.toolchain,
            vendored=self.vendored,
            debug=self.debug,
            strip=self.strip,
            shared=shared,
        )
        if not self.after:
            return binary
        changed = binary.with_name(f"{binary.name}-{self.name.replace(' ', '-')}")
        shutil.copy2(binary, changed)
        subprocess.run([*self.after, changed], check=True)
        return changed


def remapped() -> str:
    """Flags that take the registry, and with it Tokio's version, out of every path."""
    found = sorted(REGISTRY.glob("*/tokio-1.*")) if REGISTRY.exists() else []
    flags = [f"--remap-path-prefix={path}=deps/tokio" for path in found]
    return " ".join(flags)


def _versions() -> Iterator[Build]:
    for tokio in (*OLDER, *STABLE_MINORS, NEWEST):
        yield Build(f"tokio {tokio}", tokio)
    for tokio in UNSTABLE:
        yield Build(f"tokio {tokio} unstable", tokio, rustflags="--cfg tokio_unstable")
    for tokio in ("1.47.5", NEWEST):
        flags = "--cfg tokio_unstable --cfg tokio_taskdump"
        yield Build(f"tokio {tokio} taskdump", tokio, rustflags=flags, features="full")
    for tokio in ("1.38.2", "1.47.5", "1.52.0", NEWEST):
        yield Build(f"tokio {tokio} full", tokio, features="full")
    for tokio in ("1.38.2", "1.47.5", NEWEST):
        yield Build(f"tokio {tokio} rt only", tokio, words=("--no-default-features",))


def _profiles() -> Iterator[Build]:
    yield Build("dev", profile="dev")
    yield Build("debug 1", debug=1)
    yield Build("debug 2", debug=2)
    yield Build("split dwarf", debug=2, config=('profile.release.split-debuginfo="packed"',))
    yield Build("fat lto", config=LTO)
    yield Build("fat lto, abort", config=(*LTO, *ABORT))
    yield Build("thin lto", config=('profile.release.lto="thin"',))
    yield Build("opt s", config=('profile.release.opt-level="s"',))
    yield Build("opt z, fat lto, abort", config=('profile.release.opt-level="z"', *LTO, *ABORT))
    yield Build("opt 1", config=("profile.release.opt-level=1",))
    yield Build("one unit", config=("profile.release.codegen-units=1",))
    yield Build("v0 names", rustflags="-C symbol-mangling-version=v0")
    yield Build("frame pointers", rustflags="-C force-frame-pointers=yes")
    yield Build("native", rustflags="-C target-cpu=native")


def _stripped() -> Iterator[Build]:
    yield Build("stripped", strip=True)
    yield Build("stripped, fat lto, abort", strip=True, config=(*LTO, *ABORT))
    yield Build("stripped, tokio 1.25", "1.25.3", strip=True)
    yield Build("stripped, tokio 1.38", "1.38.2", strip=True)
    yield Build("stripped, large thread-locals", strip=True, features="large")
    no_sections = ("llvm-objcopy-19", "--strip-sections")
    yield Build("no section headers", strip=True, after=no_sections, needs="llvm-objcopy-19")
    yield Build("mold", rustflags="-C link-arg=-fuse-ld=mold", needs="mold")
    yield Build("mold, stripped", rustflags="-C link-arg=-fuse-ld=mold", needs="mold", strip=True)
    yield Build("lld", rustflags="-C link-arg=-fuse-ld=lld", needs="ld.lld")
    yield Build("gold", rustflags="-C link-arg=-fuse-ld=gold", needs="ld.gold")
    yield Build("bfd", rustflags="-C link-arg=-fuse-ld=bfd", needs="ld.bfd")
    yield Build("not position independent", rustflags="-C relocation-model=static")
    yield Build("static glibc", rustflags="-C target-feature=+crt-static")
    yield Build("relr", rustflags="-C link-arg=-Wl,-z,pack-relative-relocs")
    yield Build("no unwind tables", rustflags="-C force-unwind-tables=no", config=ABORT)


def _paths_and_compilers() -> Iterator[Build]:
    yield Build("vendored", vendored=True)
    yield Build("vendored, stripped", vendored=True, strip=True)
    yield Build("remapped paths", rustflags=remapped())
    yield Build("remapped paths, stripped", rustflags=remapped(), strip=True)
    detail = "-Z location-detail=none"
    yield Build("no locations", rustflags=detail, toolchain=NIGHTLY)
    yield Build("nightly", toolchain=NIGHTLY)
    yield Build("rust of Debian 12", "1.38.2", toolchain=DEBIAN)
    yield Build("rust of Debian 12, stripped", "1.38.2", toolchain=DEBIAN, strip=True)
    yield Build("musl", toolchain=MUSL)
    yield Build("musl, stripped", toolchain=MUSL, strip=True)


def _starts() -> Iterator[Build]:
    yield Build("by ld.so", start="loader")
    yield Build("by ld.so, stripped", start="loader", strip=True)
    yield Build("shared object", start="object")
    yield Build("shared object, stripped", start="object", strip=True)
    yield Build("late shared object", start="late")


def builds() -> list[Build]:
    parts = (_versions, _profiles, _stripped, _paths_and_compilers, _starts)
    return [build for part in parts for build in part()]
