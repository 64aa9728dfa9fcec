"""What a build fails for, or what nobody can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hud.gates.suppressions import Excuse


class Breach(NamedTuple):
    """What a gate, or an excuse, failed for."""

    gate: str
    """As it was given; of an excuse its place."""
    says: str
    """What was found, with function and ``file:line`` where they are known."""
    file: str = ""
    """Of the target's own code, as the debug information has it, or of the excuse; empty = not
    known."""
    line: int = 0
    """0 = not known."""
    blocked_ns: int = 0
    """What the code that it names has blocked in all: how bad it is."""


def expired(excuse: Excuse) -> Breach:
    """Of an excuse whose day is over."""
    says = f"expired on {excuse.until}: {excuse.function}, {excuse.reason}"
    return Breach(excuse.place, says, excuse.file, excuse.line)


class Verdict(NamedTuple):
    """Of all gates."""

    breaches: tuple[Breach, ...]
    doubts: tuple[Breach, ...]
    """Gates that did not fail, and of which nobody knows whether they should."""
    unused: tuple[Excuse, ...]

    def of(self, gate: str) -> str:
        """In a word or two."""
        if any(one.gate == gate for one in self.breaches):
            return "failed"
        return "cannot be decided" if any(one.gate == gate for one in self.doubts) else "passed"
