"""JUnit's XML, for what shows tests: GitLab, Jenkins, Azure DevOps. A gate is a test.

There is no standard; this is what Jenkins' schema allows. A breach is a failure, a doubt an error,
for it says nothing of the target. An excuse that has expired is a test that failed.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hud.analysis.results import Snapshot
    from hud.gates.breach import Breach, Verdict
    from hud.gates.grammar import Gate


def written(verdict: Verdict, gates: Iterable[Gate], snapshot: Snapshot) -> str:
    """The whole file."""
    target = printable(snapshot.info.target.name)
    names = dict.fromkeys([gate.text for gate in gates] + [one.gate for one in verdict.breaches])
    begin = datetime.fromtimestamp(snapshot.info.start_unix_ns // 10**9, timezone.utc)
    suite = Xml.Element(
        "testsuite",
        name=f"hud: {target}",
        tests=str(len(names)),
        failures=str(len({one.gate for one in verdict.breaches})),
        errors=str(len(verdict.doubts)),
        skipped="0",
        time=f"{snapshot.span_ns / 1e9:.3f}",
        timestamp=f"{begin:%Y-%m-%dT%H:%M:%S}",
    )
    for name in names:
        case = Xml.SubElement(suite, "testcase", name=printable(name), classname=f"hud.{target}")
        _add(case, "failure", [one for one in verdict.breaches if one.gate == name])
        _add(case, "error", [one for one in verdict.doubts if one.gate == name])
    whole = Xml.Element("testsuites")
    whole.append(suite)
    Xml.indent(whole)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{Xml.tostring(whole, encoding="unicode")}\n'


def _add(case: Xml.Element, kind: str, found: list[Breach]) -> None:
    if found:
        says = [printable(one.says) for one in found]
        more = f" (and {len(says) - 1} more)" if len(says) > 1 else ""
        Xml.SubElement(case, kind, message=says[0] + more).text = "\n".join(says)
