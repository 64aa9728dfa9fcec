"""Tracepoint ids and field layouts from tracefs (Documentation/trace/events.rst).

A format is the text that describes one tracepoint's record. Its fields must never be hard-wired:
realtime kernels of the 6.1 series insert ``common_preempt_lazy_count`` and shift every field behind
it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from hud.errors import FormatError, KernelError

MOUNT_POINTS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
MOUNT = "mount -t tracefs nodev /sys/kernel/tracing"
MOST_CHARACTERS = 1 << 18
MOST_OFFSET = 1 << 16

FIELD = re.compile(
    r"^\s*field:(?P<declaration>[^;]{1,512});\s*offset:(?P<offset>\d{1,9});"
    r"\s*size:(?P<size>\d{1,9});\s*signed:(?P<signed>[01]);",
    re.ASCII | re.MULTILINE,
)
NAME = re.compile(r"([A-Za-z_]\w*)\s*(?:\[[^\]]*\]\s*)*$", re.ASCII)


class FieldLayout(NamedTuple):
    """Bytes of one field in the record that a tracepoint program receives."""

    offset: int
    size: int
    signed: bool


def parse_format(text: str) -> dict[str, FieldLayout]:
    """Fields by name, ``common_*`` included; FormatError if the text describes none."""
    if len(text) > MOST_CHARACTERS:
        raise FormatError("tracepoint format: longer than 256 KiB")
    fields = {}
    for match in FIELD.finditer(text):
        name = NAME.search(match["declaration"])
        offset, size = int(match["offset"]), int(match["size"])
        if name is None or offset + size > MOST_OFFSET:
            raise FormatError(
                f"tracepoint format: field {match['declaration'][:60]!r} makes no sense"
            )
        fields[name[1]] = FieldLayout(offset, size, match["signed"] == "1")
    if not fields:
        raise FormatError("tracepoint format: describes no field")
    return fields


def find(mount_points: tuple[Path, ...] = MOUNT_POINTS) -> Path:
    """Where tracefs is mounted; KernelError, with the remedy, if nowhere."""
    for point in mount_points:
        try:
            if (point / "events").is_dir():
                return point
        except PermissionError as error:  # noqa: PERF203
            raise KernelError(f"read {point}: permission denied", hint="run as root") from error
    raise KernelError("tracefs not mounted", hint=MOUNT)


def _read(category: str, name: str, leaf: str, tracefs: Path | None) -> str:
    root = tracefs or find()
    path = root / "events" / category / name / leaf
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(MOST_CHARACTERS + 1)
    except FileNotFoundError as error:
        raise KernelError(
            f"tracepoint {category}/{name} not found: this kernel does not have it"
        ) from error
    except PermissionError as error:
        raise KernelError(f"read {path}: permission denied", hint="run as root") from error
    except OSError as error:
        raise KernelError(f"read {path}: {(error.strerror or str(error)).lower()}") from error


def tracepoint_id(category: str, name: str, tracefs: Path | None = None) -> int:
    """The number that perf_event_open wants; KernelError without tracefs or such a tracepoint."""
    text = _read(category, name, "id", tracefs).strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise FormatError(f"tracepoint {category}/{name}: id {text[:20]!r} is no number")
    return int(text)


def tracepoint_format(
    category: str, name: str, tracefs: Path | None = None
) -> dict[str, FieldLayout]:
    """The layout of a tracepoint's record on this kernel."""
    return parse_format(_read(category, name, "format", tracefs))
