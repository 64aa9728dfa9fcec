"""How sure the figures are, in words."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from hud.export import sure
from hud.model import Losses, Rung

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot


def test_every_loss_has_words() -> None:
    names = [field.name for field in fields(Losses)]
    assert list(sure.LOSSES) == names
    losses = Losses(**dict.fromkeys(names, 1200))
    words = sure.losses_in_words(losses)
    assert words.count("1,200 ") == len(names)
    assert sure.losses_in_words(Losses()) == "nothing lost"
    assert sure.losses_in_words(Losses(stacks_gone=1)) == "1 stack gone before being read"
    assert set(sure.SEEN) == set(Rung)


def test_what_was_left_out_on_purpose_is_no_loss() -> None:
    said = sure.losses_in_words(Losses(stacks_skipped=9))
    assert said == "nothing lost, 9 stacks skipped to limit the cost"
    said = sure.losses_in_words(Losses(stacks_skipped=1, ring_full=2))
    assert said == "2 events lost, ring buffer full, 1 stack skipped to limit the cost"


def test_complete_is_never_rounded_up(snapshot: Snapshot) -> None:
    almost = replace(snapshot, stacks_total=100_000, stacks_complete=99_999)
    assert "99.9 % of stacks complete" in sure.how_sure(almost)
    assert "every stack complete" in sure.how_sure(replace(almost, stacks_complete=100_000))
    half = replace(almost, stacks_complete=50_000, stacks_end="no unwind rule in libfoo.so")
    assert "50 % of stacks complete (others: no unwind rule in libfoo.so)" in sure.how_sure(half)


def test_every_poll_is_seen_only_where_samples_are_as_frequent(snapshot: Snapshot) -> None:
    info = snapshot.info
    often = replace(info, sample_period_ns=info.threshold_ns)
    seldom = replace(info, sample_period_ns=info.threshold_ns + 1)
    assert sure.how_sure(replace(snapshot, info=often)).startswith("every long poll seen, ")
    assert sure.how_sure(replace(snapshot, info=seldom)).startswith("polls read from CONTEXT, ")
    lossy = replace(snapshot, info=often, losses=Losses(ring_full=1))
    assert sure.how_sure(lossy).startswith("polls read from CONTEXT, ")
