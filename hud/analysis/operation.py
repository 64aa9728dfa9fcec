"""The library call that a blamed frame made, as people know it.

*Plumbing* are std's own call-throughs, which explain nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from hud.analysis.frameworks import is_framework, passes_on
from hud.model import Frame, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLUMBING = re.compile(
    r"""^<?(?:&(?:mut\ )?)?(?:[A-Z]\w*\ as\ )?
        (?:core::ops::function | core::panic:: | std::panic | core::iter:: | core::option:: |
        core::result:: | core::pin:: | core::future:: | core::task:: | std::thread::local:: |
        core::mem:: | core::convert:: | alloc::boxed:: |
        alloc::vec::(?:spec_|in_place_|into_iter::) )
        | ^<alloc::vec::Vec<.*>\ as\ alloc::vec::spec_
        | __rust_begin_short_backtrace | ^__rustc:: | ^__r(ust|dl|g)_""",
    re.VERBOSE,
)
SLOW_PATH = re.compile(r"^(?:<?parking_lot|lock_api|parking_lot_core)::.*_slow$")
"""Of a lock, behind the fast one that is inlined."""
_KEPT = 16_384
"""The same names come again and again."""
_INSIDE_STD = re.compile(
    r"^<?(?:core|alloc|hashbrown|std::(?:sys|sys_common|alloc|panicking|rt))::"
)


def operation(frames: Sequence[Frame], at: int, *, users: bool) -> str:
    """The call that the blamed frame at ``at`` made, ``~`` before an inferred name.

    Where that only passes a call on, ``first ... last``; the last where the frame is not the
    ``users``: nobody calls there what a library calls inside.
    """
    telling = _telling(frames, at)
    if not telling:
        calls = _calls(frames, at)
        return _named(calls[-1]) if calls else ""
    first, last = (_into_python(call, telling) for call in (telling[-1], _last(telling)))
    if not users:
        return _named(last)
    if first.origin is Origin.STD:  # its generic code, which calls a library
        foreign = (one for one in reversed(telling) if one.origin is Origin.DEPENDENCY)
        last = next(foreign, first)
    elif not (is_framework(first) or passes_on(first)):
        last = first
    return _named(first) if last is first else f"{_briefly(first)} ... {_briefly(last)}"


def _calls(frames: Sequence[Frame], at: int) -> list[Frame]:
    """Those inside of the blamed frame that have a name of their own, innermost first."""
    return [
        frame
        for frame, caller in pairwise(frames[: at + 1])
        if frame.function and frame.origin is not Origin.KERNEL and not _is_merged(frame, caller)
    ]


def _telling(frames: Sequence[Frame], at: int) -> list[Frame]:
    """Those of them that say what was called."""
    macros = f"{frames[at].function}::{{closure}}"
    # a place that the poll around it has too is one of a helper that is inlined everywhere
    everywhere = {one.function for one in frames[at:] if one.inferred}
    found = [
        one
        for one in _calls(frames, at)
        if not (_plumbing(one) or one.function == macros)
        and not (one.inferred and one.function in everywhere)
    ]
    return [one for one in found if not _is_stds_helper(one)] or found


_HELPERS = re.compile(r"^(?:core|alloc|hashbrown)/src/")


def _is_stds_helper(call: Frame) -> bool:
    """Is it known by a place in std's generic code alone, which is inlined into everybody's?"""
    return call.inferred and _HELPERS.match(call.function) is not None


_READS_OR_WRITES = re.compile(
    r"^<&?std::(?:fs::File|(?:os::unix::)?net::(?:\w+::)?\w+Stream)"
    r" as std::io::(?:Read|Write)>::\w+$"
)


def _is_merged(call: Frame, caller: Frame) -> bool:
    """Is it mio's read or write of a socket, a pipe or an eventfd, under a name that may be a
    file's or another socket's, whose code is the same? mio's own name says which."""
    mios = caller.origin is Origin.RUNTIME and "mio::" in caller.function
    return mios and _READS_OR_WRITES.match(call.function) is not None


_BINDING = re.compile(r"pyo3(?: |$)")
_PYTHON_API = re.compile(r"Py[A-Z]\w*_[A-Z]\w*$")


def _into_python(call: Frame, calls: Sequence[Frame]) -> Frame:
    """Of a place in pyo3 without a name the function of Python's that it called."""
    if not (call.inferred and _BINDING.match(call.crate)):
        return call
    inside = calls[: calls.index(call)]
    return next((one for one in reversed(inside) if _PYTHON_API.match(one.function)), call)


def _last(calls: Sequence[Frame]) -> Frame:
    """The innermost call that people know: not what std and the C library do inside."""
    for frame in calls:
        if frame.origin is Origin.C or (
            frame.origin is Origin.STD and _INSIDE_STD.search(frame.function)
        ):
            continue
        return frame
    return calls[-1]


_PUBLIC = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^std::thread::functions::(\w+)$", r"std::thread::\1"),
        (r"^(std::fs::\w+)::inner$", r"\1"),
        (r"^std::sys::sync::mutex::\w+::Mutex::lock_contended$", "std::sync::Mutex::lock"),
        (r"^std::sys::sync::rwlock::\w+::RwLock::(\w+)_contended$", r"std::sync::RwLock::\1"),
        (r"^std::sys::sync::condvar::\w+::Condvar::(\w+)$", r"std::sync::Condvar::\1"),
        (r"^std::sys::sync::once::\w+::Once::call$", "std::sync::Once::call_once"),
        (r"^std::sync::poison::(?:\w+::)?(Mutex|RwLock|Condvar|Once)", r"std::sync::\1"),
    )
)
"""Functions of std by the paths under which people call them."""


def _named(call: Frame) -> str:
    name = _public(call.function) if call.origin is Origin.STD else call.function
    return ("~" if call.inferred else "") + name


@lru_cache(maxsize=_KEPT)
def _public(name: str) -> str:
    for pattern, public in _PUBLIC:
        name = pattern.sub(public, name)
    return name


_INNERMOST_GENERICS = re.compile(r"<[^<>]*>")


def _briefly(call: Frame) -> str:
    """``tokio::time::timeout::Timeout::poll`` of ``<..Timeout<T> as ..Future>::poll``."""
    name, before = call.function.replace("->", ""), ""
    if name.startswith("<"):
        name = _of_its_type(name)
    while before != name and not name.startswith("<"):
        before, name = name, _INNERMOST_GENERICS.sub("", name)
    return ("~" if call.inferred else "") + name.replace("::::", "::")


def _of_its_type(name: str) -> str:
    """``T::method`` of ``<T as Trait>::method``."""
    for found in re.finditer(" as ", name):
        kind = name[1 : found.start()].removeprefix("&").removeprefix("mut ")
        if kind.count("<") == kind.count(">"):
            return f"{kind}::{name.rpartition('>::')[2]}"
    return name


def _plumbing(frame: Frame) -> bool:
    return _is_plumbing(frame.function, frame.origin is Origin.STD)


@lru_cache(maxsize=_KEPT)
def _is_plumbing(function: str, std: bool) -> bool:
    return bool((_PLUMBING if std else SLOW_PATH).search(function))
