"""What of a stack is folded to one line."""

from __future__ import annotations

from dataclasses import replace

from hud.model import Frame, Origin, Stack
from hud.tui import frames
from hud.tui.folding import outline
from hud.tui.glyphs import UNICODE


def frame(function: str, origin: Origin, crate: str = "") -> Frame:
    return Frame(1, function=function, origin=origin, crate=crate)


STACK = (
    frame("bcrypt::hash", Origin.DEPENDENCY, "bcrypt 0.17.1"),
    frame("app::login::{async}", Origin.USER),
    frame("<core::pin::Pin<P> as core::future::future::Future>::poll", Origin.STD, "core"),
    frame("app::route::{async}", Origin.USER),
    frame("<tower::Oneshot<S> as core::future::future::Future>::poll", Origin.DEPENDENCY, "tower"),
    frame("tower::Oneshot<S>::poll::{closure}", Origin.DEPENDENCY, "tower"),
    frame("hyper::Dispatcher<T>::poll_inner", Origin.DEPENDENCY, "hyper 1.4.0"),
    frame("hyper::serve::{async}", Origin.DEPENDENCY, "hyper 1.4.0"),
    frame("tokio::runtime::task::raw::poll", Origin.RUNTIME, "tokio 1.54.1"),
    frame("start_thread", Origin.C),
)


def rows(frames: tuple[Frame, ...], *, unfold: bool = False) -> list[str]:
    found = outline(Stack((1,) * len(frames), True, "", frames), unfold)
    return [row.frame.function if row.frame else row.text for row in found]


def test_what_only_passes_polls_on_is_folded() -> None:
    assert rows(STACK) == [
        "2 frames of libc, tokio 1.54.1",
        "hyper::serve::{async}",
        "3 frames of hyper 1.4.0, tower",
        "app::route::{async}",
        "1 frame of core",
        "app::login::{async}",
        "bcrypt::hash",
    ]
    assert rows(STACK, unfold=True) == [one.function for one in reversed(STACK)]


def test_a_poll_that_blocks_is_told() -> None:
    without = tuple(one for one in STACK[4:] if one.origin is not Origin.USER)
    assert rows(without) == [
        "start_thread",
        "1 frame of tokio 1.54.1",
        "hyper::serve::{async}",
        "2 frames of hyper 1.4.0, tower",
        STACK[4].function,
    ]
    called = (frame("tower::Buffer<S>::poll_ready", Origin.DEPENDENCY, "tower"), *STACK[1:])
    assert rows(called)[-1] == "tower::Buffer<S>::poll_ready"


def test_frames_that_a_tail_call_removed_are_marked() -> None:
    nap = replace(frame("app::nap", Origin.USER), recovered=True)
    via = replace(frame("app::any", Origin.USER), recovered=True, gap=True)
    stack = Stack((1, 1), True, "", (frame("sleep", Origin.STD), nap, via))
    drawn = frames.lines(outline(stack, unfold=False), 80, UNICODE)
    shown = [" ".join("".join(span.text for span in line).split()) for line in drawn]
    assert shown == ["app::any (via)", "app::nap ◀ your code blocks here (tail call)", "sleep"]
