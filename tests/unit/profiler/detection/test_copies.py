"""Which copies of Tokio are looked at, by which index and name, and when to look for more."""

from __future__ import annotations

import pytest

from hud.model import Detection, Rung
from hud.probe import wire
from hud.profiler.detection import copies as module
from hud.profiler.detection.context import Context, Copy, Refusal
from hud.profiler.detection.copies import Copies
from hud.runtime.context import ContextLayout


def copy(module_id: int, name: str = "", tokio: str = "1.45 to 1.54") -> Copy:
    layout = ContextLayout(tokio, 80, 64, -1, 48, 68, 70, 40, -1, 104, -1, "why", module_id)
    return Copy(layout, name, "why", {})


def found(*copies: Copy, incomplete: bool = False) -> Context:
    return Context(copies, Detection(Rung.CONTEXT, ""), incomplete)


def test_new_ones_come_after_the_known() -> None:
    copies = Copies()
    one, two = copy(0), copy(3, "api.so")
    assert copies.learn(found(two)) == [two]
    assert copies.learn(found(one, two)) == [one]
    assert copies.known == (two, one)
    layouts = copies.layouts
    assert [(layout.module, layout.tls_offset, layout.core) for layout in layouts] == [
        (3, 64, -1),
        (0, 64, -1),
    ]


def test_no_more_than_the_kernel_has_room_for() -> None:
    copies = Copies()
    many = [copy(number) for number in range(2, 9)]
    assert copies.learn(found(*many)) == many[: wire.MAX_LAYOUTS]
    assert copies.learn(found(*many)) == []


def test_what_was_refused_does_not_come_back_but_in_another_program() -> None:
    copies = Copies()
    both = found(copy(0), copy(3))
    copies.learn(both)
    assert copies.refuse_last() == both.copies[1]
    assert copies.learn(both) == []
    assert copies.known == both.copies[:1]
    copies.clear()
    assert copies.learn(both) == list(both.copies)


def test_runtimes_have_names_where_there_are_several() -> None:
    copies = Copies()
    copies.learn(found(copy(0)))
    assert copies.runtime(0) == ""
    copies.learn(found(copy(3, "api.so")))
    assert [copies.runtime(index) for index in range(3)] == ["executable", "api.so", ""]
    copies.learn(found(copy(4, "api.so", "1.29 to 1.39"), copy(5, "api.so")))
    assert [copies.runtime(index) for index in range(4)] == [
        "executable",
        "api.so, tokio 1.45 to 1.54 #1",
        "api.so, tokio 1.29 to 1.39",
        "api.so, tokio 1.45 to 1.54 #2",
    ]


def test_what_is_missing_is_looked_for_again_ever_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    copies = Copies()
    copies.learn(Refusal("no tokio", ()))
    now += 1e6
    assert not copies.due()
    looked = []
    begun = now
    copies.learn(Refusal("nobody has entered it", ("1.54.1",), incomplete=True))
    while now < begun + 200:
        now += 0.25
        if copies.due():
            looked.append(now - begun)
            copies.learn(Refusal("nobody has entered it", ("1.54.1",), incomplete=True))
    assert looked == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 123.5, 183.5]
    copies.learn(found(copy(3)))
    now += 1e6
    assert not copies.due()
    copies.hurry()
    copies.learn(Refusal("nobody has entered it", ("1.54.1",), incomplete=True))
    now += 0.06
    assert copies.due()


def test_where_something_new_is_mapped_it_is_looked_for_often_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    copies = Copies()
    missing = Refusal("no sign of tokio", (), incomplete=True)
    for _ in range(6):
        copies.learn(missing)
    now += module.FIRST_PAUSE_S
    assert not copies.due()
    copies.hurry()
    copies.learn(missing)
    now += module.FIRST_PAUSE_S
    assert copies.due()
