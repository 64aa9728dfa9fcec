"""Comma-separated values (RFC 4180): one episode a row, for spreadsheets and databases.

A spreadsheet takes a cell that begins like a formula for one: such text gets a ``'`` before it.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from hud.export.telling import Telling

if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from hud.analysis.results import Snapshot
    from hud.analysis.snapshot import Analyzer

COLUMNS = (
    "start_ns",
    "duration_ns",
    "blocked_ns",
    "on_cpu_ns",
    "asleep_ns",
    "waiting_ns",
    "stopped_ns",
    "cause",
    "function",
    "operation",
    "file",
    "line",
    "place",
    "worker_id",
    "tid",
    "task_id",
    "task_type",
    "tasks_behind",
    "syscall",
    "detail",
    "evidence",
    "advice",
    "in_progress",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    told = Telling(analyzer, snapshot)
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    try:
        rows = csv.writer(text)
        rows.writerow(COLUMNS)
        for episode in told.episodes:
            row = told.row(episode)
            rows.writerow([_cell(row.get(name, "")) for name in COLUMNS])
    finally:
        text.detach()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
