"""A signal that asks for the end is not lost, wherever Python was when it came."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

import pytest

from hud.commands import interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """As a program has them that has not touched any; put back at the end."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_an_import_swallowed_is_raised_again(number: signal.Signals) -> None:
    interrupts.take()
    interrupts.check()
    with contextlib.suppress(KeyboardInterrupt):  # as in a callback of the import system
        signal.raise_signal(number)
    with pytest.raises(KeyboardInterrupt):
        interrupts.check()
    interrupts.take()
    interrupts.check()  # another run


def test_nohup_stays_nohup() -> None:
    interrupts.take()
    signal.raise_signal(signal.SIGHUP)
    interrupts.check()


def test_one_that_python_hides_behind_another_error_is_found() -> None:
    """As where it comes in a ``__set_name__``, before Python 3.12."""
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise RuntimeError("Error calling __set_name__") from interrupt
    except RuntimeError as error:
        assert interrupts.caused(error)
    assert not interrupts.caused(RuntimeError("another"))
    assert not interrupts.caused(None)
