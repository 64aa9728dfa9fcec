"""Unpacks the zipapp's contents for this platform: into a cache, or for one run only.

The archive holds parts, each a directory of files that all land in one tree: ``common`` for every
platform, ``native`` (the Python files of packages with native libraries), ``x86_64`` or
``aarch64``, and one named by the tag for the extension modules of one CPython. A tag without a part
of its own gets ``common`` only.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import stat
import tempfile
import time
import zipfile
from pathlib import Path

from hud_start import SIZES, UntrustedError, check_ancestors, check_own, is_complete, tag

MACHINES = ("x86_64", "aarch64")
UNUSED_DAYS = 30
UNPACKING = ".unpacking-"
"""Then the number of the process that does it, and something that is unique."""


def into_cache(cache: Path, name: str) -> Path:
    """Unpack as ``cache/name`` and return that path; another start may do the same meanwhile.

    Raises UntrustedError or OSError when the cache cannot be used.
    """
    cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_ancestors(cache)
    with contextlib.suppress(FileExistsError):
        cache.mkdir(0o700)
    check_own(cache)
    remove_unused(cache)
    target = cache / name
    scratch = Path(tempfile.mkdtemp(prefix=f"{UNPACKING}{os.getpid()}-", dir=cache))
    damaged = scratch.with_name(scratch.name + ".damaged")
    try:
        unpack(scratch)
        if os.path.lexists(target) and not is_complete(target):
            target.rename(damaged)
        scratch.rename(target)
    except OSError:
        # The other start has won when its tree is there and whole.
        if not is_complete(target):
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(damaged, ignore_errors=True)
    check_own(target)
    return target


def into_temporary(name: str) -> Path:
    """Unpack into a new private directory that goes away when this process ends."""
    refusals = []
    for base in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", "/run")):
        try:
            check_ancestors(Path(base) / name)
            scratch = Path(tempfile.mkdtemp(prefix="hud-", dir=base))
        except (UntrustedError, OSError) as error:
            refusals.append(str(error))
            continue
        atexit.register(remove, scratch, os.getpid())
        unpack(scratch)
        return scratch
    raise UntrustedError("; ".join(refusals))


def remove(directory: Path, owner: int) -> None:
    """Remove ``directory`` in process ``owner`` only: a forked child inherits the exit hook."""
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)


def unpack(target: Path) -> None:
    """Write this platform's files and, last, the list of their sizes below ``target``."""
    sizes = []
    with zipfile.ZipFile(Path(__file__).parent.resolve()) as archive:
        members = archive.infolist()
        known = {member.filename.split("/", 1)[0] for member in members}
        parts = ["common"]
        if tag() in known:
            parts += ["native", *(m for m in MACHINES if f"-{m}-" in tag()), tag()]
        for member in members:
            part, _, name = member.filename.partition("/")
            if part not in parts:
                continue
            path = target / name
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            mode = stat.S_IMODE(member.external_attr >> 16) & 0o755
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(archive.read(member))
            sizes.append(f"{member.file_size} {name}\n")
    (target / SIZES).write_text("".join(sizes), encoding="utf-8")


def remove_unused(cache: Path) -> None:
    """Remove what earlier versions left in ``cache`` and nobody has started for a month, and what
    a start left that was killed."""
    horizon = time.time() - UNUSED_DAYS * 86400
    for entry in os.scandir(cache):
        if entry.is_dir(follow_symlinks=False) and (
            entry.stat().st_mtime < horizon or is_left_over(entry.name)
        ):
            shutil.rmtree(entry.path, ignore_errors=True)


def is_left_over(name: str) -> bool:
    """Is it of an unpacking whose process is gone?"""
    pid = name.removeprefix(UNPACKING).partition("-")[0]
    return name.startswith(UNPACKING) and not (pid.isdecimal() and Path(f"/proc/{pid}").exists())
