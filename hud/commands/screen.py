"""The screen of a live run, which writes the files that it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.commands.deliver import write_selection
from hud.tui.app import LiveScreen
from hud.wish import Export

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.wish import Wish


class Screen(LiveScreen):
    """What the session needs of one."""

    def on_input(self, snapshot: Snapshot) -> list[Wish]:
        wishes = super().on_input(snapshot)
        for wish in wishes:
            if isinstance(wish, Export):
                self.tell(write_selection(wish))
        return wishes
