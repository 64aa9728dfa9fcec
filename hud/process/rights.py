"""Who called sudo, and the file rights of an ordinary user for one thread of hud.

File rights are what decides which files may be opened: file system user and group id and the
supplementary groups (credentials(7)). Taking those of a user drops CAP_DAC_OVERRIDE and its like
as well (capabilities(7)), and all of it for the calling thread alone.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

SYS_SETGROUPS = {"x86_64": 116, "aarch64": 159}
"""The bare system call: the C library's function changes all threads of the process."""
MOST_GROUPS = 65_536
"""NGROUPS_MAX, linux/limits.h."""
_ID = re.compile(r"[0-9]{1,10}")
_LARGEST_ID = (1 << 31) - 1


class User(NamedTuple):
    """Whose rights."""

    uid: int
    gid: int


NOBODY = User(65534, 65534)


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


def take_file_rights(user: User) -> None:
    """Give the calling thread the file rights of a user, for good; OSError where that fails."""
    import ctypes

    groups = _groups(user)[:MOST_GROUPS]
    libc = ctypes.CDLL(None, use_errno=True)
    number = SYS_SETGROUPS.get(os.uname().machine)
    if number is None:
        raise OSError(0, f"setgroups on {os.uname().machine} is not known")
    array = (ctypes.c_uint32 * len(groups))(*groups)
    if libc.syscall(ctypes.c_long(number), ctypes.c_long(len(groups)), array):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for change, wanted in ((libc.setfsgid, user.gid), (libc.setfsuid, user.uid)):
        change(ctypes.c_uint32(wanted))
        # it returns no error, but the id before; one that cannot be only asks
        if change(ctypes.c_uint32(0xFFFFFFFF)) != wanted:
            raise OSError(0, "file rights cannot be changed")


def _groups(user: User) -> list[int]:
    import pwd

    try:
        return os.getgrouplist(pwd.getpwuid(user.uid).pw_name, user.gid)
    except KeyError:
        return [user.gid]
