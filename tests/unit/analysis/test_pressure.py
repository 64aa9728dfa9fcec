"""Who ran while workers waited: processes by their names, own threads by theirs."""

from __future__ import annotations

import pytest

from hud.analysis import pressure as module
from hud.analysis.pressure import CpuWaits
from hud.analysis.results import Latency, Pressure

MS = 1_000_000
OWN = 7


def _wait(at: int, duration_ms: int, thread: str, pid: int, process: str = "") -> Latency:
    return Latency(0, 1, at * MS, duration_ms * MS, 0, pid + 1, thread, pid, True, process)


def test_processes_of_one_name_are_one_row() -> None:
    waits = CpuWaits()
    for at, wait in enumerate(
        (
            _wait(10, 5, "opt cgu.01", 100, "rustc"),
            _wait(20, 9, "opt cgu.02", 100, "rustc"),
            _wait(30, 6, "rustc", 200, "rustc"),
            _wait(40, 7, "stress-ng-cpu", 300, "stress-ng"),
            _wait(50, 5, "api-3", OWN, "my-app"),
            _wait(60, 5, "api-12", OWN, "my-app"),
            _wait(70, 5, "kworker/1", 0),
        )
    ):
        assert waits.count == at
        waits.add(wait)
    rows = waits.pressure(OWN)
    assert rows == (
        Pressure("rustc", 0, False, 3, 20 * MS, 9 * MS, processes=2),
        Pressure("api", OWN, True, 2, 10 * MS, 5 * MS),
        Pressure("stress-ng", 300, False, 1, 7 * MS, 7 * MS),
        Pressure("kworker", 0, False, 1, 5 * MS, 5 * MS),
    )
    waits.forget_before(38 * MS)
    assert [row.culprit for row in waits.pressure(OWN)] == ["api", "stress-ng", "kworker"]


def test_of_very_many_culprits_the_last_are_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CULPRITS", 2)
    waits = CpuWaits()
    for at in range(6):
        waits.add(_wait(10 * at, 5 + at, "cc", 100 + at, f"cc{at}"))
    others = Pressure("others", 0, False, 4, (7 + 8 + 9 + 10) * MS, 10 * MS)
    assert others in waits.pressure(OWN)
    assert [row.culprit for row in waits.pressure(OWN)] == ["others", "cc1", "cc0"]
    waits.bound(4, retire=True)
    assert waits.pressure(OWN)[0] == others
    waits.forget_before(15 * MS)  # what is held is counted again: cc2 has a row now
    assert [row.culprit for row in waits.pressure(OWN)] == ["others", "cc3", "cc2"]
    waits.forget_before(100 * MS)
    assert (waits.pressure(OWN), waits.count) == ((), 0)
