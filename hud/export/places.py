"""Files of the target as a code host knows them: by their path inside the project.

The debug information has the paths of the machine that built the target. The project is the folder
that the CI service names, else the one that hud was started in.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

VARIABLES = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""Of GitHub and of GitLab."""


def project() -> Path:
    """The project's folder."""
    named = filter(None, map(os.environ.get, VARIABLES))
    return Path(next(named, "") or Path.cwd())


def in_project(file: str, root: Path) -> str:
    """The path inside ``root`` of a file of the target's own code; unchanged where it has none.

    Built in another place, it is the longest end of the path that is a file of the project.
    """
    path = PurePosixPath(file)
    if path.is_relative_to(root):
        return str(path.relative_to(root))
    ends = (PurePosixPath(*path.parts[at:]) for at in range(path.is_absolute(), len(path.parts)))
    return str(next((end for end in ends if _is_file(root / end)), path))


def _is_file(path: Path) -> bool:
    try:
        return ".." not in path.parts and path.is_file()
    except (OSError, ValueError):  # too long, or no path at all
        return False
