"""Paths as a code host knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hud.export.places import in_project, project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("file", "inside"),
    [
        ("{root}/src/login.rs", "src/login.rs"),
        ("{root}/src/not there.rs", "src/not there.rs"),
        ("/build/app/src/login.rs", "src/login.rs"),
        ("/build/app/api/src/lib.rs", "api/src/lib.rs"),
        ("src/login.rs", "src/login.rs"),
        ("/elsewhere/main.rs", "/elsewhere/main.rs"),
        ("/build/../src/login.rs", "src/login.rs"),
        ("x" * 5000, "x" * 5000),
        ("/a\0/src/login.rs", "src/login.rs"),
    ],
)
def test_a_file_is_named_inside_the_project(tmp_path: Path, file: str, inside: str) -> None:
    for name in ("src/login.rs", "src/lib.rs", "api/src/lib.rs"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert in_project(file.format(root=tmp_path), tmp_path) == inside


def test_the_project_is_what_the_service_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert project() == tmp_path
    monkeypatch.setenv("CI_PROJECT_DIR", "/builds/group/app")
    assert str(project()) == "/builds/group/app"
    monkeypatch.setenv("GITHUB_WORKSPACE", "/actions/app/app")
    assert str(project()) == "/actions/app/app"
