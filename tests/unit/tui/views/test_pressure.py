"""The pressure: frames at named sizes, and what its figures are of."""

from __future__ import annotations

from dataclasses import replace

from draw import WHICH, GoldenCheck, drawn, text_of
from screen_build import MS, RICH, crowd, episode, snapshot

from hud.analysis.cause import Cause
from hud.analysis.results import Pressure
from hud.model import HostPressure
from hud.tui.actions import Show
from hud.tui.state import Size

_KNOWN = snapshot(**RICH)


@WHICH
def test_pressure(size: Size, golden: GoldenCheck) -> None:
    golden(f"pressure-{size.width}x{size.height}", drawn(_KNOWN, size, Show("pressure")))


def lines_of(**changes: object) -> list[str]:
    return text_of(drawn(replace(_KNOWN, **changes), Size(120, 36), Show("pressure")))


def test_a_percentage_is_of_the_workers_time_and_nothing_else() -> None:
    text = "\n".join(lines_of()[3:-1])
    assert "for 1.5 % of their time (1 s)" in text
    assert text.count("%") == 1 + 4, "and that of each worker"
    assert "of it" not in text


def test_time_without_a_cpu_is_never_solid() -> None:
    assert "█" not in "\n".join(lines_of())


def test_without_a_long_wait_it_says_so() -> None:
    text = "\n".join(lines_of(pressure=(), latencies=0, latency_total_ns=0, host=HostPressure()))
    assert "No wait was as long as 5 ms." in text
    assert "nobody so far" in text
    assert "quota" not in text


def test_whose_it_is() -> None:
    three = Pressure("make", 0, False, 5, 50 * MS, 9 * MS, processes=3)
    text = "\n".join(lines_of(pressure=(three, *RICH["pressure"])))
    for name, whose in (("make", "3 processes"), ("stress-ng", "pid 9000")):
        assert any(name in line and whose in line for line in text.splitlines())
    assert any("tokio-rt-worker" in one and "this process" in one for one in text.splitlines())


def test_of_many_workers_the_rest_is_counted() -> None:
    lines = text_of(drawn(crowd(64), Size(80, 24), Show("pressure")))
    assert any("more, down to 0.7 %" in line for line in lines)


def test_polls_that_were_long_for_this_alone_are_listed() -> None:
    waited = episode(0, 0, 50 * MS, cause=Cause.WAITING, on_cpu_ns=0, waiting_ns=66 * MS)
    lines = lines_of(timeline=(waited,))
    at = next(at for at, line in enumerate(lines) if "long only for lack" in line)
    assert lines[at + 1].rpartition("│")[2].split()[1:4] == ["W0", "wait", "66ms"]
    assert not any("long only for lack" in line for line in lines_of())
