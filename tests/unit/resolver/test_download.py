"""Downloads from a server of this test's own, in the unprivileged process that makes them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hud.resolver import download
from hud.resolver.download import Downloads, Fetched, servers

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
