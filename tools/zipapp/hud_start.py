"""Finds the zipapp's unpacked tree, or has it unpacked, and runs hud from there.

Terms: *tree*, the contents of the archive for one platform as ordinary files, so that native
libraries load and byte code is kept between starts; *tag*, the platform as CPython names it in the
file names of extension modules (``cpython-312-x86_64-linux-gnu``); *cache*, the directory that
holds trees: ``~/.cache/hud``, for root its own home's whatever the environment says, because the
environment of sudo may be another user's.

What is imported from a cache runs with hud's privileges. So nobody else may be able to write to
it: the cache and the tree belong to the effective user, are real directories, and no ancestor lets
another user replace them. Inside such a directory nobody else can put a file, so the files' sizes
are compared only to notice a tree that a crash or a full disk left damaged. The tree's name
contains the hash of the archive's contents.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

SIZES = ".sizes"
NATIVE = ("msgspec", "capstone")


class UntrustedError(Exception):
    """A directory that cannot hold code which hud runs, with the reason."""


def start(contents: str) -> int:
    """Run hud's command line from the tree that belongs to ``contents``; its exit code."""
    try:
        root = tree(contents)
    except (UntrustedError, OSError) as error:
        sys.stderr.write(f"hud: nowhere to unpack: {error}\n")
        sys.stderr.write("hint: set TMPDIR to a private directory on a file system with space\n")
        return 4
    sys.path[0] = str(root)
    if not all((root / name).is_dir() for name in NATIVE):
        from importlib.util import find_spec

        missing = [name for name in NATIVE if find_spec(name) is None]
        if missing:
            python = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
            wanted = " ".join(missing)
            sys.stderr.write(
                f"hud: no {' and no '.join(missing)} wheel inside for "
                f"{python.replace('cpython', 'CPython')} on {os.uname().machine} ({tag()})\n"
                "hint: install it with pip, hud then uses it: "
                f"sudo python3 -m pip install {wanted}\n"
            )
            return 4
    from hud.cli import main

    exit_code: int = main()
    return exit_code


def tag() -> str:
    """The platform of this interpreter, as in ``msgspec/_core.<tag>.so``."""
    from importlib.machinery import EXTENSION_SUFFIXES

    return EXTENSION_SUFFIXES[0].removeprefix(".").removesuffix(".so")


def tree(contents: str) -> Path:
    """A complete, trusted tree; a temporary one when no cache can be used."""
    name = f"{contents}-{tag()}"
    refusals = []
    for cache in caches():
        path = cache / name
        try:
            if os.path.lexists(cache):
                check_own(cache)
                if os.path.lexists(path):
                    check_own(path)
                    if is_complete(path):
                        mark_used(path)
                        return path
            import hud_unpack

            return hud_unpack.into_cache(cache, name)
        except UntrustedError as error:
            refusals.append(str(error))
        except OSError as error:
            refusals.append(f"{cache}: {(error.strerror or str(error)).lower()}")
    import hud_unpack

    sys.stderr.write(f"hud: note: unpacking at every start: {'; '.join(refusals)}\n")
    return hud_unpack.into_temporary(name)


def caches() -> list[Path]:
    """Where trees may be kept, the best place first."""
    if os.geteuid() == 0:
        return [home() / ".cache" / "hud", Path("/var/cache/hud")]
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        base = Path(os.environ.get("HOME") or home()) / ".cache"
    return [base / "hud"]


def home() -> Path:
    """The effective user's home by the user database; ``/`` for a user it does not know."""
    import pwd

    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir or "/")
    except KeyError:
        return Path("/")


def check_own(path: Path) -> None:
    """Raise UntrustedError unless ``path`` is a directory that only this user can change."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise UntrustedError(f"{path} is a symbolic link")
    if not stat.S_ISDIR(status.st_mode):
        raise UntrustedError(f"{path} is not a directory")
    if status.st_uid != os.geteuid():
        raise UntrustedError(f"{path} belongs to user {status.st_uid}, not {os.geteuid()}")
    if status.st_mode & 0o022:
        raise UntrustedError(f"{path} can be written by others")
    check_ancestors(path)


def check_ancestors(path: Path) -> None:
    """Raise UntrustedError when another user could replace ``path``, or code cannot run there."""
    above = path.parent.resolve()
    if os.statvfs(above).f_flag & os.ST_NOEXEC:
        raise UntrustedError(f"{above} is mounted noexec")
    # In a user namespace, root of the host is "nobody", and so is the owner of /.
    trusted = {0, os.geteuid(), Path("/").stat().st_uid}
    for ancestor in (above, *above.parents):
        status = ancestor.stat()
        if status.st_uid not in trusted:
            raise UntrustedError(f"{ancestor} belongs to user {status.st_uid}")
        if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
            raise UntrustedError(f"{ancestor} can be written by others")


def mark_used(path: Path) -> None:
    """Keep ``path`` from counting as unused; a cache that cannot be written may be used too."""
    with contextlib.suppress(OSError):
        os.utime(path)


def is_complete(path: Path) -> bool:
    """True when every file that was unpacked into ``path`` is there with its size."""
    try:
        lines = (path / SIZES).read_text(encoding="utf-8").split("\n")
        # The last line is an empty one: a listing cut short does not pass for a whole one.
        for line in lines[:-1]:
            size, _, name = line.partition(" ")
            if os.lstat(f"{path}/{name}").st_size != int(size):
                return False
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    return lines[-1] == "" and len(lines) > 1
