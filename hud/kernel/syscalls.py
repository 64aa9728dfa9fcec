"""One function, one system call: bpf(2), perf_event_open(2) and the ioctls of a perf event.

An attr is a structure of :mod:`hud.kernel.uapi`. Descriptors go in as numbers and come out as
:class:`~hud.kernel.fd.Fd`. Every function raises OSError with the kernel's errno.
"""

from __future__ import annotations

import ctypes
import errno
import os
from ctypes import addressof, byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p, sizeof
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hud.errors import KernelError
from hud.kernel import uapi
from hud.kernel.fd import Fd

if TYPE_CHECKING:
    from collections.abc import Sequence

LOAD_ATTEMPTS = 5
"""BPF_PROG_LOAD ends with EAGAIN when a signal arrives during verification."""


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = c_long
    return libc


@cache
def _number(name: str) -> int:
    machine = os.uname().machine
    numbers = uapi.SYSCALLS.get(machine)
    if numbers is None:
        raise KernelError(
            f"processor {machine} not supported", hint="hud runs on x86_64 and aarch64"
        )
    return numbers[name]


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _bpf(command: int, attr: ctypes.Structure) -> int:
    return _checked(
        _libc().syscall(c_long(_number("bpf")), c_int(command), byref(attr), c_uint(sizeof(attr)))
    )


# --------------------------------------------------------------------------- maps


def map_create(
    map_type: int,
    key_size: int,
    value_size: int,
    max_entries: int,
    *,
    flags: int = 0,
    name: str = "",
    extra: int = 0,
) -> Fd:
    attr = uapi.bpf_attr_map_create(
        map_type=map_type,
        key_size=key_size,
        value_size=value_size,
        max_entries=max_entries,
        map_flags=flags,
        map_name=object_name(name),
        map_extra=extra,
    )
    return Fd(_bpf(uapi.BPF_MAP_CREATE, attr))


def map_lookup(fd: int, key: bytes, value: ctypes.Array[Any]) -> None:
    """Read the value of ``key`` into ``value``; errno ENOENT = no such key."""
    attr = uapi.bpf_attr_map_elem(map_fd=fd, key=_address(key), value=addressof(value))
    _bpf(uapi.BPF_MAP_LOOKUP_ELEM, attr)


def map_update(fd: int, key: bytes | None, value: bytes, flags: int = uapi.BPF_ANY) -> None:
    attr = uapi.bpf_attr_map_elem(
        map_fd=fd, key=0 if key is None else _address(key), value=_address(value), flags=flags
    )
    _bpf(uapi.BPF_MAP_UPDATE_ELEM, attr)


def map_delete(fd: int, key: bytes) -> None:
    _bpf(uapi.BPF_MAP_DELETE_ELEM, uapi.bpf_attr_map_elem(map_fd=fd, key=_address(key)))


def map_get_next_key(fd: int, key: bytes | None, following: ctypes.Array[Any]) -> None:
    """Write the key after ``key`` (None: the first) into ``following``; ENOENT = no more."""
    attr = uapi.bpf_attr_map_elem(
        map_fd=fd, key=0 if key is None else _address(key), value=addressof(following)
    )
    _bpf(uapi.BPF_MAP_GET_NEXT_KEY, attr)


def map_freeze(fd: int) -> None:
    _bpf(uapi.BPF_MAP_FREEZE, uapi.bpf_attr_map_elem(map_fd=fd))


def map_lookup_batch(
    fd: int,
    cursor: ctypes.Array[Any] | None,
    following: ctypes.Array[Any],
    keys: ctypes.Array[Any],
    values: ctypes.Array[Any],
    count: int,
) -> tuple[int, bool]:
    """Read up to ``count`` elements after ``cursor`` (None: from the start).

    Returns how many were read and whether these were the last. ``following`` receives the next
    cursor. errno ENOSPC = a hash bucket holds more than ``count``.
    """
    attr = uapi.bpf_attr_batch(
        in_batch=0 if cursor is None else addressof(cursor),
        out_batch=addressof(following),
        keys=addressof(keys),
        values=addressof(values),
        count=count,
        map_fd=fd,
    )
    try:
        _bpf(uapi.BPF_MAP_LOOKUP_BATCH, attr)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return attr.count, True
    return attr.count, False


def map_update_batch(fd: int, keys: bytes, values: bytes, count: int, flags: int = 0) -> int:
    """Write ``count`` elements; returns how many the kernel took."""
    attr = uapi.bpf_attr_batch(
        keys=_address(keys), values=_address(values), count=count, map_fd=fd, elem_flags=flags
    )
    _bpf(uapi.BPF_MAP_UPDATE_BATCH, attr)
    return int(attr.count)


# --------------------------------------------------------------------------- programs and links


class AttachTo(NamedTuple):
    """What a program of some types must name when it is loaded; 0 = nothing."""

    expected_type: int = 0
    btf_id: int = 0


class Functions(NamedTuple):
    """A program's functions: an array of ``struct bpf_func_info``; ``btf_fd`` has their types."""

    btf_fd: int
    records: bytes


def prog_load(
    prog_type: int,
    instructions: bytes,
    license_name: str,
    *,
    name: str = "",
    attach_to: AttachTo = AttachTo(),  # noqa: B008
    functions: Functions | None = None,
    log: ctypes.Array[Any] | None = None,
) -> Fd:
    """Load a program; with ``log`` the verifier writes its report there (ENOSPC = too small)."""
    license_bytes = license_name.encode() + b"\0"
    attr = uapi.bpf_attr_prog_load(
        prog_type=prog_type,
        insn_cnt=len(instructions) // 8,
        insns=_address(instructions),
        license=_address(license_bytes),
        prog_name=object_name(name),
        expected_attach_type=attach_to.expected_type,
        attach_btf_id=attach_to.btf_id,
    )
    if functions is not None:
        attr.prog_btf_fd = functions.btf_fd
        attr.func_info_rec_size = 8
        attr.func_info = _address(functions.records)
        attr.func_info_cnt = len(functions.records) // 8
    if log is not None:
        attr.log_level = 1
        attr.log_size = sizeof(log)
        attr.log_buf = addressof(log)
    for _ in range(LOAD_ATTEMPTS - 1):
        try:
            return Fd(_bpf(uapi.BPF_PROG_LOAD, attr))
        except OSError as error:  # noqa: PERF203
            if error.errno != errno.EAGAIN:
                raise
    return Fd(_bpf(uapi.BPF_PROG_LOAD, attr))


def btf_load(data: bytes) -> Fd:
    """Give types to the kernel, for programs that name them."""
    attr = uapi.bpf_attr_btf_load(btf=_address(data), btf_size=len(data))
    return Fd(_bpf(uapi.BPF_BTF_LOAD, attr))


def raw_tracepoint_open(prog_fd: int, name: str = "") -> Fd:
    """Attach to a raw tracepoint by name; no name for a program loaded with attach_btf_id."""
    text = name.encode() + b"\0"
    attr = uapi.bpf_attr_raw_tracepoint(name=_address(text) if name else 0, prog_fd=prog_fd)
    return Fd(_bpf(uapi.BPF_RAW_TRACEPOINT_OPEN, attr))


def link_create(prog_fd: int, target_fd: int, attach_type: int) -> Fd:
    attr = uapi.bpf_attr_link_create(prog_fd=prog_fd, target_fd=target_fd, attach_type=attach_type)
    return Fd(_bpf(uapi.BPF_LINK_CREATE, attr))


def link_create_uprobe_multi(
    prog_fd: int,
    path: bytes,
    offsets: Sequence[int],
    cookies: Sequence[int],
    *,
    pid: int = 0,
    flags: int = 0,
) -> Fd:
    """Attach to instructions of the file ``path``, with a cookie each; ``pid`` 0 = everywhere."""
    places = (ctypes.c_uint64 * len(offsets))(*offsets)
    labels = (ctypes.c_uint64 * len(offsets))(*cookies)
    attr = uapi.bpf_attr_link_create_uprobe_multi(
        prog_fd=prog_fd,
        attach_type=uapi.BPF_TRACE_UPROBE_MULTI,
        path=_address(path),
        offsets=addressof(places),
        cookies=addressof(labels),
        cnt=len(offsets),
        multi_flags=flags,
        pid=pid,
    )
    return Fd(_bpf(uapi.BPF_LINK_CREATE, attr))


def enable_stats(kind: int = uapi.BPF_STATS_RUN_TIME) -> Fd:
    """Have the kernel count the runs of programs and their time, until the descriptor is closed."""
    return Fd(_bpf(uapi.BPF_ENABLE_STATS, uapi.bpf_attr_enable_stats(type=kind)))


def obj_get_info(fd: int, info: ctypes.Structure) -> None:
    """Fill ``info`` (for a program: :class:`uapi.bpf_prog_info`)."""
    attr = uapi.bpf_attr_info(bpf_fd=fd, info_len=sizeof(info), info=addressof(info))
    _bpf(uapi.BPF_OBJ_GET_INFO_BY_FD, attr)


def prog_get_next_id(start: int) -> int:
    """The smallest program id above ``start``; errno ENOENT = none."""
    attr = uapi.bpf_attr_get_id(start_id=start)
    _bpf(uapi.BPF_PROG_GET_NEXT_ID, attr)
    return int(attr.next_id)


# --------------------------------------------------------------------------- perf events


def perf_event_open(attr: uapi.perf_event_attr, pid: int, cpu: int) -> Fd:
    """Open a perf event on one thread (``pid`` -1: every one) and CPU (-1: any)."""
    attr.size = sizeof(attr)
    return Fd(
        _checked(
            _libc().syscall(
                c_long(_number("perf_event_open")),
                byref(attr),
                c_int(pid),
                c_int(cpu),
                c_int(-1),
                c_ulong(uapi.PERF_FLAG_FD_CLOEXEC),
            )
        )
    )


def perf_event_enable(fd: int) -> None:
    _checked(_libc().ioctl(c_int(fd), c_ulong(uapi.PERF_EVENT_IOC_ENABLE), c_ulong(0)))


def perf_event_set_bpf(fd: int, prog_fd: int) -> None:
    _checked(_libc().ioctl(c_int(fd), c_ulong(uapi.PERF_EVENT_IOC_SET_BPF), c_ulong(prog_fd)))


# --------------------------------------------------------------------------- arguments


def object_name(name: str) -> bytes:
    """``name`` as the kernel takes it: 15 characters of ``[A-Za-z0-9_.]``."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "_" for c in name)
    return kept[: uapi.BPF_OBJ_NAME_LEN - 1].encode()


def _address(data: bytes) -> int:
    # The caller holds ``data`` across the system call, and a bytes object never moves.
    return ctypes.cast(c_char_p(data), c_void_p).value or 0
