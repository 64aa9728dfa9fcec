"""Words for polls that have not ended: nobody knows what they will have cost.

An episode *lasts* when it was in progress at the snapshot's moment, or at the run's end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures

if TYPE_CHECKING:
    from hud.analysis.results import Blocker

STUCK_NS = 1_000_000_000
"""A poll that has lasted as long (and at least the threshold) is stuck."""


def all_last(blocker: Blocker) -> bool:
    """Has none of its episodes ended?"""
    return 0 < blocker.count == blocker.lasting


def in_words(blocker: Blocker) -> list[str]:
    """What must be known to read the row's figures: that some have not ended, that some were long
    only for a wait.
    """
    said = []
    time = figures.long_duration(blocker.lasting_ns)
    if blocker.count == blocker.lasting == 1:
        said.append(f"has not ended, {time} so far")
    elif blocker.lasting:
        verb = "has" if blocker.lasting == 1 else "have"
        longest = "" if blocker.lasting == 1 else "the longest "
        said.append(
            f"{blocker.lasting} of {figures.count(blocker.count)} {verb} not ended, "
            f"{longest}{time} so far"
        )
    if blocker.pressed:
        number, were = figures.count(blocker.pressed), "was" if blocker.pressed == 1 else "were"
        they = "it" if blocker.pressed == 1 else "they"
        whole = figures.count(blocker.count)
        said.append(f"{number} of {whole} {were} long only because {they} waited for a CPU")
    return said
