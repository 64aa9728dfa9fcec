"""The prebuilt files that come with hud: BPF objects, the demo server, their manifest.

In a source tree they lie in ``prebuilt/`` beside the package; a wheel and the zipapp's unpacked
tree carry them as ``hud/prebuilt``.
"""

from __future__ import annotations

from pathlib import Path

from hud.errors import ObjectError

_PACKAGE = Path(__file__).resolve().parent


def directory() -> Path:
    """The directory that holds the prebuilt files; it need not exist."""
    installed = _PACKAGE / "prebuilt"
    return installed if installed.is_dir() else _PACKAGE.parent / "prebuilt"


def names() -> list[str]:
    """Names of the prebuilt files here, sorted; empty when there are none."""
    try:
        return sorted(entry.name for entry in directory().iterdir() if entry.is_file())
    except FileNotFoundError:
        return []


def path(name: str) -> Path:
    """Where the prebuilt file ``name`` lies. Raises ObjectError when it is not among them."""
    if name not in names():
        raise ObjectError(
            f"prebuilt file {name}: not part of this installation",
            hint="install hud again, or run tools/build_bpf in its source tree",
        )
    return directory() / name


def read(name: str) -> bytes:
    """The bytes of the prebuilt file ``name``. Raises ObjectError when it cannot be had."""
    try:
        return path(name).read_bytes()
    except OSError as error:
        raise ObjectError(
            f"prebuilt file {name}: {(error.strerror or 'unreadable').lower()}"
        ) from error
