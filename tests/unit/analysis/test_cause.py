"""Each cause is a row of its own."""

from __future__ import annotations

import pickle

from hud.analysis.cause import BY_RANK, Cause


def test_no_two_causes_share_a_letter_or_a_rank() -> None:
    assert len({cause.letter for cause in Cause}) == len(Cause)
    ranks = [cause.signs.rank for cause in BY_RANK if cause.signs.functions or cause.signs.kernel]
    assert ranks == list(range(1, len(ranks) + 1))


def test_a_cause_is_its_word() -> None:
    assert Cause("fsync") is Cause.SYNC
    assert pickle.loads(pickle.dumps(Cause.SYNC)) is Cause.SYNC
    assert [cause.value for cause in Cause if not cause.blames_code] == ["wait", "stopped"]
