"""Signals that ask for the end before a run takes them over: each raises KeyboardInterrupt.

Python raises that wherever it is just then. In a callback of its import system, of which a start
runs many, it is lost: so it is remembered as well, and a run asks before it begins.
"""

from __future__ import annotations

import signal

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)

_came = False


def take() -> None:
    """From now on; whatever was started is stopped and removed on the way out. What is ignored, or
    somebody else's, stays so."""
    global _came
    _came = False
    for number in _NUMBERS:
        if signal.getsignal(number) in _DEFAULTS:
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    global _came
    _came = True
    raise KeyboardInterrupt


def check() -> None:
    """KeyboardInterrupt if there was one that got lost."""
    if _came:
        raise KeyboardInterrupt


def caused(error: BaseException | None) -> bool:
    """Is there one behind an error? Python hides it where a class is just being made."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
