"""Tables that grow with the target's life, within a bound."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

_K = TypeVar("_K")
_V = TypeVar("_V")

MOST = 65_536


def update(known: dict[_K, _V], new: Mapping[_K, _V], most: int = MOST) -> None:
    """Add, and forget the oldest beyond the bound."""
    known.update(new)
    if len(known) > most:
        for key in list(islice(known, len(known) - most)):
            del known[key]
