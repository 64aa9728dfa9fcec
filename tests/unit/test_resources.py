"""The prebuilt files, beside the package or inside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hud import resources
from hud.errors import ObjectError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "hud"
    made.mkdir()
    monkeypatch.setattr(resources, "_PACKAGE", made)
    return made


def put(directory: Path, content: bytes) -> None:
    directory.mkdir()
    (directory / "a.o").write_bytes(content)


def test_an_installed_package_has_its_own(package: Path) -> None:
    put(package.parent / "prebuilt", b"tree")
    assert resources.read("a.o") == b"tree"
    put(package / "prebuilt", b"wheel")
    assert resources.read("a.o") == b"wheel"
    assert resources.path("a.o") == package / "prebuilt" / "a.o"


def test_what_is_not_there_is_said_with_the_remedy(package: Path) -> None:
    assert resources.names() == []
    put(package / "prebuilt", b"")
    (package / "prebuilt" / "folder").mkdir()
    assert resources.names() == ["a.o"]
    for name in ("b.o", "folder", "../hud/prebuilt/a.o"):
        with pytest.raises(ObjectError, match="not part of this installation") as caught:
            resources.read(name)
        assert "tools/build_bpf" in caught.value.hint
