"""The screen of a live run, which writes the files that it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.commands.deliver import write_selection
from hud.tui.app import LiveScreen
from hud.tui.effects import Export

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.tui.effects import Effect


class Screen(LiveScreen):
    """What the session needs of one."""

    def on_input(self, snapshot: Snapshot) -> list[Effect]:
        effects = super().on_input(snapshot)
        for effect in effects:
            if isinstance(effect, Export):
                self.notify(write_selection(effect))
        return effects
