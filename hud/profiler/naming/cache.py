"""Caches on disk what was read from files, for the next start: private, bounded, and checked.

A key stands for one state of one file; each entry is a file of its own. The directory is
``~/.cache/hud/modules``, for root its own home's whatever the environment says. Nobody else may be
able to write there: it belongs to the effective user, is no link, and no ancestor lets another user
replace it; else there is no cache. An entry that is damaged is removed and counts as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from hud import __version__, resolver

LIMIT = 256 << 20
"""Bytes, with what is being written; the entries that were not used for longest go first."""
NEW = ".new-"
"""Then the number of the process that writes it, and something that is unique."""
ENTRY_LIMIT = 80 << 20
HEAD = 4096
"""Bytes of a file that are part of its key; linkers put the build id there."""
SMALL = 1 << 20
MAGIC = b"hud-mod1"


def default_directory() -> Path:
    """Where the cache is, whether or not it can be used."""
    import pwd

    base = Path(os.environ.get("XDG_CACHE_HOME", "")) if os.geteuid() else Path()
    if not base.is_absolute():
        home = os.environ.get("HOME", "") if os.geteuid() else ""
        if not home:
            try:
                home = pwd.getpwuid(os.geteuid()).pw_dir
            except KeyError:
                home = "/"
        base = Path(home or "/") / ".cache"
    return base / "hud" / "modules"


class Cache:
    """Entries by key and kind. Where the directory cannot be trusted, one that stores nothing."""

    def __init__(self, directory: Path | None, limit: int = LIMIT) -> None:
        """``directory``: None = none. It is made, mode 0700, when it is not there."""
        self.limit = limit
        self.refusal = "" if directory is None else _prepare(directory)
        self._directory = directory if not self.refusal else None
        self._scratch: Path | None = None
        self._reserved = 0
        """Bytes that it may grow to."""
        if self._directory is not None:
            _remove_left_over(self._directory)
        self._size = -1
        self._parsers = b""

    def __bool__(self) -> bool:
        return self._directory is not None

    def of_root(self) -> Cache | None:
        """Itself, where none but root can write to it: fit for what gains rights when it is loaded.

        The cache of a user is written to by programs of his that have no capabilities, too.
        """
        return self if self and os.geteuid() == 0 else None

    def key(self, descriptor: int) -> str:
        """The key of an open file's present state; empty without a cache.

        Who could make another file with the same key could write to that file system's device: a
        user can set neither the inode nor the time of change. Copies in memory go by content.
        """
        if self._directory is None:
            return ""
        self._parsers = self._parsers or _parsers()
        digest = hashlib.sha256(self._parsers)
        try:
            status = os.fstat(descriptor)
            if status.st_nlink:
                numbers = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
                digest.update(repr((*numbers, status.st_size)).encode())
                digest.update(os.pread(descriptor, HEAD, 0))
            elif status.st_size <= SMALL:
                digest.update(os.pread(descriptor, SMALL, 0))
            else:
                return ""
        except OSError:
            return ""
        return digest.hexdigest()[:40]

    def load(self, key: str, kind: str) -> bytes | None:
        """The entry's content, or None."""
        if not key or self._directory is None:
            return None
        path = self._directory / f"{key}.{kind}"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            content = b""
            if _is_ours(status) and status.st_size <= ENTRY_LIMIT:
                with contextlib.suppress(OSError):
                    content = file.read(ENTRY_LIMIT + 1)
        head = len(MAGIC) + 32
        payload = content[head:]
        if content[:head] != MAGIC + hashlib.sha256(payload).digest():
            self.remove(path.name)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return payload

    def store(self, key: str, kind: str, payload: bytes) -> None:
        """Store it, if there is room; a crash leaves the old entry or the new one, whole."""
        if not key or self._directory is None or len(payload) + 40 > min(ENTRY_LIMIT, self.limit):
            return
        content = MAGIC + hashlib.sha256(payload).digest() + payload
        with contextlib.suppress(OSError):
            self._make_room(len(content))
            descriptor, scratch = _new_file(self._directory)
            try:
                with open(descriptor, "wb") as file:
                    file.write(content)
                Path(scratch).replace(self._directory / f"{key}.{kind}")
            except OSError:
                Path(scratch).unlink()
                raise

    def remove(self, name: str) -> None:
        """Forget what turned out to be of no use."""
        if self._directory is not None:
            with contextlib.suppress(OSError):
                (self._directory / name).unlink()

    # ------------------------------------------------------------------ whole files

    def open(self, name: str) -> int | None:
        """A read-only descriptor of a file stored under a plain name, or None."""
        if self._directory is None:
            return None
        path = self._directory / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        if not _is_ours(os.fstat(descriptor)):
            os.close(descriptor)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return descriptor

    def scratch(self, most: int) -> int | None:
        """A file of up to ``most`` bytes to write to, the caller's; then ``keep`` or ``discard``.

        One at a time. None where it cannot be.
        """
        if self._directory is None or self._scratch is not None or most > self.limit:
            return None
        try:
            self._make_room(most)
            descriptor, path = _new_file(self._directory)
        except OSError:
            return None
        self._scratch, self._reserved = Path(path), most
        return descriptor

    def keep(self, name: str) -> None:
        """Give what was written its name."""
        if self._scratch is not None and self._directory is not None:
            with contextlib.suppress(OSError):
                self._scratch.replace(self._directory / name)
        self.discard()

    def discard(self) -> None:
        """What was written is of no use, if anything was."""
        if self._scratch is not None:
            with contextlib.suppress(OSError):
                self._scratch.unlink(missing_ok=True)
        self._scratch, self._reserved = None, 0

    def _make_room(self, size: int) -> None:
        assert self._directory is not None
        entries = []
        with os.scandir(self._directory) as listing:
            for entry in listing:
                status = entry.stat(follow_symlinks=False)
                own = self._scratch is not None and entry.name == self._scratch.name
                if stat.S_ISREG(status.st_mode) and not own:
                    entries.append((status.st_mtime_ns, status.st_size, entry.path))
        entries.sort()
        total = sum(entry[1] for entry in entries) + size + self._reserved
        for _, length, path in entries:
            if total <= self.limit:
                break
            Path(path).unlink(missing_ok=True)
            total -= length


def _new_file(directory: Path) -> tuple[int, str]:
    """A descriptor and the path of a file that is being written."""
    from tempfile import mkstemp

    return mkstemp(prefix=f"{NEW}{os.getpid()}-", dir=directory)


def _remove_left_over(directory: Path) -> None:
    """What processes were writing that are gone."""
    with os.scandir(directory) as listing:
        names = [entry.name for entry in listing if entry.name.startswith(NEW)]
    for name in names:
        pid = name.removeprefix(NEW).partition("-")[0]
        if not (pid.isdecimal() and Path(f"/proc/{pid}").exists()):
            with contextlib.suppress(OSError):
                (directory / name).unlink()


def _is_ours(status: os.stat_result) -> bool:
    private = status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return stat.S_ISREG(status.st_mode) and private


def _parsers() -> bytes:
    """A digest of the code that reads files: what another version of it stored does not count."""
    digest = hashlib.sha256(__version__.encode())
    for package in ("resolver", "symbols"):
        for path in sorted((Path(resolver.__path__[0]).parent / package).rglob("*.py")):
            with contextlib.suppress(OSError):
                digest.update(path.read_bytes())
    return digest.digest()


def _prepare(directory: Path) -> str:
    """Make the directory if need be; why it cannot be used, or empty."""
    try:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            directory.mkdir(0o700)
        for path in (directory, directory.parent):
            status = path.lstat()
            if not stat.S_ISDIR(status.st_mode):
                return f"{path} is not a directory"
            if status.st_uid != os.geteuid():
                return f"{path} belongs to user {status.st_uid}"
            if status.st_mode & 0o022:
                return f"{path} can be written by others"
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
        trusted = {0, os.geteuid(), Path("/").stat().st_uid}
        for ancestor in directory.parent.resolve().parents:
            status = ancestor.stat()
            if status.st_uid not in trusted:
                return f"{ancestor} belongs to user {status.st_uid}"
            if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
                return f"{ancestor} can be written by others"
    except OSError as error:
        return f"{directory}: {(error.strerror or str(error)).lower()}"
    return ""
