"""Who runs the demo server, where it is put, and what happens when it cannot be started."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hud import resources
from hud.demo import server as demo_server
from hud.errors import HudError

LISTENS = """#!/bin/sh
echo "listening on 127.0.0.1:4711"
exec sleep 60
"""


def test_tmpdir_comes_first_and_each_place_once() -> None:
    assert demo_server.directories({"TMPDIR": "/var/tmp"})[:2] == [Path("/var/tmp"), Path("/tmp")]
    assert demo_server.directories({"TMPDIR": ""}) == demo_server.directories({})
    assert demo_server.directories({})[0] == Path("/tmp")


def test_a_place_must_exist(tmp_path: Path) -> None:
    assert demo_server.unfit(tmp_path) == ""
    assert demo_server.unfit(tmp_path / "none") == "is absent"


@pytest.fixture
def prebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Path]:
    """``prebuilt(content)``: that file is the demo server; the place where it will be put."""

    def set_up(content: bytes) -> Path:
        name = f"demo-server-{os.uname().machine}"
        (tmp_path / "prebuilt").mkdir()
        (tmp_path / "prebuilt" / name).write_bytes(content)
        (tmp_path / "place").mkdir()
        monkeypatch.setattr(resources, "directory", lambda: tmp_path / "prebuilt")
        monkeypatch.setattr(demo_server, "directories", lambda _: [tmp_path / "place"])
        return tmp_path / "place"

    return set_up


def test_the_server_is_in_a_private_place_that_vanishes(
    prebuilt: Callable[[bytes], Path],
) -> None:
    place = prebuilt(LISTENS.encode())
    said: list[str] = []
    with demo_server.running(None, seconds=60, say=said.append) as (process, port):
        (inside,) = place.iterdir()
        assert stat.S_IMODE(inside.stat().st_mode) == 0o700
        assert port == 4711
        assert process.poll() is None
        assert os.getsid(process.pid) == process.pid
    assert process.returncode == -15
    assert list(place.iterdir()) == []
    assert said == [f"demo server: prebuilt demo-server-{os.uname().machine}"]


def test_a_server_that_ends_at_once_is_an_error_with_its_words(
    prebuilt: Callable[[bytes], Path],
) -> None:
    place = prebuilt(b"#!/bin/sh\necho no room >&2\nexit 1\n")
    with (
        pytest.raises(HudError, match="it does not listen") as raised,
        demo_server.running(None, seconds=60, say=lambda _: None),
    ):
        pass
    assert raised.value.detail == "no room\n"
    assert list(place.iterdir()) == []


def test_a_file_that_is_no_program_is_an_error(prebuilt: Callable[[bytes], Path]) -> None:
    place = prebuilt(b"\x7fELF but not really")
    with (
        pytest.raises(HudError, match="start the demo server: exec format error"),
        demo_server.running(None, seconds=60, say=lambda _: None),
    ):
        pass
    assert list(place.iterdir()) == []


def test_the_place_vanishes_when_its_user_raises(prebuilt: Callable[[bytes], Path]) -> None:
    place = prebuilt(LISTENS.encode())
    with (
        pytest.raises(KeyboardInterrupt),
        demo_server.running(None, seconds=60, say=lambda _: None) as (process, _),
    ):
        raise KeyboardInterrupt
    assert process.returncode == -15
    assert list(place.iterdir()) == []


def test_the_next_place_is_taken_and_said(
    prebuilt: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = prebuilt(LISTENS.encode())
    monkeypatch.setattr(demo_server, "directories", lambda _: [Path("/none"), place])
    said: list[str] = []
    with demo_server.running(None, seconds=60, say=said.append):
        pass
    assert said[-1] == f"demo server: /none is absent, so it is in {place}"


def test_nowhere_to_start_it_names_every_place_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo_server, "directories", lambda _: [Path("/none"), Path("/nil")])
    with (
        pytest.raises(HudError, match="/none is absent; /nil is absent") as raised,
        demo_server.running(None, seconds=60, say=lambda _: None),
    ):
        pass
    assert "TMPDIR" in raised.value.hint


def test_an_architecture_without_a_prebuilt_server_is_an_error(
    prebuilt: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = prebuilt(LISTENS.encode())
    monkeypatch.setattr(demo_server.platform, "machine", lambda: "riscv64")
    with (
        pytest.raises(HudError, match="none prebuilt for riscv64") as raised,
        demo_server.running(None, seconds=60, say=lambda _: None),
    ):
        pass
    assert "--build" in raised.value.hint
    assert list(place.iterdir()) == []
