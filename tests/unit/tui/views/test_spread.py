"""How a blocker's time is spread, in rows and in one line."""

from __future__ import annotations

from dataclasses import replace

from draw import text_of
from screen_build import HASH, MS, RICH_BLOCKERS, S, snapshot

from hud.tui.glyphs import UNICODE
from hud.tui.groups import by_file, by_type
from hud.tui.views import spread

RICH_HASH = replace(RICH_BLOCKERS[0], on_cpu_ns=14_000 * MS, waiting_ns=2_000 * MS)


def panel(title: str, **changes: object) -> list[str]:
    found = {p.title: p.lines for p in spread.panels(replace(RICH_HASH, **changes), 60, UNICODE)}
    return text_of(found.get(title, []))


def test_the_rows_say_what_is_typical_and_what_the_worst() -> None:
    rows = panel("how long")
    assert [row.split()[0] for row in rows] == ["50-59ms", "59-67ms", "67-84ms", "84-101ms"]
    assert rows[1].endswith(" typical")
    assert rows[3].endswith(" p99, worst")


def test_p99_is_said_from_100_polls_on() -> None:
    assert not any("p99" in row for row in panel("how long", count=99))
    assert not any("typical" in row for row in panel("how long", count=1))


def test_own_time_is_what_it_was_on_the_cpu_and_asleep() -> None:
    rows = [" ".join(row.split()) for row in panel("where the time went")]
    assert rows[0].startswith("on the CPU █")
    assert rows[0].endswith("14 s")
    assert rows[1].endswith("200 ms")
    assert rows[2].startswith("no CPU ▒")
    assert "█" not in rows[2]
    assert rows[2].endswith("2 s")


def test_the_workers_with_their_time() -> None:
    assert panel("workers")[0].startswith(" W0 █████ 4.0s  W2 ████▌ 3.5s")


def test_in_one_line() -> None:
    found = {p.title: text_of(p.lines) for p in spread.compact(RICH_HASH, 80, UNICODE)}
    assert found["how long"][0].split("   ")[1:] == ["typical 66 ms", "p99 88 ms", "worst 92 ms"]
    assert found["where the time went"][0] == " on the CPU 14 s   asleep 200 ms   no CPU 2 s  "


def test_what_has_not_ended_is_said() -> None:
    lasting = {"lasting": 1, "lasting_ns": 3 * S}
    assert any("1 of 214 has not ended" in row for row in panel("how long", **lasting))


def test_when_covers_the_span() -> None:
    lines = text_of(spread.when(HASH, snapshot(), 80, 3, UNICODE))
    assert len(lines) == 4
    assert lines[-1].split() == ["0", "s", "2", "min", "14", "s"]
    later = snapshot(span_ns=30 * S)
    assert text_of(spread.when(HASH, later, 80, 3, UNICODE))[-1].startswith(" 1 min 44 s ")


def test_the_time_of_a_part_is_not_split() -> None:
    (row, *_) = panel("where the time went", count=0)
    assert row.split()[:2] == ["own", "time"]
    assert "asleep" not in "".join(panel("where the time went", count=0))


def test_of_a_part_of_a_blocker_nobody_knows_how_it_is_split() -> None:
    rows = [" ".join(row.split()) for row in panel("where the time went", on_cpu_ns=-1)]
    assert rows[0].startswith("own time █")
    assert rows[0].endswith("14.2 s")
    assert not any(row.startswith(("on the CPU", "asleep")) for row in rows)
    assert by_type([RICH_HASH])[0].on_cpu_ns == -1
    assert by_file([RICH_HASH])[0].on_cpu_ns == RICH_HASH.on_cpu_ns
