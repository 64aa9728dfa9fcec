"""What is closed at the end of a ``with`` block."""

from __future__ import annotations

import pytest

from hud.closing import Closing


class Descriptor(Closing):
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_it_enters_as_itself_and_leaves_closed() -> None:
    made = Descriptor()
    with made as entered:
        assert entered is made
        assert made.closed == 0
    assert made.closed == 1


def test_an_error_inside_goes_on() -> None:
    made = Descriptor()
    with pytest.raises(ValueError, match="inside"), made:
        raise ValueError("inside")
    assert made.closed == 1


def test_what_cannot_be_closed_cannot_be_made() -> None:
    with pytest.raises(TypeError):
        Closing()  # type: ignore[abstract]
