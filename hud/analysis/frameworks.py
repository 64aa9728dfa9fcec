"""Which frames only pass a poll on, and into which of them the user's code is inlined.

The *framework* is what stands between Tokio and a service's own code; it calls that code,
and nobody moves it elsewhere. A *host* is a frame that is compiled for each handler or future
of the user's, so that the optimiser inlines these into it: its code is the user's, its name is not.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hud.model import Frame, Origin

_CRATES = re.compile(
    r"(?:hyper|hyper_\w+|h2|h3|h3_\w+|tower|tower_\w+|axum|axum_\w+|actix|actix_\w+|warp|tonic"
    r"|tonic_\w+|rocket|rocket_\w+|poem|poem_\w+|salvo|salvo_\w+|ntex|ntex_\w+|tide|thruster|gotham"
    r"|viz|viz_\w+|async_graphql_axum|jsonrpsee_server|pingora|pingora_\w+|volo|volo_\w+"
    r"|futures|futures_\w+|tokio_\w+|async_stream|async_trait|pin_project\w*|http_body|http_body_util"
    r"|tracing|tracing_futures|tracing_core|sync_wrapper|matchit|bytes|http|httpdate|httparse)"
    r"(?: .*)?"
)
_TASK = re.compile(r"tokio::runtime::(?:task::(?:raw|harness|core)::|\S*worker::Context::run_task)")
_ROOT = re.compile(
    r"tokio::runtime::(?:park::CachedParkThread|context::blocking::BlockingRegionGuard"
    r"|scheduler::current_thread::CoreGuard)::block_on"
)
_SEALED = re.compile(
    r"^(?:<(?:.+ as )?)?(?:mio::|tokio::(?:time::(?!timeout)|io::|net::|signal::|sync::"
    r"|runtime::(?:io|time|driver|signal)::))"
)
_TASK_FILE = re.compile(r"tokio-[\w.+-]+/src/runtime/task/(?:raw|harness|core)\.rs$")
_HANDLER = re.compile(
    r"^<.+ as axum::handler::Handler<.*>>::call\b"
    r"|^<.+ as actix_web::handler::Handler<.*>>::call\b"
    r"|^actix_web::handler::handler_service\b"
    r"|^tonic::server::grpc::Grpc<.*>::(?:\w*streaming|unary)\b"
    r"|^<(?:hyper|tower|hyper_util|actix_service|warp)::\S*(?:[sS]ervice_?[fF]n|FnService|AndThen"
    r"|Map|Then|MapFuture)\b.*>::(?:call|poll|poll_\w+)\b"
    r"|^<actix_service::fn_service::\w+<.*>::call\b"
)
_PASSES = re.compile(r"(?:::poll(?:_\w+)?|::call|::\{async[\w ]*\}|::\{closure\})$")


def is_framework(frame: Frame) -> bool:
    """Tokio's own code, or that of a crate that stands between it and a service."""
    if frame.origin is Origin.RUNTIME:
        return True
    return frame.origin is Origin.DEPENDENCY and _is_framework(frame.crate)


def polls_task(frame: Frame) -> bool:
    """Tokio's frames around the future of a task."""
    return frame.origin is Origin.RUNTIME and _polls_task(frame.function, frame.file)


def runs_task(frame: Frame) -> bool:
    """Those, and its frames around what a thread blocks on: a host where that is inlined."""
    return polls_task(frame) or (frame.origin is Origin.RUNTIME and _runs_root(frame.function))


def is_sealed(frame: Frame) -> bool:
    """A call of Tokio's that runs no code but its own: what is inside is nobody's to change."""
    return frame.origin is Origin.RUNTIME and _is_sealed(frame.function)


def runs_handler(frame: Frame) -> bool:
    """A framework's frame around one handler of the user's: a host where that is inlined."""
    return frame.origin is Origin.DEPENDENCY and _runs_handler(frame.function)


def passes_on(frame: Frame) -> bool:
    """It is, or may be, the poll of a future that awaits another."""
    return _passes_on(frame.function)


# The same names come again and again.
_KEPT = 16_384


@lru_cache(maxsize=_KEPT)
def _is_framework(crate: str) -> bool:
    return bool(_CRATES.fullmatch(crate))


@lru_cache(maxsize=_KEPT)
def _polls_task(function: str, file: str) -> bool:
    return bool(_TASK.search(function) or _TASK_FILE.search(file))


@lru_cache(maxsize=_KEPT)
def _runs_handler(function: str) -> bool:
    return bool(_HANDLER.search(function))


@lru_cache(maxsize=_KEPT)
def _runs_root(function: str) -> bool:
    return bool(_ROOT.search(function))


@lru_cache(maxsize=_KEPT)
def _is_sealed(function: str) -> bool:
    return bool(_SEALED.search(function))


@lru_cache(maxsize=_KEPT)
def _passes_on(function: str) -> bool:
    return bool(_PASSES.search(function))
