"""Who called sudo, and the file rights of somebody else for one thread of hud.

File rights are what decides which files may be opened: file system user and group id and the
supplementary groups (credentials(7)), and the capabilities that override them (capabilities(7)).
Linux has them for each thread.
"""

from __future__ import annotations

import os
import re
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hud.process.procfs import PROC, read_text

if TYPE_CHECKING:
    import ctypes

SYS_SETGROUPS = {"x86_64": 116, "aarch64": 159}
"""The bare system call: the C library's function changes all threads of the process."""
MOST_GROUPS = 65_536
"""NGROUPS_MAX, linux/limits.h."""
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SETGID, CAP_SETUID = 1, 2, 6, 7
"""linux/capability.h."""
_LINUX_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES = struct.Struct("<6I")
"""Effective, permitted, inheritable; the lower half of each, then the upper."""
_ID = re.compile(r"[0-9]{1,10}")
_LARGEST_ID = (1 << 31) - 1

_Found = TypeVar("_Found")


class User(NamedTuple):
    """Whose rights."""

    uid: int
    gid: int


NOBODY = User(65534, 65534)


class FileRights(NamedTuple):
    """What decides which files may be opened."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def invoking_user() -> User | None:
    """Who called sudo: what hud writes belongs to them, and it opens only what they may read.

    None where hud has no more rights than who started it, where that is root, and where the
    variables of sudo(8) make no sense.
    """
    uid, gid = _id("SUDO_UID"), _id("SUDO_GID")
    return User(uid, gid) if uid and gid is not None and os.geteuid() == 0 else None


def ordinary_user() -> User | None:
    """Whom a child of root is to become: who called sudo, else nobody; None if hud is not root."""
    if os.geteuid() != 0:
        return None
    user = invoking_user()
    return user if user and user.gid else NOBODY


def _id(variable: str) -> int | None:
    text = os.environ.get(variable, "")
    number = int(text) if _ID.fullmatch(text) else _LARGEST_ID + 1
    return number if number <= _LARGEST_ID else None


def rights_of(user: User) -> FileRights:
    """Those of a user, with the groups that the system's database has."""
    import pwd

    try:
        groups = os.getgrouplist(pwd.getpwuid(user.uid).pw_name, user.gid)
    except KeyError:
        groups = [user.gid]
    return FileRights(*user, tuple(groups[:MOST_GROUPS]))


def owners_rights(pid: int, proc: Path = PROC) -> FileRights:
    """Those of a process itself; OSError where it is gone."""
    fields = dict(
        line.split(":", 1)
        for line in read_text(proc / str(pid) / "status").splitlines()
        if line.startswith(("Uid:", "Gid:", "Groups:"))
    )
    try:
        uid, gid = (int(fields[name].split()[3]) for name in ("Uid", "Gid"))
        return FileRights(uid, gid, tuple(map(int, fields["Groups"].split())))
    except (KeyError, IndexError, ValueError) as error:
        raise OSError(0, f"process {pid}: its user cannot be seen") from error


def holds(capability: int) -> bool:
    """Whether the calling thread may use it (proc(5), CapEff)."""
    status = read_text(PROC / "thread-self" / "status")
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> capability & 1)


def take_file_rights(rights: FileRights) -> None:
    """Give them to the calling thread, which is not root any more when it opens a file.

    Where hud is not root it keeps its user and only loses what would override that. OSError where
    it fails.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        _set_groups(libc, rights.groups)
        for change, wanted in ((libc.setfsgid, rights.gid), (libc.setfsuid, rights.uid)):
            change(ctypes.c_uint32(wanted))
            # it returns no error, but the id before; one that cannot be only asks
            if change(ctypes.c_uint32(0xFFFFFFFF)) != wanted:
                raise OSError(0, "file rights cannot be changed")
    if os.geteuid() or rights.uid:
        _override_nothing(libc)


def with_file_rights(rights: FileRights, act: Callable[[], _Found]) -> _Found:
    """What ``act`` returns or raises when it is called with these rights, by a thread of its own;
    OSError where it cannot have them."""
    returned: list[_Found] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            take_file_rights(rights)
            returned.append(act())
        except BaseException as error:  # noqa: BLE001 (raised again by the caller's thread)
            raised.append(error)

    thread = threading.Thread(target=run, name="hud-rights")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return returned[0]


def _set_groups(libc: ctypes.CDLL, groups: tuple[int, ...]) -> None:
    import ctypes

    number = SYS_SETGROUPS.get(os.uname().machine)
    if number is None:
        raise OSError(0, f"setgroups on {os.uname().machine} is not known")
    array = (ctypes.c_uint32 * len(groups))(*groups)
    if libc.syscall(ctypes.c_long(number), ctypes.c_long(len(groups)), array):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _override_nothing(libc: ctypes.CDLL) -> None:
    import ctypes

    header = struct.pack("<Ii", _LINUX_CAPABILITY_VERSION_3, 0)  # of the calling thread
    held = ctypes.create_string_buffer(_CAPABILITIES.size)
    failed = libc.capget(header, held)
    effective, *others = _CAPABILITIES.unpack(held.raw)
    effective &= ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    if failed or libc.capset(header, _CAPABILITIES.pack(effective, *others)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
