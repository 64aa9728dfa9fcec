"""Tokio versions as tuples that compare: (major, minor, patch), without pre-release and build."""

from __future__ import annotations

import re

Version = tuple[int, int, int]

_VERSION = re.compile(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?(?![\d.])", re.ASCII)


def parse_version(text: str) -> Version | None:
    """``1.54.1`` or ``1.54`` as a tuple; None if ``text`` begins with nothing of the kind."""
    found = _VERSION.match(text.strip())
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def version_text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def minor_between(version: Version, first: tuple[int, int], last: tuple[int, int]) -> bool:
    """Whether (major, minor) lies between two, both included."""
    return first <= version[:2] <= last
