"""Functions of one name that are several: told apart by a number, ``call#1``, ``call#2``.

The numbers follow the keys of the blockers, so that the same recording always gives the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hud.analysis.blame import Key


class Namesakes:
    """Which blockers have the same name."""

    def __init__(self) -> None:
        self._keys: dict[str, set[Key]] = {}
        self._names: dict[Key, str] = {}
        self._numbers: dict[Key, int] = {}
        self._changed: set[str] = set()

    def name(self, key: Key, name: str) -> None:
        """The blocker has this name now."""
        before = self._names.get(key)
        if before != name:
            self.forget(key)
            self._names[key] = name
            self._keys.setdefault(name, set()).add(key)
            self._changed.add(name)

    def forget(self, key: Key) -> None:
        """There is no such blocker any more."""
        name = self._names.pop(key, None)
        if name is not None:
            self._numbers.pop(key, None)
            self._keys[name].discard(key)
            self._changed.add(name)

    def shown(self, key: Key) -> str:
        """Its name, with its number where others have the name too."""
        number = self._numbers.get(key)
        return f"{self._names[key]}#{number}" if number else self._names[key]

    def renumbered(self) -> list[Key]:
        """Those whose number has changed since the last call."""
        found: list[Key] = []
        for name in self._changed:
            keys = sorted(self._keys[name])
            if not keys:
                del self._keys[name]
            for number, key in enumerate(keys, 1):
                wanted = number if len(keys) > 1 else 0
                if self._numbers.get(key, 0) != wanted:
                    self._numbers[key] = wanted
                    found.append(key)
        self._changed.clear()
        return found
