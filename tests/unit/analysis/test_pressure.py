"""Who ran while workers waited: processes by their names, own threads by theirs."""

from __future__ import annotations

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
