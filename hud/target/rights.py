"""The file rights of an ordinary user for one thread of hud, which stays root otherwise.

Terms: *file rights* are what decides which files may be opened: file system user and group id and
the supplementary groups (credentials(7)). Taking those of a user drops CAP_DAC_OVERRIDE and its
like as well (capabilities(7)), and all of it for the calling thread alone.
"""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

SYS_SETGROUPS = {"x86_64": 116, "aarch64": 159}
"""The bare system call: the C library's function changes all threads of the process."""
MOST_GROUPS = 65_536
"""NGROUPS_MAX, linux/limits.h."""


class User(NamedTuple):
    """Whose rights."""

    uid: int
    gid: int


def invoking_user() -> User | None:
    """Who called sudo; None where hud has no more rights than who started it, or that is root."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() != 0 or not (_is_id(uid) and _is_id(gid)) or int(uid) == 0:
        return None
    return User(int(uid), int(gid))


def take_file_rights(user: User) -> None:
    """Give the calling thread the file rights of a user, for good; OSError where that fails."""
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
        # it tells no error; an id that is none only asks
        if change(ctypes.c_uint32(0xFFFFFFFF)) != wanted:
            raise OSError(0, "file rights cannot be changed")


def _groups(user: User) -> list[int]:
    import pwd

    try:
        return os.getgrouplist(pwd.getpwuid(user.uid).pw_name, user.gid)
    except KeyError:
        return [user.gid]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) < 1 << 31
