"""What GitHub Actions is told: by its rules for workflow commands, at most ten of them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from hud.gates.breach import Breach, Verdict
from hud.gates.github import MOST, MOST_LISTED, commands, page
from hud.gates.grammar import parse

ROOT = Path("/srv/app")
COMMAND = re.compile(r"::error ((?:\w+=[^,:]*,?)+)::([^\r\n]*)")
"""As the runner reads a line."""


def read(line: str) -> dict[str, str]:
    found = COMMAND.fullmatch(line)
    assert found, line
    properties = dict(one.split("=", 1) for one in found[1].split(","))
    return {name: unquote(value) for name, value in {**properties, "says": found[2]}.items()}


def breach(number: int, gate: str = "max>5ms") -> Breach:
    return Breach(gate, f"f{number}: slow", f"{ROOT}/src/f{number}.rs", number, number)


def test_the_worst_come_first_and_ten_are_enough() -> None:
    many = Verdict(tuple(map(breach, range(1, 30))), (), ())
    lines = commands(many, ROOT)
    assert len(lines) == MOST == 10
    assert [read(line)["line"] for line in lines] == [str(n) for n in range(29, 19, -1)]
    assert read(lines[0]) == {
        "file": "src/f29.rs",
        "line": "29",
        "title": "hud: max>5ms failed",
        "says": "f29: slow",
    }


def test_no_name_ends_a_command_or_begins_one() -> None:
    evil = "a%0A::error::b,c:d\r\n::add-mask::e"
    told = Verdict((Breach(evil, evil, f"{ROOT}/{evil}", 7, 1),), (), ())
    (line,) = commands(told, ROOT)
    assert read(line) == {"file": evil, "line": "7", "title": f"hud: {evil} failed", "says": evil}


def test_what_has_no_place_is_told_too() -> None:
    told = Verdict((Breach("count>9", "12 long polls"),), (Breach("max>5ms", "no poll"),), ())
    failed, unknown = map(read, commands(told, ROOT))
    assert failed == {"title": "hud: count>9 failed", "says": "12 long polls"}
    assert unknown == {"title": "hud: max>5ms cannot be decided", "says": "no poll"}
    bare = Verdict((Breach("max>5ms", "x", "/elsewhere/a.rs"),), (), ())
    assert "line" not in read(commands(bare, ROOT)[0])


def test_the_page_has_every_gate_and_every_breach() -> None:
    gates = [parse("max>5ms"), parse("count>9"), parse("blockers>0")]
    told = Verdict((breach(1), breach(2)), (Breach("count>9", "<b>|@you"),), ())
    text = page(told, gates)
    assert "| `max>5ms` | failed |\n| `count>9` | cannot be decided |\n" in text
    assert "| `blockers>0` | passed |\n" in text
    assert text.index("f2: slow") < text.index("f1: slow") < text.index("&lt;b&gt;\\|&#64;you")
    many = page(Verdict(tuple(map(breach, range(MOST_LISTED + 2))), (), ()), gates)
    assert many.endswith("- and 2 more\n")
