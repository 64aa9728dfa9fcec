"""What type of task a stack was in: by the task's vtable, else by the first frame under the poll.

The *poll frames* are Tokio's own, from ``raw::poll`` to the future that was spawned.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hud.analysis.tails import counts
from hud.model import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hud.model import Frame, Stack, TaskKind

_POLL_FRAME = re.compile(
    r"tokio::runtime::(?:task::(?:raw|harness|core)::|\S*worker::Context::run_task)"
)
_POLL_FILE = re.compile(r"tokio-[\w.+-]+/src/runtime/task/(?:raw|harness|core|state)\.rs$")
_TRAIT_METHOD = re.compile(r"<(.+) as core::future::future::Future>::poll")
_BOXED = re.compile(r"~?(?:Pin<)?Box<\(?dyn ")
_GENERICS = re.compile(r"(?<=\w)<.*>(?=::\{)")
_SEEN_THROUGH = re.compile(
    r"<(?:tracing(?:_futures)?::instrument|futures_util|sync_wrapper|tokio_util::task|tower"
    r"|hyper_util::common)::.* as core::future::future::Future>::poll"
)
"""Futures that only hold another one."""
_PLUMBING = (Origin.RUNTIME, Origin.STD, Origin.C)


def type_name(kind: TaskKind | None, stack: Stack | None) -> str:
    """The type of a task, ``~`` before an inferred one; empty = unknown.

    Of a box only the stack says what is in it.
    """
    named = ("~" if kind.inferred else "") + kind.name if kind is not None and kind.name else ""
    if named and not _BOXED.match(named):
        return named
    return (type_of(stack.frames or ()) if stack is not None else "") or named


def joined(types: Mapping[str, int]) -> dict[str, int]:
    """Types with their time, those that a stack has without their generics under their own name
    where only one it can be is there.
    """
    whole: dict[str, list[str]] = {}
    for name in types:
        plain = _GENERICS.sub("", name)
        if plain != name:
            whole.setdefault(plain, []).append(name)
    found: dict[str, int] = {}
    for name, total in types.items():
        known = whole.get(name, [])
        name = known[0] if len(known) == 1 else name
        found[name] = found.get(name, 0) + total
    return found


def type_of(frames: Sequence[Frame]) -> str:
    """The future that was spawned, by a stack, innermost frame first; empty = it does not show.

    It is the outermost frame inside Tokio's poll frames that is neither Tokio's nor std's, if that
    can be a future's: a plain function is one that an inlined future called. A boxed future goes by
    what is in the box.
    """
    polled = False
    for frame in reversed(frames):
        if _POLL_FRAME.search(frame.function) or _POLL_FILE.search(frame.file):
            polled = True
        elif (
            polled
            and frame.origin not in _PLUMBING
            and counts(frame)
            and not _SEEN_THROUGH.match(frame.function)
        ):
            return _future(frame)
    return ""


def _future(frame: Frame) -> str:
    if frame.inferred:
        return f"~{frame.function}"
    found = _TRAIT_METHOD.fullmatch(frame.function)
    if found:
        return found[1]
    return frame.function if frame.function.endswith("}") else ""
