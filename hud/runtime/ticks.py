"""Finds ``tick`` in the Core of a scheduler of Tokio 1.20 and 1.21 in the live process.

The pointer to a scheduler leads to its Context, which has a RefCell with the Box of Core, and that
has ``tick`` (u32), which counts polls. Nothing else is in Context but an ``Arc``, of the Worker or
of the current_thread scheduler's Shared.

rustc orders fields as it likes: of the same Tokio, 1.62 and 1.65, 1.68, 1.71 and 1.75, 1.80 and
1.95 each have an order of their own (type information of debug builds). So an offset counts only if
what is around it has the shape of that order, and of no other.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from hud.runtime.context import NONE
from hud.runtime.schedulers import NOT_BORROWED, is_address, words_of

if TYPE_CHECKING:
    from hud.runtime.context import ContextLayout
    from hud.runtime.memory import Read

CORE_BYTES = 1024
"""Of a current_thread Core: 656 with all of Tokio's features."""
MULTI_WORDS = 5
TASKS = 32
"""Size of a VecDeque."""


def with_tick(layout: ContextLayout, scheduler: int, current: bool, read: Read) -> ContextLayout:
    """The layout with ``core`` and the tick of this scheduler filled in, as
    far as they are found. ``current``: it is a current_thread one. What is known stays."""
    words = words_of(read(scheduler, 24))
    if len(words) < 3:
        return layout
    if words[1] in NOT_BORROWED and is_address(words[0], read):
        at, arc = 16, words[0]
    elif words[0] in NOT_BORROWED and is_address(words[2], read):
        at, arc = 8, words[2]
    else:
        return layout
    core = words[at // 8]
    if layout.core not in (NONE, at) or not is_address(core, read):
        return layout
    layout = replace(layout, core=at)
    if current and layout.tick_current == NONE:
        return replace(layout, tick_current=current_tick(read(core, CORE_BYTES), arc))
    if not current and layout.tick_multi == NONE:
        return replace(layout, tick_multi=multi_tick(read(core, 8 * MULTI_WORDS), read))
    return layout


def multi_tick(core: bytes, read: Read) -> int:
    """The offset of ``tick`` in a multi_thread Core, or NONE.

    32 in {lifo_slot, park, rand, run_queue, tick}, 24 in {lifo_slot, run_queue, park, tick, rand}:
    ``run_queue`` is an address, ``lifo_slot`` and ``park`` are one or 0, ``rand`` is two random
    words of 32 bits. Rust from 1.68, and up to 1.65.
    """
    words = words_of(core)
    if len(words) < MULTI_WORDS:
        return NONE
    first, second, third, fourth = (is_address(word, read) for word in words[:4])
    if not (first or not words[0]):
        return NONE
    if fourth and not third and words[2] and (second or not words[1]):
        return 32
    if second and not fourth and (third or not words[2]):
        return 24
    return NONE


def current_tick(core: bytes, shared: int) -> int:
    """The offset of ``tick`` in a current_thread Core, or NONE.

    In {tasks, driver, spawner, tick, unhandled_panic} (Rust 1.68, 1.80 and later) it follows the
    Arc that the Context has, too. Where ``spawner`` comes right after ``tasks`` the size of
    ``driver``, which depends on Tokio's features, is in between: then it is not found.
    """
    # behind Core lies what others have allocated
    first = next((8 * index for index, word in enumerate(words_of(core)) if word == shared), 0)
    if not TASKS < first <= len(core) - 16:
        return NONE
    at = first + 8
    tick, unhandled_panic = struct.unpack_from("<IB", core, at)
    return at if tick and unhandled_panic <= 1 else NONE
