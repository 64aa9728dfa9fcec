"""The nearest of some addresses along jumps and straight code."""

from __future__ import annotations

from hud.symbols.machine.flow import JUMP, Flow, within


def test_straight_code_up_to_a_stop() -> None:
    flow = Flow([], [0x20])
    assert flow.nearest(0x10, [0x18, 0x1C], ahead=True) == (8, 0x18)
    assert flow.nearest(0x10, [0x24], ahead=True) is None
    assert flow.nearest(0x24, [0x18], ahead=False) is None
    assert flow.nearest(0x1C, [0x14, 0x18], ahead=False) == (4, 0x18)


def test_a_jump_leads_past_a_stop_and_costs_something() -> None:
    flow = Flow([(0x14, 0x40)], [0x20])
    assert flow.nearest(0x10, [0x44], ahead=True) == (4 + JUMP + 4, 0x44)
    assert flow.nearest(0x44, [0x10], ahead=False) == (4 + JUMP + 4, 0x10)
    assert flow.nearest(0x18, [0x44], ahead=True) is None  # behind the jump


def test_the_nearer_of_two_ways() -> None:
    flow = Flow([(0x12, 0x80)], [0x70])
    assert flow.nearest(0x10, [0x60, 0x81], ahead=True) == (2 + JUMP + 1, 0x81)
    assert flow.nearest(0x10, [0x14, 0x81], ahead=True) == (4, 0x14)


def test_what_is_reached() -> None:
    flow = Flow([(0x14, 0x40), (0x44, 0x10)], [0x20, 0x50])
    assert flow.reached(0x10) == [(0x10, 0x20), (0x40, 0x50)]
    assert flow.reached(0x18) == [(0x18, 0x20)]
    assert flow.stopped_at([0x14]).reached(0x10) == [(0x10, 0x14)]


def test_a_loop_ends() -> None:
    flow = Flow([(0x10, 0x10)], [])
    assert flow.nearest(0x10, [0x8], ahead=True) is None


def test_within() -> None:
    ranges = [(1, 3), (5, 6)]
    assert [within(ranges, vaddr) for vaddr in range(7)] == [
        False, True, True, False, False, True, False
    ]  # fmt: skip
    assert not within([], 1)
