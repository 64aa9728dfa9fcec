"""Types in the names of functions: what stands between ``<`` and ``>``, and how people read it."""

from __future__ import annotations

import re

from hud.symbols.names import asynchronous, is_later, readable
from hud.symbols.shorten import fitting

_GENERICS = re.compile(r"^(?:.*::)?poll(?:::)?<")
_CLOSURE = re.compile(r"\{\{closure\}\}|\{(?:closure|async_fn|async_block)(?:_env)?(?:#\d+)?\}")
_SHORTER = (
    (re.compile(r", alloc::alloc::Global\b|\bcore::marker::|\bcore::future::future::"), ""),
    (re.compile(r"\b(?:alloc|core)::(?:boxed|pin|sync|rc|string|vec|option|result)::"), ""),
    (re.compile(r",(?=\S)"), ", "),
)
_HOLDER = re.compile(
    r"(?:Pin|Box|tokio::time::timeout::Timeout|tokio::task::(?:coop::)?unconstrained::Unconstrained"
    r"|(?:tracing::instrument|tracing_futures|tokio_metrics::task)::(?:Instrumented|WithDispatch)"
    r"|futures_util::abortable::Abortable|core::panic::unwind_safe::AssertUnwindSafe"
    r"|futures_util::future::(?:future|try_future)::(?:\w+::)?(?:Fuse|CatchUnwind|Map|MapErr|MapOk"
    r"|Then|AndThen|Remote|Inspect)|sync_wrapper::(?:futures::)?(?:SyncWrapper|SyncFuture)"
    r"|tokio_util::(?:task::task_tracker::TrackedFuture|sync::cancellation_token::\w+Future)"
    r"|hyper::proto::h2::server::H2Stream|hyper::(?:rt|common)::\w+::\w+"
    r"|tower::\w+::(?:future::)?(?:ResponseFuture|MapFuture|MapResponseFuture|ThenFuture)"
    r"|opentelemetry::\S*?::WithContext|sentry_core::futures::SentryFuture)<"
)
"""Types that are futures of their first argument, and say nothing of their own of a task."""


def first_generic(name: str) -> str:
    """``T`` of ``poll<T, S>`` or ``tokio::..::raw::poll::<T, S>``; empty = it is not that."""
    return first_argument(name) if _GENERICS.match(name) else ""


def first_argument(name: str) -> str:
    """What stands first in the first ``<>`` of a name."""
    start = name.find("<") + 1
    depth = 0
    for at in range(start, len(name)):
        letter = name[at]
        if letter in "<([{":
            depth += 1
        elif letter == ">" and name[at - 1] == "-":
            continue
        elif depth == 0 and letter in ",>":
            return name[start:at].strip()
        elif letter in ">)]}":
            depth -= 1
    return ""


def without_generics(name: str) -> str:
    """A path without what stands in ``<>``, and without the numbers of closures."""
    kept = []
    depth = 0
    for at, letter in enumerate(name):
        if letter == "<":
            depth += 1
        elif letter == ">" and name[at - 1] != "-":
            depth -= 1
        elif depth == 0:
            kept.append(letter)
    text = _CLOSURE.sub("{closure}", "".join(kept))
    return text.replace("::::", "::").removesuffix("::")


def shown(future: str, own_name: str = "") -> str:
    """A future's type as people read it; ``own_name``: of its function, see ``readable``.

    A closure is no future: what a symbol calls so is an async fn or block where the type of a
    future stands, also inside of one of the types that are futures of the future they hold. Those
    are left out, down to what is known of the innermost.
    """
    name = readable(future, own_name)
    for pattern, short in _SHORTER:
        name = pattern.sub(short, name)
    return fitting(_as_future(name, is_later(future)))


def _as_future(name: str, later: bool) -> str:
    future = name
    while _HOLDER.match(future):
        inner = first_argument(future)
        if not inner or inner.lstrip("(").startswith("dyn "):
            break
        future = inner
    if future.endswith("::{closure}"):
        return asynchronous(future, later and future == name)
    return future
