"""The demo server, prebuilt and from source, and ``run_demo`` around it."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import program
import pytest
import targets
from elftools.elf.elffile import ELFFile

from hud.commands import demo
from hud.demo import load as demo_load
from hud.demo import server as demo_server

pytestmark = pytest.mark.e2e

BAD = ("/hash", "/parse", "/compress", "/read", "/dns", "/lock", "/sleep")
BODIES = {
    "/hash": b"$2b$10$",
    "/parse": b"20000 rows",
    "/compress": b" bytes",
    "/read": b"25165728 bytes",
    "/dns": b" addresses",
    "/lock": b"1 entries",
    "/sleep": b"rested",
}


def get(port: int, path: str, method: str = "POST") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, b"a password" if method == "POST" else None)
    reply = connection.getresponse()
    result = reply.status, reply.read()
    connection.close()
    return result


def thread_names(pid: int) -> list[str]:
    return sorted(path.read_text().strip() for path in Path(f"/proc/{pid}/task").glob("*/comm"))


@pytest.mark.parametrize("flavor", ["multi_thread", "current_thread"])
def test_every_endpoint_answers(prebuilt_demo: Path, flavor: str) -> None:
    with targets.demo_server(prebuilt_demo, "--workers", "2", "--flavor", flavor) as server:
        assert get(server.port, "/") == (200, b"ok\n")
        assert get(server.port, "/", "GET") == (200, b"ok\n")
        for path in BAD:
            for twin in (path, f"/good{path}"):
                status, body = get(server.port, twin)
                assert status == 200, twin
                assert BODIES[path] in body, twin
        assert get(server.port, "/nowhere")[0] == 404
        assert get(server.port, "/", "DELETE")[0] == 405


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_a_malformed_request_is_refused_and_the_server_lives(
    prebuilt_demo: Path, request_bytes: bytes
) -> None:
    import socket

    with targets.demo_server(prebuilt_demo) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            client.sendall(request_bytes)
            assert client.recv(100).startswith(b"HTTP/1.1 400 ")
        assert get(server.port, "/")[0] == 200


def test_options_name_and_number_the_workers(prebuilt_demo: Path) -> None:
    with targets.demo_server(prebuilt_demo, "--workers", "3", "--thread-name", "api") as server:
        assert get(server.port, "/")[0] == 200
        wanted = [*["api"] * 3, "cache-refresher", prebuilt_demo.name[:15]]
        # a thread names itself once it runs
        assert program.within(10, lambda: thread_names(server.pid) == wanted)


def test_a_current_thread_server_has_no_worker_threads(prebuilt_demo: Path) -> None:
    with targets.demo_server(prebuilt_demo, "--flavor", "current_thread") as server:
        assert get(server.port, "/sleep")[0] == 200
        wanted = ["cache-refresher", prebuilt_demo.name[:15]]
        assert program.within(10, lambda: thread_names(server.pid) == wanted)


def test_the_server_ends_by_itself_and_leaves_no_file(prebuilt_demo: Path, tmp_path: Path) -> None:
    command = [prebuilt_demo, "--port", "0", "--seconds", "1", "--dir", tmp_path]
    assert subprocess.run(command, timeout=30, stdout=subprocess.DEVNULL).returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [["--port", "x"], ["--port", "70000"], ["--flavor", "x"], ["--what", "1"], ["--dir"]]
)
def test_wrong_options_are_usage_errors(prebuilt_demo: Path, options: list[str]) -> None:
    done = subprocess.run([prebuilt_demo, *options], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "usage: demo-server" in done.stderr


def test_the_prebuilt_server_is_an_ordinary_release_build(prebuilt_demo: Path) -> None:
    content = prebuilt_demo.read_bytes()
    assert len(content) <= 4 << 20
    with prebuilt_demo.open("rb") as file:
        elf = ELFFile(file)
        names = {section.name for section in elf.iter_sections()}
        symbols = {symbol.name for symbol in elf.get_section_by_name(".symtab").iter_symbols()}
    assert {".symtab", ".eh_frame"} <= names
    assert not [name for name in names if name.startswith(".debug")]
    assert any("hash_password" in name for name in symbols)
    assert b"/tokio-1.54.1/src/" in content
    assert b"/bcrypt-" in content or b"/blowfish-" in content or b"/flate2-" in content


def test_nothing_of_the_building_machine_is_in_the_prebuilt_server(prebuilt_demo: Path) -> None:
    content = prebuilt_demo.read_bytes()
    places = [targets.ROOT, Path.home(), Path(tempfile.gettempdir()) / "tmp", "/home/", "/root/"]
    assert [str(place) for place in places if str(place).encode() in content] == []
    assert b".rustup" not in content
    assert b".cargo" not in content


def test_the_manifest_tells_the_prebuilt_servers_hash_and_sources(prebuilt_demo: Path) -> None:
    manifest = json.loads((targets.ROOT / "prebuilt" / "manifest.json").read_text())
    entry = manifest[prebuilt_demo.name]
    assert entry["sha256"] == hashlib.sha256(prebuilt_demo.read_bytes()).hexdigest()
    crate = targets.CRATES / "demo-server"
    sources = [crate / "Cargo.toml", crate / "Cargo.lock", *(crate / "src").iterdir()]
    assert entry["sources"] == {
        str(path.relative_to(targets.ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sources
    }


def test_the_prebuilt_server_is_what_its_sources_give(
    prebuilt_demo: Path, need: Callable[[object, str], None]
) -> None:
    need(targets.cargo_at_hand(), "cargo")
    done = subprocess.run(
        [sys.executable, targets.ROOT / "tools" / "build_demo", "--check"],
        capture_output=True,
        text=True,
    )
    if done.returncode == 2:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("tokio", targets.TOKIO_VERSIONS)
def test_the_server_builds_with_each_tokio(build_target: Callable[..., Path], tokio: str) -> None:
    binary = build_target("demo-server", tokio=tokio, debug=2)
    assert f"/tokio-{tokio}/src/".encode() in binary.read_bytes()
    with targets.demo_server(binary, "--workers", "2") as server:
        for path in BAD:
            assert get(server.port, path)[0] == 200, path
            assert get(server.port, f"/good{path}")[0] == 200, path


def test_a_build_is_made_once(build_target: Callable[..., Path]) -> None:
    first = build_target("nap", features="multi")
    before = first.stat()
    second = build_target("nap", features="multi")
    assert second == first
    assert second.stat().st_ino == before.st_ino
    assert build_target("nap", profile="dev") != first


@pytest.mark.parametrize("tokio", [targets.TOKIO_VERSIONS[0], targets.TOKIO_VERSIONS[-1]])
def test_the_zoo_tells_the_truth(
    build_target: Callable[..., Path], tmp_path: Path, tokio: str
) -> None:
    truth = tmp_path / "truth"
    with targets.zoo(build_target("zoo", tokio=tokio), truth, "--seconds", "2") as running:
        tids = {int(path.name) for path in Path(f"/proc/{running.pid}/task").iterdir()}
        assert running.process.wait(60) == 0
        pid = running.pid
    first, *lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert first == {"pid": pid, "workers": 4, "flavor": "multi_thread"}
    blocking = {line["kind"] for line in lines if not line["allowed"]}
    allowed = {line["kind"] for line in lines if line["allowed"]}
    assert blocking == {
        "cpu", "sort", "bcrypt", "deflate", "json", "thread_sleep", "mutex", "rwlock", "condvar",
        "mpsc_recv", "task_holder", "task_waiter", "file_fsync", "tcp", "dns", "pipe", "child",
        "page_fault", "page_touch", "drop_map", "block_on", "deep_await", "root",
    }  # fmt: skip
    assert allowed == {
        "spawn_blocking", "block_in_place", "tokio_fs", "yield_now", "timer", "timers",
    }  # fmt: skip
    waiting = {"mutex", "rwlock", "condvar", "mpsc_recv", "task_waiter", "tcp", "pipe", "dns"}
    for line in lines:
        assert line["end"] > line["begin"]
        assert (line["task"] is None) == (line["kind"] == "root")
        # Who is waited for may have been held up itself before the measured wait.
        if line["kind"] not in waiting:
            assert line["end"] - line["begin"] >= 12_000_000 - 100_000, line
    ids = {(line["kind"], line["task"]) for line in lines}
    assert len(ids) == len(blocking | allowed)
    assert {line["tid"] for line in lines if line["kind"] == "root"} == {pid}
    assert pid in tids


def test_a_current_thread_zoo_blocks_its_main_thread(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    truth = tmp_path / "truth"
    options = ("--seconds", "1", "--flavor", "current_thread", "--kinds", "cpu,pipe,timer")
    with targets.zoo(build_target("zoo"), truth, *options) as running:
        assert running.process.wait(60) == 0
    lines = [json.loads(line) for line in truth.read_text().splitlines()[1:]]
    assert {line["kind"] for line in lines} == {"cpu", "pipe", "timer"}
    assert {line["tid"] for line in lines} == {running.pid}


# --------------------------------------------------------------------------- run_demo


@pytest.fixture
def private_tmp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory that any user may enter, as the only place for the demo."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        monkeypatch.setattr(demo_server, "directories", lambda _: [Path(directory)])
        yield Path(directory)


def status(pid: int, field: str) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(f"{field}:"))


def children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_the_demo_runs_unprivileged_under_load_and_leaves_nothing(
    prebuilt_demo: Path, private_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    seen: dict[str, object] = {}

    def profile(pid: int) -> int:
        time.sleep(1.5)
        seen["uids"] = [status(child, "Uid") for child in children()]
        seen["groups"] = [status(child, "Groups") for child in children()]
        seen["exe"] = Path(f"/proc/{pid}/exe").readlink()
        seen["alive"] = children()
        return 42

    said: list[str] = []
    assert demo.run_demo(profile, seconds=2, say=said.append) == 42
    assert seen["uids"] == [["65534"] * 4] * 2
    assert seen["groups"] == [[]] * 2
    assert str(seen["exe"]).startswith(str(private_tmp))
    assert len(seen["alive"]) == 2
    assert children() == []
    assert list(private_tmp.iterdir()) == []
    assert said[0] == f"demo server: prebuilt {prebuilt_demo.name}"
    match = re.fullmatch(r"load: (\d+) requests answered, 0 failed; all stopped", said[-1])
    assert match
    assert int(match[1]) >= 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_the_demo_stops_all_when_the_profile_does_not_end_well(
    prebuilt_demo: Path, private_tmp: Path, error: type[BaseException]
) -> None:
    def profile(pid: int) -> int:
        raise error

    with pytest.raises(error):
        demo.run_demo(profile, seconds=2, say=lambda _: None)
    assert children() == []
    assert list(private_tmp.iterdir()) == []


def test_the_demo_says_when_its_server_died(prebuilt_demo: Path, private_tmp: Path) -> None:
    def profile(pid: int) -> int:
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        return 0

    said: list[str] = []
    assert demo.run_demo(profile, seconds=2, say=said.append) == 0
    assert "demo server: ended by itself, status -9" in said


def test_what_the_demo_started_dies_with_it(prebuilt_demo: Path, private_tmp: Path) -> None:
    program = (
        "import sys, time; from hud.commands import demo\n"
        "def profile(pid): print(pid, flush=True); time.sleep(60); return 0\n"
        "demo.run_demo(profile, seconds=60, say=lambda _: None)\n"
    )
    environment = {**os.environ, "TMPDIR": str(private_tmp), "PYTHONPATH": str(targets.ROOT)}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as hud:
        assert hud.stdout is not None
        server = int(hud.stdout.readline())
        task = Path(f"/proc/{hud.pid}/task/{hud.pid}/children")
        started = [int(pid) for pid in task.read_text().split()]
        assert server in started
        assert len(started) == 2
        hud.kill()
    deadline = time.monotonic() + 20
    while (left := [pid for pid in started if running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def running(pid: int) -> bool:
    try:
        return status(pid, "State")[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_noexec_place_is_passed_over_and_said(
    prebuilt_demo: Path,
    private_tmp: Path,
    monkeypatch: pytest.MonkeyPatch,
    need: Callable[[object, str], None],
) -> None:
    with tempfile.TemporaryDirectory() as noexec:
        mount = ["mount", "-t", "tmpfs", "-o", "noexec,mode=0777", "none", noexec]
        need(subprocess.run(mount).returncode == 0, "mounting a tmpfs")
        try:
            places = [Path(noexec), private_tmp]
            monkeypatch.setattr(demo_server, "directories", lambda _: places)
            said: list[str] = []
            assert demo.run_demo(lambda pid: 5, seconds=1, say=said.append) == 5
            assert f"demo server: {noexec} is mounted noexec, so it is in {private_tmp}" in said
        finally:
            subprocess.run(["umount", noexec], check=True)


def test_a_place_that_the_guest_cannot_enter_is_passed_over(
    prebuilt_demo: Path, private_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    with tempfile.TemporaryDirectory() as closed:
        monkeypatch.setattr(demo_server, "directories", lambda _: [Path(closed), private_tmp])
        said: list[str] = []
        assert demo.run_demo(lambda pid: 0, seconds=1, say=said.append) == 0
        assert f"demo server: {closed} does not let programs run, so it is in {private_tmp}" in said
        assert list(Path(closed).iterdir()) == []


def test_the_demo_builds_its_server(private_tmp: Path, need: Callable[[object, str], None]) -> None:
    need(targets.cargo_at_hand(), "cargo")
    said: list[str] = []
    account = []

    def profile(pid: int) -> int:
        account.append(Path(f"/proc/{pid}/exe").read_bytes()[:4])
        return 0

    assert demo.run_demo(profile, seconds=1, say=said.append, build=True) == 0
    assert said[0].startswith("demo server: building it with ")
    assert account == [b"\x7fELF"]
    assert list(private_tmp.iterdir()) == []
    assert set(demo_load.BAD) == set(BAD)
