"""SARIF as code scanning takes it: by the official schema, and by what GitHub asks for."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hud.analysis.snapshot import Analyzer
from hud.export import FORMATS
from hud.export.sarif import FINGERPRINT

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.analysis.recording import Recording
    from hud.analysis.results import Snapshot

SCHEMA = Path(__file__).parents[2] / "data" / "schema" / "sarif-2.1.0.json"


def written(recording: Recording, snapshot: Snapshot | None = None) -> dict[str, Any]:
    analyzer = Analyzer(recording)
    out = io.BytesIO()
    whole = snapshot or analyzer.snapshot(recording.ended_ns, False)
    FORMATS["sarif"].writer()(analyzer, whole, out)
    (run,) = json.loads(out.getvalue())["runs"]
    return dict(run)


def test_a_result_is_what_code_scanning_asks_for(
    sample_recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", "/home/me/demo-server")
    run = written(sample_recording)
    first = run["results"][0]
    assert first["message"]["text"] == (
        "api::login::hash_password blocked its worker in 240 polls (cpu in bcrypt::hash): "
        "79 ms typically, 92 ms at most, 16 % of worker time. To do: call bcrypt::hash in "
        "spawn_blocking."
    )
    (place,) = first["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "src/login.rs"},
        "region": {"startLine": 88},
    }
    assert run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == first["ruleId"] == "cpu"
    frames = [one["location"]["message"]["text"] for one in first["stacks"][0]["frames"]]
    (flow,) = first["codeFlows"][0]["threadFlows"]
    shown = [one["location"]["message"]["text"] for one in flow["locations"]]
    assert "api::login::hash_password" in frames
    assert [one for one in reversed(frames) if one in shown] == shown, "outermost first"


def test_a_finding_stays_the_same_in_another_build(
    sample_recording: Recording, snapshot: Snapshot
) -> None:
    first, second = snapshot.blockers[:2]
    moved = replace(first, line=90, function=f"{first.function}::h0123456789abcdef", total_ns=1)
    same = replace(snapshot, blockers=(moved, replace(moved, count=1), second))
    marks = [
        [
            one["partialFingerprints"][FINGERPRINT]
            for one in written(sample_recording, of)["results"]
        ]
        for of in (snapshot, same)
    ]
    assert marks[1][0] == marks[0][0]
    assert marks[1][2] == marks[0][1]
    assert len({*marks[0], *marks[1]}) == len(marks[0]) + 1, "namesakes are two findings"


def test_where_no_file_is_known_the_function_is_the_place(
    sample_recording: Recording, snapshot: Snapshot
) -> None:
    bare = replace(snapshot.blockers[0], file="", line=0, inferred=True)
    run = written(sample_recording, replace(snapshot, blockers=(bare,)))
    (place,) = run["results"][0]["locations"]
    assert place == {
        "logicalLocations": [
            {"fullyQualifiedName": "~api::login::hash_password", "kind": "function"}
        ]
    }


def test_brackets_are_no_link(sample_recording: Recording, snapshot: Snapshot) -> None:
    named = replace(snapshot.blockers[0], function="<[u8] as Sum>::sum")
    run = written(sample_recording, replace(snapshot, blockers=(named,)))
    assert run["results"][0]["message"]["text"].startswith("<\\[u8\\] as Sum>::sum blocked")


def test_the_schema_holds_what_it_shall(
    sample_recording: Recording, need: Callable[[object, str], None]
) -> None:
    """Of a wrong file it says so: the test of all formats rests on it."""
    need(find_spec("jsonschema"), "jsonschema")
    import jsonschema

    schema = json.loads(SCHEMA.read_text())
    whole = {"version": "2.1.0", "runs": [written(sample_recording)]}
    jsonschema.validate(whole, schema)
    whole["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(whole, schema)
