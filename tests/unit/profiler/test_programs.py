"""Whose threads ran while workers waited: by process."""

from __future__ import annotations

from pathlib import Path

from hud.model import Culprit
from hud.profiler.programs import Programs


def test_a_thread_has_the_name_of_its_process(tmp_path: Path) -> None:
    comm = tmp_path / "70" / "comm"
    comm.parent.mkdir()
    comm.write_text("rustc\n")
    programs = Programs(tmp_path)
    named = programs.named(
        [Culprit(71, 70, "opt cgu.03"), Culprit(80, 80, "cc1"), Culprit(91, 90, "gone")]
    )
    assert [one.process for one in named] == ["rustc", "cc1", ""]
    comm.unlink()
    (again,) = programs.named([Culprit(72, 70, "opt cgu.04")])
    assert again.process == "rustc", "it was looked up once"
