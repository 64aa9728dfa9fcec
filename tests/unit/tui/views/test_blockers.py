"""The ranked list and the pane below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from draw import WHICH, GoldenCheck, drawn, text_of
from screen_build import (
    BLOCKERS,
    HASH,
    NOW,
    QUIET,
    RICH,
    S,
    many,
    snapshot,
)

from hud.analysis.snapshot import Analyzer
from hud.tui.actions import Act, Show
from hud.tui.glyphs import ASCII
from hud.tui.pages import page_of
from hud.tui.settle import settle
from hud.tui.state import At, Size, UiState

if TYPE_CHECKING:
    from hud.analysis.recording import Recording


_KNOWN = snapshot(**RICH)


@WHICH
def test_blockers(size: Size, golden: GoldenCheck) -> None:
    golden(f"blockers-{size.width}x{size.height}", drawn(snapshot(), size))


def test_ascii(golden: GoldenCheck) -> None:
    lines = drawn(snapshot(), Size(80, 24), glyphs=ASCII)
    assert all(text.isascii() for text in text_of(lines))
    golden("blockers-ascii-80x24", lines)


def test_advice_in_pane_and_drill_down() -> None:
    code = "spawn_blocking(move || bcrypt::hash(..)).await"
    for size in (Size(80, 24), Size(120, 32)):
        listed = "\n".join(text_of(drawn(snapshot(), size)))
        assert " fix     call bcrypt::hash in spawn_blocking\n" in listed
        assert (code in listed) == (size.height == 32)
        opened = "\n".join(text_of(drawn(snapshot(), size, Act.OPEN)))
        assert " fix  call bcrypt::hash in spawn_blocking" in opened
        assert " why  password hashes are slow by design" in opened
    nothing = snapshot(stacks={})
    for actions in ((), (Act.OPEN,)):
        assert "fix  " not in "\n".join(text_of(drawn(nothing, Size(120, 32), *actions)))


def test_nothing_found(golden: GoldenCheck) -> None:
    golden("quiet-100x20", drawn(snapshot(**QUIET), Size(100, 20)))


def test_columns_go_in_the_documented_order() -> None:
    order = ["last 60 s", "p99", "share", "where", "count"]
    seen_first_at = {}
    for width in range(60, 201):
        head = text_of(drawn(snapshot(), Size(width, 32)))[3].split("function")[1]
        for name in order:
            if name in head:
                seen_first_at.setdefault(name, width)
    widths = [seen_first_at[name] for name in order]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] <= 120


def test_where_joins_the_function_at_80_columns() -> None:
    lines = text_of(drawn(snapshot(), Size(80, 24)))
    assert "> 1  api::login::hash_password src/login.rs:88" in lines[4].replace(">  1", "> 1")


def test_the_view_shows_only_what_the_page_has_room_for() -> None:
    seen = many(10_000)
    lines = text_of(drawn(seen, Size(120, 32), Act.END))
    page = page_of(settle(UiState(), seen), seen, Size(120, 32))
    assert sum("service::module" in line for line in lines) == page.shown + 1
    assert any(line.startswith(" >10k  ") for line in lines)


def test_no_blocker_lost_among_equal_ones() -> None:
    twins = (HASH, HASH, *BLOCKERS)
    state = settle(UiState(), snapshot(blockers=twins))
    held = settle(state.put("blockers", At(1)), snapshot(blockers=twins, now_ns=NOW + S), held=True)
    assert len(held.rows) == len(twins)


def test_what_analysis_derives_is_shown(sample_recording: Recording) -> None:
    now_ns = sample_recording.info.start_monotonic_ns + 30 * S
    seen = Analyzer(sample_recording).snapshot(now_ns, live=False, ended="target exited")
    lines = text_of(drawn(seen, Size(120, 32)))
    for at, found in enumerate(seen.blockers):
        row = lines[4 + at]
        assert row.removeprefix(" >").split()[0] == str(at + 1)
        assert found.function in row
        assert found.where in row
        assert found.cause.value in row.split()
        assert str(found.count) in row.split()
    stacks = text_of(drawn(seen, Size(120, 32), Act.OPEN))
    assert sum("< your code blocks here" in line for line in stacks) == len(seen.blockers[0].stacks)
    workers = text_of(drawn(seen, Size(120, 32), Show("workers")))
    assert [str(use.worker.tid) in workers[4 + at] for at, use in enumerate(seen.workers)] == (
        [True] * len(seen.workers)
    )


def test_groups(golden: GoldenCheck) -> None:
    golden("by-file-100x24", drawn(_KNOWN, Size(100, 24), Act.GROUP))
    golden("by-type-100x24", drawn(_KNOWN, Size(100, 24), Act.GROUP, Act.GROUP))


def test_a_group_of_several_says_which_and_what_to_do_about_the_largest(
    golden: GoldenCheck,
) -> None:
    """The advice, its median and the stack are of one blocker, not of a mixture."""
    lines = drawn(_KNOWN, Size(100, 30), Act.GROUP, Act.GROUP, Act.DOWN)
    golden("mixed-group-100x30", lines)
    opened = text_of(drawn(_KNOWN, Size(100, 30), Act.GROUP, Act.GROUP, Act.DOWN, Act.OPEN))
    assert any(line.startswith(" functions  the largest") for line in opened)
