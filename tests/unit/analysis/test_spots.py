"""Which addresses' code is worth reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.snapshot import Analyzer
from hud.analysis.spots import MOST_BLOCKERS, blamed_frame, spot_of, spots
from hud.model import Frame, Origin, Spot, Stack

if TYPE_CHECKING:
    from hud.analysis.recording import Recording


def test_spots_of_a_run(sample_recording: Recording) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    found = spots(snapshot)
    assert 0 < len(found) <= min(MOST_BLOCKERS, len(snapshot.blockers))
    first = snapshot.blockers[0]
    stack = snapshot.stacks[first.stacks[0][0]]
    frame = blamed_frame(first, snapshot.stacks)
    assert frame is not None
    assert frame.function == first.function
    assert found[0] == Spot(frame.address, True, first.file, first.line)
    assert frame.address in stack.addresses[1:]


def test_no_spot_without_names(sample_recording: Recording) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    first = snapshot.blockers[0]
    key = first.stacks[0][0]
    assert spot_of(first, {}) is None
    assert spot_of(first, {key: Stack((1, 2), True)}) is None
    assert spot_of(first, {key: Stack((), True, frames=())}) is None
    kernel = Frame(1 << 63, "do_sys_open", origin=Origin.KERNEL)
    assert spot_of(first, {key: Stack((7,), True, frames=(kernel,))}) is None
    nameless = Frame(7, module="/app", offset=5)
    found = spot_of(first, {key: Stack((7,), True, frames=(kernel, nameless))})
    assert found == Spot(7, False, "", 0)


def test_spot_of_a_tail_call_is_the_jump_itself(sample_recording: Recording) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    first = snapshot.blockers[0]
    jump = Frame(70, "app::nap", file="a.rs", line=3, origin=Origin.USER, recovered=True)
    stack = Stack((7, 90), True, frames=(Frame(7, "sleep"), jump, Frame(90, "app::main")))
    assert spot_of(first, {first.stacks[0][0]: stack}) == Spot(70, False, "a.rs", 3)
