"""What GitHub Actions shows of a verdict: annotations at the lines, and the page of the step.

Format: GitHub, "Workflow commands for GitHub Actions". Of one step it shows ten errors and drops
the rest without a word, so the worst come first, and the page has them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.export.markdown import code, plain
from hud.export.places import in_project

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hud.gates.breach import Breach, Verdict
    from hud.gates.grammar import Gate

MOST = 10
MOST_LISTED = 50
"""On the page, of breaches."""


def commands(verdict: Verdict, root: Path) -> list[str]:
    """Workflow commands, a line each: what failed, the worst first, then what nobody knows.

    ``root`` is the project's folder, to which the paths are relative.
    """
    said = [
        _command(one, f"{one.gate} failed", one.says, root) for one in by_weight(verdict.breaches)
    ]
    said += [
        _command(one, f"{one.gate} cannot be decided", one.says, root) for one in verdict.doubts
    ]
    return said[:MOST]


def by_weight(breaches: Iterable[Breach]) -> list[Breach]:
    """The worst first; of equals in the order of the gates."""
    return sorted(breaches, key=lambda one: -one.blocked_ns)


def page(verdict: Verdict, gates: Iterable[Gate]) -> str:
    """Markdown: what came of each gate, then each breach."""
    lines = ["| gate | |", "|---|---|"]
    lines += [f"| {code(gate.text)} | {verdict.of(gate.text)} |" for gate in gates]
    lines += ["", *(f"- {said}" for said in _listed(verdict))]
    return "\n".join(lines).rstrip() + "\n"


def _listed(verdict: Verdict) -> Iterator[str]:
    breaches = by_weight(verdict.breaches)
    for one in [*breaches[:MOST_LISTED], *verdict.doubts]:
        yield f"{code(one.gate)} {plain(one.says)}"
    if len(breaches) > MOST_LISTED:
        yield f"and {len(breaches) - MOST_LISTED} more"


def _command(breach: Breach, title: str, says: str, root: Path) -> str:
    place = {"file": in_project(breach.file, root)} if breach.file else {}
    if breach.file and breach.line:
        place["line"] = str(breach.line)
    named = {**place, "title": f"hud: {title}"}
    properties = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in named.items())
    return f"::error {properties}::{_escaped(says)}"


def _escaped(text: str, more: str = "") -> str:
    """Only these characters end a message, or a property (``more``)."""
    for char in f"%\r\n{more}":
        text = text.replace(char, f"%{ord(char):02X}")
    return text
