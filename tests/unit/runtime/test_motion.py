"""A CONTEXT of no known layout, found by what changes around its pointer to the scheduler."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.runtime.context import NONE
from hud.runtime.motion import Fields, Observation, fields_of

SIZE, POINTER, ID, BUDGET, RUNTIME = 160, 64, 88, 132, 134
TASKS = frozenset({7, 8, 9})
LAUNCH_JOB = 2


def observation(
    task: int = 0, *, current: bool | None = False, task_id: int = ID, tag: int = NONE
) -> Observation:
    """A thread in a poll of ``task``, or between polls; ``current`` None: outside of a runtime."""
    data = bytearray(SIZE)
    inside = current is not None
    held = (task or LAUNCH_JOB) if inside else 0
    struct.pack_into("<Q", data, POINTER, 0x7000_0000 if inside else 0)
    struct.pack_into("<Q", data, task_id, held)
    struct.pack_into("<Q", data, 40, 7)  # equal to a task's id by chance
    if tag != NONE:
        struct.pack_into("<Q", data, tag, bool(held))
    data[BUDGET : BUDGET + 2] = (1, 128) if task else (0, 0)
    data[RUNTIME] = 2 if current is None else 0 if current else 1
    return Observation(bytes(data), current, TASKS & {7, task} if inside else frozenset())


POLLS = [observation(task) for task in (7, 7, 8, 0, 9, 0, 0)]
OUTSIDE = [observation(current=None)]


def test_all_fields_are_told_by_what_polls_change() -> None:
    assert fields_of([*POLLS, *OUTSIDE], POINTER) == Fields(NONE, ID, BUDGET, RUNTIME)


def test_a_current_thread_scheduler_is_told_by_the_thread_outside() -> None:
    polls = [observation(task, current=True) for task in (7, 8, 9, 0, 0)]
    assert fields_of([*polls, *OUTSIDE], POINTER) == Fields(NONE, ID, BUDGET, RUNTIME)


def test_the_word_that_says_whether_there_is_an_id() -> None:
    tagged = [observation(task, tag=ID - 8) for task in (7, 8, 9, 0)]
    outside = [observation(current=None, tag=ID - 8)]
    assert fields_of([*tagged, *outside], POINTER) == Fields(ID - 8, ID, BUDGET, RUNTIME)


def test_a_task_that_polls_without_a_budget_now_and_then_does_not_disturb() -> None:
    unconstrained = observation()
    data = bytearray(unconstrained.data)
    struct.pack_into("<Q", data, ID, 9)
    rare = Observation(bytes(data), False, TASKS)
    assert isinstance(fields_of([*POLLS, *POLLS, rare, *OUTSIDE], POINTER), Fields)
    assert isinstance(fields_of([*POLLS, rare, rare, *OUTSIDE], POINTER), str)


@pytest.mark.parametrize(
    ("observations", "reason"),
    [
        ([], "no places there look like a task's budget"),
        ([observation(), *OUTSIDE], "no places there look like a task's budget"),
        (
            [observation(7), observation(8), observation(), *OUTSIDE],
            "no place there, or more than one, has the ids of tasks while they are polled",
        ),
        (
            [one._replace(current=True) for one in POLLS],
            "no place there, or more than one, looks like how a thread entered its runtime",
        ),
    ],
)
def test_what_is_not_seen_is_not_found(observations: list[Observation], reason: str) -> None:
    found = fields_of(
        [one._replace(data=spoilt(one.data, reason)) for one in observations], POINTER
    )
    assert found == reason


def spoilt(data: bytes, reason: str) -> bytes:
    """No byte but those of the pointer is small, where that is what must be missing."""
    if "entered" not in reason:
        return data
    kept = {*range(POINTER, POINTER + 8), *range(ID, ID + 8), *range(40, 48), BUDGET, BUDGET + 1}
    return bytes(byte if at in kept else byte or 1 for at, byte in enumerate(data))


@given(st.lists(st.binary(max_size=80)), st.integers(0, 80))
def test_any_bytes_at_all(data: list[bytes], pointer: int) -> None:
    observations = [Observation(one, len(one) % 2 == 0, frozenset(one)) for one in data]
    fields_of(observations, pointer)
