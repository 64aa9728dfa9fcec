"""What the values of a recording can be: asked once, where they are read, and nowhere behind.

Whoever wrote a file chose its numbers and how many there are. What no run can have seen is refused
here, so that sums, tables and layouts further on need no fear of it: moments and lengths of time
from LAST_NS on, and more rows than the kernel's tables hold.
"""

from __future__ import annotations

from itertools import chain
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from msgspec import Meta

from hud.analysis import stacks
from hud.errors import FormatError
from hud.model import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hud.model import Batch, RunInfo, Sample

LAST_NS = 1 << 62
"""146 years after a boot."""
MOST_ROWS = 65_536
"""In one list or table of a batch; the kernel's tables have fewer."""
MOST_DEPTH = 128
"""Addresses of a stack: MAX_FRAMES in bpf_src/event.h."""
MOST_INLINED = 2_048
"""Frames of a stack."""
MOST_REFERENCES = 16 << 20
"""Addresses and frames of all stacks together, 8 bytes each."""
MOST_LINES = 1_024
"""Of source, or of machine code, around one address."""
MOST_FRAMES = 500_000
"""Distinct ones of a whole recording."""
_ROWS = Meta(max_length=MOST_ROWS)
_TIME = Annotated[int, Meta(ge=0, lt=LAST_NS)]
_KEY = Annotated[int, Meta(ge=0)]
_SIXTEEN_BITS = Annotated[int, Meta(ge=0, lt=1 << 16)]
_THREAD = {
    "tid": Annotated[int, Meta(ge=0, lt=1 << 32)],
    "task_id": _KEY,
    "asleep_stack": _KEY,
    "file_type": _SIXTEEN_BITS,
    "doubts": _SIXTEEN_BITS,
}


def column(name: str, hint: Any) -> Any:
    """The type of the values of one field of all threads, which become samples of 64 bytes when a
    run ends."""
    one = _TIME if name.endswith("_ns") else _THREAD.get(name, hint)
    return Annotated[GenericAlias(list, one), _ROWS]


def rows(hint: Any) -> Any:
    """A type in which no list and no table has too many rows: refused before one is made."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (list, dict) or ... in parts:
        return Annotated[hint, _ROWS]
    if type(None) in parts:
        return rows(parts[0]) | None
    return hint


def require_info(info: RunInfo) -> None:
    """FormatError where no run can begin so."""
    times = info.start_monotonic_ns, info.start_unix_ns, info.threshold_ns
    others = info.sample_period_ns, info.window_ns, info.clock_ticks - 1
    _require("the begin of a run", chain(times, others))


def require_batch(batch: Batch) -> None:
    """FormatError where a number is in it that no run can have seen."""
    times = batch.time_ns, batch.threshold_ns, batch.sample_period_ns, batch.unseen_ns
    _require("a batch", chain(times, batch.cost or ()))
    _require_samples(batch.samples)
    if any(max(len(one.source), len(one.instructions)) > MOST_LINES for one in batch.code):
        raise FormatError("recording: more code than a page")
    for stats in batch.polls or ():
        _require("polls", chain((stats.polls, stats.busy_ns, stats.max_ns), stats.buckets))
        if len(stats.buckets) > BUCKETS:
            raise FormatError(f"recording: polls in {len(stats.buckets)} buckets")


class Stacks:
    """How much those that are kept refer to, all together: the latest of each key."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._total = 0

    def require(self, key: int, addresses: Sequence[int], frames: Sequence[int]) -> None:
        """FormatError where one is deeper than any that hud takes, or there are too many."""
        if len(addresses) > MOST_DEPTH or len(frames) > MOST_INLINED:
            raise FormatError("recording: a stack that is too deep")
        before = self._sizes.get(key, 0)
        if key in self._sizes or len(self._sizes) < stacks.MOST:
            self._sizes[key] = len(addresses) + len(frames)
            self._total += self._sizes[key] - before
        if self._total > MOST_REFERENCES:
            raise FormatError("recording: more stacks than fit the memory")


def _require_samples(samples: Sequence[Sample]) -> None:
    if len(samples) > MOST_ROWS:
        raise FormatError(f"recording: {len(samples)} samples in one batch")
    _require("a sample", chain.from_iterable((one[0], one[1], one[3]) for one in samples))


def _require(what: str, times: Iterable[int]) -> None:
    values = tuple(times)
    if values and not 0 <= min(values) <= max(values) < LAST_NS:
        raise FormatError(f"recording: {what} with a moment or number that cannot be")
