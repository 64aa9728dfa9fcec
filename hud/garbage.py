"""Have Python look for garbage in cycles less often: next to nothing that hud makes is any.

What it makes stays; to walk all of it again and again is half of the cost of reading a recording,
and a sixth of that of importing hud.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

COLLECT = (20_000, 20, 20)
"""New objects, and rounds of younger ones, that start a garbage collection."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Within it, and never among what is there already."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*COLLECT)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
