"""JSON Lines: one episode a line, by the time of its begin; `hud help exports` has the fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.export.telling import Telling

if TYPE_CHECKING:
    from typing import BinaryIO

    from hud.analysis.results import Snapshot
    from hud.analysis.snapshot import Analyzer


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    import msgspec

    encode = msgspec.json.Encoder().encode
    told = Telling(analyzer, snapshot)
    rows = ({**told.row(one), "stack": told.lines(one.stack)} for one in told.episodes)
    out.writelines(encode(row) + b"\n" for row in rows)
