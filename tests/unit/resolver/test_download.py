"""Downloads from a server of this test's own, in the unprivileged process that makes them."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

import pytest

from hud.resolver import download, seccomp
from hud.resolver.download import Downloads, Fetched, servers
from tests.unit.resolver.test_confinement import ATTEMPTS, NEW, outcome

PATIENCE_S = 60
CONTENT = bytes(range(256)) * 5000


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        *before, home, what, last = self.path.split("/")
        assert (home, last) == ("buildid", "debuginfo")
        if before == ["", "short"]:
            what = "cc"
        elif before != [""]:
            what = ""
        if what == "60":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/file")
            self.end_headers()
        elif what == "61":
            self.send_response(302)
            self.send_header("Location", "/buildid/aa/debuginfo")
            self.end_headers()
        elif what in ("aa", "cc"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT) + (what == "cc")))
            self.end_headers()
            self.wfile.write(CONTENT)
        else:
            self.send_error(404)

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def get(downloads: Downloads, build_id: str, path: Path) -> str:
    with path.open("wb") as file:
        assert downloads.request(build_id, file.fileno())
    return ended(downloads, build_id)


def ended(downloads: Downloads, build_id: str) -> str:
    """Why the one download that was asked for did not succeed; empty if it did."""
    end = time.monotonic() + PATIENCE_S
    found: list[Fetched] = []
    while not found and time.monotonic() < end:
        time.sleep(0.01)
        found = downloads.done()
    ((answered, why_not),) = found
    assert answered == build_id
    return why_not


def test_a_file_redirects_and_refusals(url: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with Downloads((f"{url}/missing", url)) as downloads:
        assert get(downloads, "aa", path) == ""
        assert path.read_bytes() == CONTENT
        assert get(downloads, "61", path) == ""
        assert path.read_bytes() == CONTENT
        assert "404" in get(downloads, "bb", path)
        assert path.read_bytes() == b""
        assert "a redirect to ftp://127.0.0.1/file" in get(downloads, "60", path)
        assert path.read_bytes() == b""
        short = f"{len(CONTENT)} bytes instead of {len(CONTENT) + 1}"
        assert short in get(downloads, "cc", path)
    with pytest.raises(ProcessLookupError):
        os.kill(downloads._child.pid, 0)


@pytest.fixture
def certificate(need: Callable[[object, str], None]) -> Iterator[Path]:
    """Of localhost, with its key; anybody may read it, unlike what is in pytest's own directory."""
    need(shutil.which("openssl"), "openssl")
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).chmod(0o644)
        options = ["-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=localhost"]
        options += ["-addext", "subjectAltName=DNS:localhost", "-keyout", file.name]
        made = subprocess.run(["openssl", "req", *options], check=True, capture_output=True)
        with Path(file.name).open("ab") as more:
            more.write(made.stdout)
        yield Path(file.name)


def test_a_server_with_a_name_and_a_certificate(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("no_proxy", "localhost")
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with Downloads((f"https://localhost:{server.server_port}",)) as downloads:
                assert get(downloads, "aa", tmp_path / "file") == ""
        finally:
            server.shutdown()
            thread.join()
    assert (tmp_path / "file").read_bytes() == CONTENT


ALLOWED = ("TCP", "UDP", "a Unix socket", "reading a file")


def try_all(_url: str, _descriptor: int) -> NoReturn:
    raise ValueError(repr({name: outcome(act) for name, act in ATTEMPTS.items()}))


def test_a_download_reaches_servers_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "fetch", try_all)
    monkeypatch.setitem(ATTEMPTS, "listening", lambda: socket.create_server(("127.0.0.1", 0)))
    with Downloads(("http://x",)) as downloads:
        said = get(downloads, "aa", tmp_path / "file")
    found = ast.literal_eval(said.removeprefix("http://x: "))
    assert found == {name: "done" if name in ALLOWED else "EPERM" for name in ATTEMPTS}


def test_landlock_keeps_a_download_from_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the filter would not: in a directory where anybody may."""
    only = ("TCP", "reading a file", "writing a file", "a directory")
    monkeypatch.setattr(download, "fetch", try_all)
    monkeypatch.setattr(seccomp, "allow_only_the_table", lambda **_: None)
    for name in ATTEMPTS.keys() - set(only):
        monkeypatch.delitem(ATTEMPTS, name)
    with Downloads(("http://x",)) as downloads:
        said = get(downloads, "aa", tmp_path / "file")
    found = ast.literal_eval(said.removeprefix("http://x: "))
    if found["a directory"] == "done":
        Path(NEW).rmdir()
        pytest.skip("this kernel has no Landlock")
    assert found == {name: "done" if name in ALLOWED else "EACCES" for name in only}


def test_the_next_server_begins_anew(url: str, tmp_path: Path) -> None:
    with Downloads((f"{url}/short", url)) as downloads:
        assert get(downloads, "aa", tmp_path / "file") == ""
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_the_size_is_bounded(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SIZE_LIMIT", 1 << 20)
    with Downloads((url,)) as downloads:
        assert get(downloads, "aa", tmp_path / "file") == f"{url}: more than 1 MB"


def test_a_dead_child_ends_every_download(url: str, tmp_path: Path) -> None:
    with Downloads((url,)) as downloads:
        # stopped first: a request to a dead child is refused, one that it had not read is lost
        os.kill(downloads._child.pid, signal.SIGSTOP)
        with (tmp_path / "file").open("wb") as file:
            assert downloads.request("aa", file.fileno())
        os.kill(downloads._child.pid, signal.SIGKILL)
        assert ended(downloads, "aa") == "the download died"
        with (tmp_path / "file").open("wb") as file:
            assert not downloads.request("bb", file.fileno())


def test_only_web_servers() -> None:
    setting = "https://a.example/  http://b.example file:///etc ftp://c.example"
    assert servers(setting) == ("https://a.example", "http://b.example")
    assert servers("") == ()


def test_name_services_are_loaded_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: str) -> None:
        loaded.append(name)
        raise OSError("not here")

    monkeypatch.setattr(download.ctypes, "CDLL", load)
    setting = tmp_path / "nsswitch.conf"
    setting.write_text(
        "# hosts: no\npasswd: files\nhosts:\tfiles mdns4_minimal [NOTFOUND=return] dns\n"
    )
    download._load_name_services(setting)
    assert loaded == ["libnss_files.so.2", "libnss_mdns4_minimal.so.2", "libnss_dns.so.2"]
    setting.write_text("passwd: files\n")
    download._load_name_services(setting)
    download._load_name_services(tmp_path / "none")
    assert len(loaded) == 3
