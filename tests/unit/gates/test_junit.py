"""JUnit's XML, by the schema of Jenkins and by a reader."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

import pytest

from hud.analysis.snapshot import Analyzer
from hud.gates.breach import Breach, Verdict
from hud.gates.grammar import parse
from hud.gates.junit import written
from hud.model import Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

SCHEMA = Path(__file__).parents[2] / "data" / "schema" / "junit-10.xsd"
EVIL = 'a<b>&"]]>\x1b\x00\ud800\n'
TOLD = Verdict(
    (Breach("max>5ms", "f: 9 ms"), Breach("max>5ms", EVIL), Breach("hud.txt:3", "expired")),
    (Breach("count>9", "no poll was seen"),),
    (),
)
GATES = [parse("max>5ms"), parse("count>9"), parse("blockers>7")]


def text(build: ModuleType) -> str:
    recording = build.empty_recording(target=Target(1, EVIL, EVIL))
    recording.finish(build.START_NS + 2 * build.SECOND, "Ctrl-C")
    return written(TOLD, GATES, Analyzer(recording).snapshot(recording.ended_ns, False))


def test_a_gate_is_a_test(build: ModuleType) -> None:
    suite = Xml.fromstring(text(build)).find("testsuite")
    assert suite is not None
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")}
    assert counts == {"tests": "4", "failures": "2", "errors": "1", "skipped": "0", "time": "2.000"}
    found = {
        case.get("name"): [(one.tag, one.get("message")) for one in case]
        for case in suite.iter("testcase")
    }
    assert found == {
        "max>5ms": [("failure", "f: 9 ms (and 1 more)")],
        "count>9": [("error", "no poll was seen")],
        "blockers>7": [],
        "hud.txt:3": [("failure", "expired")],
    }
    failure = suite.find("testcase/failure")
    assert failure is not None and failure.text
    assert failure.text.splitlines() == ["f: 9 ms", 'a<b>&"]]>\\x1b\\x00\\ud800\\x0a']


def test_jenkins_schema(build: ModuleType, need: Callable[[object, str], None]) -> None:
    need(find_spec("xmlschema"), "xmlschema")
    import xmlschema

    schema = xmlschema.XMLSchema(str(SCHEMA))
    schema.validate(text(build))
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate(text(build).replace("errors=", "wrong="))
