"""What cannot be written is known before anything is attached."""

from __future__ import annotations

from pathlib import Path

import pytest

from hud.commands.output import Output, check
from hud.errors import UsageError


def test_what_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    check(Output())
    check(Output(str(tmp_path / "x.json")))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="no export format named 'svg'"):
        check(Output(str(tmp_path / "x.json"), "svg"))
    with pytest.raises(UsageError, match="cannot export to"):
        check(Output(str(tmp_path)))
