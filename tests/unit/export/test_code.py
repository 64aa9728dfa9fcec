"""What --verbose adds to a blocker, against lines written out here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis.spots import blamed_frame
from hud.export import code, summary
from hud.model import Code

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot

SOURCE = tuple((number, f"\tline {number}") for number in range(82, 95))
INSTRUCTIONS = (
    *((0x1000 + at, f"push r{at}", "") for at in range(8)),
    (0x1008, "call 0x2000", "bcrypt::hash"),
    (0x100D, "call qword ptr [rip + 8]", "memcpy\x1b[2J"),
    (0x1013, "ret", ""),
)


def with_code(snapshot: Snapshot, **changes: object) -> Snapshot:
    """The heaviest blocker has code, and a raw symbol that would clear a terminal."""
    blocker = snapshot.blockers[0]
    frame = blamed_frame(blocker, snapshot.stacks)
    assert frame is not None
    stack = snapshot.stacks[blocker.stacks[0][0]]
    assert stack.frames
    named = [replace(one, raw="_ZN\x1b[2J") if one is frame else one for one in stack.frames]
    found = Code(
        address=frame.address,
        source=SOURCE,
        source_file="/ws/api/src/login.rs",
        line=88,
        instructions=INSTRUCTIONS,
        at=0x1008,
    )
    return replace(
        snapshot,
        stacks={**snapshot.stacks, blocker.stacks[0][0]: replace(stack, frames=tuple(named))},
        code={frame.address: replace(found, **changes)},  # type: ignore[arg-type]
    )


def test_symbol_source_and_machine_code(snapshot: Snapshot) -> None:
    found = code.lines(snapshot.blockers[0], with_code(snapshot))
    assert found == [
        r"symbol: _ZN\x1b[2J",
        "source: src/login.rs:88",
        "  86      line 86",
        "  87      line 87",
        "> 88      line 88",
        "  89      line 89",
        "  90      line 90",
        "machine code:",
        "  1004  push r4",
        "  1005  push r5",
        "  1006  push r6",
        "  1007  push r7",
        "> 1008  call 0x2000               bcrypt::hash",
        r"  100d  call qword ptr [rip + 8]  memcpy\x1b[2J",
        "  1013  ret",
    ]


def test_only_with_verbose_and_never_wider_than_the_terminal(snapshot: Snapshot) -> None:
    shown = with_code(snapshot)
    assert "machine code" not in summary.text(shown)
    assert "machine code" in summary.text(shown, verbose=True)
    narrow = summary.text(shown, verbose=True, width=40)
    assert "> 88      line 88" in narrow
    # what names it is cut
    block = narrow[narrow.index("machine code") :].splitlines()[:8]
    assert max(map(len, block)) <= 40
    assert "\x1b" not in summary.text(shown, verbose=True)


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        (
            {"note": "/ws/api/src/login.rs: not text", "source": ()},
            "note: /ws/api/src/login.rs: not text",
        ),
        # a note of the whole run says that there is no debug information
        ({"note": "no source: no", "source": (), "source_file": ""}, "  1013  ret"),
        ({"note": "capstone\n", "instructions": ()}, r"note: capstone\x0a"),
        ({"at": 0}, "  90      line 90"),
        ({"line": 7}, "  1013  ret"),
    ],
)
def test_what_is_missing(snapshot: Snapshot, changes: dict[str, object], last: str) -> None:
    assert code.lines(snapshot.blockers[0], with_code(snapshot, **changes))[-1] == last


def test_nothing_is_known(snapshot: Snapshot) -> None:
    blocker = snapshot.blockers[0]
    assert code.lines(blocker, replace(snapshot, stacks={})) == []
