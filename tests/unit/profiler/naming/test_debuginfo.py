"""Where debug files are looked for, and what the resolver makes of them."""

from __future__ import annotations

import os
import shutil
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from hud.errors import UsageError
from hud.profiler.naming.cache import Cache
from hud.profiler.naming.debugfiles import (
    DebugFile,
    DebugFileSearch,
    object_paths,
    package_paths,
    separate_paths,
)
from hud.profiler.naming.debuginfo import DebugInfo, Identity
from hud.profiler.notes import Notes
from hud.resolver.client import Resolver
from hud.resolver.download import Downloads
from hud.resolver.messages import AskFrames, Frames
from tests.builders import elfbuild as b
from tests.builders.asked import ask
from tests.builders.elfbuild import TEXT, Sec, Sym
from tests.builders.splitdwarf import PLACES, dwo, dwp, make

PID = 7
PATIENCE_S = 60
BUILD_ID = "0a0b0c0d"
NOTE = Sec(".note.gnu.build-id", b.note(3, b"GNU\0", bytes.fromhex(BUILD_ID)), 7)


def whole(name: str, *more: Sec) -> bytes:
    return b.elf([*more, *b.symbol_sections([Sym(name, TEXT, 0x1000)])])


class World:
    """The target's root and the host's, and a resolver."""

    def __init__(self, tmp_path: Path, resolver: Resolver) -> None:
        self.tmp = tmp_path
        self.root, self.host = tmp_path / "container", tmp_path / "host"
        self.host.mkdir()
        self.root.mkdir()
        (tmp_path / "proc" / str(PID)).mkdir(parents=True)
        (tmp_path / "proc" / str(PID) / "root").symlink_to(self.root)
        shutil.copy("/proc/self/status", tmp_path / "proc" / str(PID))
        self.resolver = resolver
        self.notes = Notes()
        self.cache = Cache(tmp_path / "cache" / "modules")

    def put(self, path: str, content: bytes, *, host: bool = False) -> None:
        place = (self.host if host else self.root) / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def files(self, *named: str) -> DebugFileSearch:
        return DebugFileSearch(PID, named, self.tmp / "proc", self.host)

    def info(self, *named: str, downloads: Downloads | None = None) -> DebugInfo:
        return DebugInfo(self.resolver, self.files(*named), self.cache, downloads, self.notes)

    def module(self, path: str, content: bytes) -> int:
        self.put(path, content)
        with (self.root / path.lstrip("/")).open("rb") as file:
            return self.resolver.add_module(file.fileno(), path)

    def pump(self, info: DebugInfo) -> bool:
        """All answers taken; was something better?"""
        assert self.resolver.run_until(lambda: not self.resolver.pending(), PATIENCE_S)
        better, info.better = info.better, False
        return better

    def names(self, info: DebugInfo, module: int, vaddr: int = TEXT) -> list[str]:
        answer = ask(self.resolver, AskFrames(module, [vaddr]))
        self.pump(info)
        assert isinstance(answer, Frames)
        return [frame.raw for frame in answer.frames[0]]


@pytest.fixture(scope="module")
def resolver() -> Iterator[Resolver]:
    with Resolver() as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, resolver: Resolver) -> World:
    return World(tmp_path, resolver)


# --------------------------------------------------------------------------- where


def test_places() -> None:
    assert list(separate_paths("/opt/app", "abcdef12", "app.debug")) == [
        "/usr/lib/debug/.build-id/ab/cdef12.debug",
        "/opt/app.debug",
        "/opt/.debug/app.debug",
        "/usr/lib/debug/opt/app.debug",
    ]
    assert list(package_paths("/opt/app", "", "app.debug"))[:3] == [
        "/opt/app.dwp",
        "/opt/app.debug.dwp",
        "/opt/app.dwp",
    ]
    assert list(object_paths("/opt/app", "/build/a.dwo")) == ["/build/a.dwo", "/opt/a.dwo"]
    assert list(object_paths("/opt/app", "x/a.dwo")) == ["/opt/x/a.dwo", "/opt/a.dwo"]


@pytest.mark.parametrize("build_id", ["../../etc", "ABCDEF", "ab", "", "a" * 300])
def test_no_path_from_an_odd_build_id(build_id: str) -> None:
    assert list(separate_paths("/opt/app", build_id, "")) == []


@pytest.mark.parametrize("link", ["", "..", "../x", "a/b", "x" * 256, "a\0b"])
def test_no_path_from_an_odd_link(link: str) -> None:
    assert list(separate_paths("/opt/app", "", link)) == []


@pytest.mark.parametrize("name", ["/etc/shadow", "/a.dwo/../x", "a.dwo" * 900, ""])
def test_no_path_from_an_odd_object(name: str) -> None:
    assert list(object_paths("/opt/app", name)) == []


def test_the_targets_root_comes_first_and_one_file_once(world: World) -> None:
    where = f"/usr/lib/debug/.build-id/{BUILD_ID[:2]}/{BUILD_ID[2:]}.debug"
    world.put(where, b"container")
    world.put(where, b"host", host=True)
    world.put("/opt/app.debug", b"")
    os.link(world.root / "opt/app.debug", world.root / "same")
    (world.root / "opt/.debug").mkdir()
    (world.root / "opt/.debug/app.debug").symlink_to("/same")
    found = world.files().separate("/opt/app", BUILD_ID, "app.debug")
    content = []
    for candidate in found:
        with open(candidate.descriptor, "rb") as file:
            content.append((candidate.path, file.read()))
    assert content == [(where, b"container"), (where, b"host"), ("/opt/app.debug", b"")]


def test_of_the_host_only_its_debug_directories_are_read_by_build_id_only(world: World) -> None:
    """Any other path of the host would be the choice of a container."""
    outside = "/usr/lib/secret.debug"
    world.put("/usr/lib/debug/opt/app.debug", b"chosen by a link's name", host=True)
    world.put(outside, b"out of the directory", host=True)
    for path in ("/opt/app.debug", "/opt/.debug/app.debug", "/opt/app.dwp", "/build/a.dwo"):
        world.put(path, b"beside the program", host=True)
    by_build_id = world.host / f"usr/lib/debug/.build-id/{BUILD_ID[:2]}"
    by_build_id.mkdir(parents=True)
    (by_build_id / f"{BUILD_ID[2:]}.debug").symlink_to("../../../secret.debug")
    files = world.files()
    assert files.separate("/opt/app", BUILD_ID, "app.debug") == []
    assert files.packages("/opt/app", BUILD_ID, "app.debug") == []
    assert files.split_object("/opt/app", "/build/a.dwo") is None

    world.put("/usr/lib/debug/.dwz/common.debug", b"of the directory", host=True)
    (by_build_id / f"{BUILD_ID[2:]}.debug").unlink()
    (by_build_id / f"{BUILD_ID[2:]}.debug").symlink_to("../../.dwz/common.debug")
    (found,) = files.separate("/opt/app", BUILD_ID, "app.debug")
    with open(found.descriptor, "rb") as file:
        assert file.read() == b"of the directory"


def test_a_named_file_must_be_there(world: World) -> None:
    with pytest.raises(UsageError, match="--debug-file /nowhere: no such file"):
        world.info("/nowhere")


# --------------------------------------------------------------------------- what comes of it


def test_a_build_id_directory_of_the_host(world: World) -> None:
    where = f"/usr/lib/debug/.build-id/{BUILD_ID[:2]}/{BUILD_ID[2:]}.debug"
    world.put(where, whole("wrong"))
    world.put(where, whole("right", NOTE), host=True)
    module = world.module("/opt/app", b.elf([NOTE]))
    info = world.info()
    info.begin(module, Identity("/opt/app", BUILD_ID, "", False))
    assert len(info.debug_files(module)) == 2
    assert world.pump(info)
    assert world.names(info, module) == ["right"]
    assert info.unused() == []


def test_a_debug_link(world: World) -> None:
    debug = whole("linked")
    crc = zlib.crc32(debug).to_bytes(4, "little")
    world.put("/opt/.debug/app.debug", debug)
    program = b.elf([Sec(".gnu_debuglink", b"app.debug\0\0\0" + crc)])
    module = world.module("/opt/app", program)
    info = world.info()
    info.begin(module, Identity("/opt/app", "", "app.debug", False))
    assert world.pump(info)
    assert world.names(info, module) == ["linked"]


def test_a_file_that_the_user_names(world: World, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(whole("mine", NOTE))
    (tmp_path / "other").write_bytes(whole("other"))
    info = world.info(str(tmp_path / "mine"), str(tmp_path / "other"))
    module = world.module("/opt/app", b.elf([NOTE]))
    info.begin(module, Identity("/opt/app", BUILD_ID, "", True))
    library = world.module("/opt/lib.so", b.elf())
    info.begin(library, Identity("/opt/lib.so", "", "", False))
    world.pump(info)
    assert world.names(info, module) == ["mine"]
    assert info.unused() == [f"--debug-file: {tmp_path}/other: {tmp_path}/mine is in use"]
    assert info.unused() == []
    info.close()


@pytest.mark.parametrize("package", [False, True])
def test_split_debug_info(package: bool, world: World) -> None:
    made = make(5)
    if package:
        world.put("/opt/app.dwp", dwp(5, made))
    else:
        world.put("/build/outer.dwo", dwo(made))
    module = world.module("/opt/app", made.program)
    info = world.info()
    info.begin(module, Identity("/opt/app", "", "", True))
    reply = ask(world.resolver, AskFrames(module, list(PLACES)))
    assert isinstance(reply, Frames)
    assert info.fetch_objects(module, reply.objects, 0)
    assert world.names(info, module, TEXT + 0x44) == ["inner", "outer"]
    assert list(world.notes) == []
    # another answer was on its way meanwhile: once more, and no oftener
    assert info.fetch_objects(module, reply.objects, 0)
    assert not info.fetch_objects(module, reply.objects, 1)


def test_split_debug_info_that_is_gone(world: World) -> None:
    module = world.module("/opt/app", make(5).program)
    info = world.info()
    info.begin(module, Identity("/opt/app", "", "", True))
    assert not info.fetch_objects(module, ["/build/a.dwo", "/build/b.dwo"], 0)
    assert not info.fetch_objects(module, ["/build/c.dwo"], 0)
    assert list(world.notes) == ["/opt/app: split debug info not found: /build/a.dwo"]


class Server(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        Server.asked.append(self.path)
        content = whole("fetched", NOTE) if BUILD_ID in self.path else whole("wrong")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Downloads]:
    Server.asked = []
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        with Downloads((f"http://127.0.0.1:{server.server_port}",)) as made:
            thread.start()
            yield made
        server.shutdown()
        thread.join()


def _until_offered(info: DebugInfo, world: World) -> bool:
    for _ in range(PATIENCE_S * 100):
        info.poll()
        if world.resolver.pending():
            return world.pump(info)
        threading.Event().wait(0.01)
    return False


def test_debuginfod_and_its_cache(world: World, downloads: Downloads) -> None:
    module = world.module("/opt/app", b.elf([NOTE]))
    info = world.info(downloads=downloads)
    info.begin(module, Identity("/opt/app", BUILD_ID, "", False))
    assert _until_offered(info, world)
    assert world.names(info, module) == ["fetched"]
    assert Server.asked == [f"/buildid/{BUILD_ID}/debuginfo"]
    info.close()

    again = world.module("/opt/app", b.elf([NOTE]))
    info = world.info(downloads=downloads)
    info.begin(again, Identity("/opt/app", BUILD_ID, "", False))
    assert world.pump(info)
    assert world.names(info, again) == ["fetched"]
    assert len(Server.asked) == 1


def test_a_server_that_sends_another_build(world: World, downloads: Downloads) -> None:
    other = Sec(".note.gnu.build-id", b.note(3, b"GNU\0", b"\1\2\3\4"), 7)
    module = world.module("/opt/app", b.elf([other]))
    info = world.info(downloads=downloads)
    info.begin(module, Identity("/opt/app", "01020304", "", False))
    assert not _until_offered(info, world)
    assert world.cache.open("debug-01020304") is None
    assert world.names(info, module) == [""]


def test_one_file_is_fetched_after_another(world: World, downloads: Downloads) -> None:
    """So much room is kept in the cache."""
    ids = [f"0102030{number}" for number in range(3)]
    info = world.info(downloads=downloads)
    for build_id in ids:
        note = Sec(".note.gnu.build-id", b.note(3, b"GNU\0", bytes.fromhex(build_id)), 7)
        module = world.module("/opt/app", b.elf([note]))
        info.begin(module, Identity("/opt/app", build_id, "", False))
    writing = world.cache._directory
    assert writing is not None
    assert len(list(writing.glob(".new-*"))) == 1
    for _ in ids:
        _until_offered(info, world)
    assert Server.asked == [f"/buildid/{build_id}/debuginfo" for build_id in ids]
    info.close()
    assert list(writing.glob(".new-*")) == []


def test_candidates_are_places(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    with (tmp_path / "a").open("rb") as file:
        device, inode, size, _ = DebugFile(file.fileno(), "a").state
    status = (tmp_path / "a").stat()
    assert (device, inode, size) == (status.st_dev, status.st_ino, 3)
