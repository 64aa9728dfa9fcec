"""The load against a small server of Python's own: what it asks, how it counts, when it ends."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hud.demo import load as demo_load


class Recorder(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((demo_load.HOST, 0), Answer)
        self.asked: Counter[str] = Counter()
        self.connections = 0
        self.bodies: set[bytes] = set()

    def process_request(self, *arguments) -> None:
        self.connections += 1
        super().process_request(*arguments)


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_POST(self) -> None:
        self.server.asked[self.path] += 1
        self.server.bodies.add(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200 if self.path != "/lost" else 404)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Recorder]:
    recorder = Recorder()
    thread = threading.Thread(target=recorder.serve_forever, args=(0.01,))
    thread.start()
    yield recorder
    recorder.shutdown()
    thread.join()
    recorder.server_close()


def drive(server: Recorder, **settings) -> demo_load.Counts:
    counters = demo_load.LoadCounters()
    demo_load.drive(server.server_port, counters, pause_s=0, **{"seconds": 30, **settings})
    return counters.read()


def test_every_endpoint_is_asked_and_its_good_twin_too() -> None:
    bad = {path for path in demo_load.PATHS if path != "/" and not path.startswith("/good")}
    assert bad == {"/hash", "/parse", "/compress", "/read", "/dns", "/lock", "/sleep"}
    assert {path for path in demo_load.PATHS if path.startswith("/good")} == {
        f"/good{path}" for path in bad
    }


def test_the_number_of_requests_is_exact_and_spread_over_the_paths(server: Recorder) -> None:
    assert drive(server, requests=42, clients=4, paths=("/a", "/b")) == (42, 0)
    assert sum(server.asked.values()) == 42
    assert abs(server.asked["/a"] - server.asked["/b"]) <= 4
    assert server.bodies == {demo_load.BODY}


def test_a_client_keeps_its_connection(server: Recorder) -> None:
    drive(server, requests=30, clients=3)
    assert server.connections == 3


def test_an_answer_other_than_200_counts_as_failed(server: Recorder) -> None:
    assert drive(server, requests=6, clients=1, paths=("/a", "/lost")) == (3, 3)


def test_the_time_is_a_bound_too(server: Recorder) -> None:
    counters = demo_load.LoadCounters()
    begin = time.monotonic()
    demo_load.drive(server.server_port, counters, seconds=0.2, clients=2, pause_s=0.01)
    assert 0.2 <= time.monotonic() - begin < 10
    assert 2 <= counters.read().answered <= 60


def test_clients_give_up_when_the_server_is_gone() -> None:
    recorder = Recorder()
    recorder.server_close()
    tally = drive(recorder, clients=2)
    assert tally == (0, 2 * demo_load.MAX_FAILURES)


def test_the_load_runs_in_another_process_and_its_count_is_seen_here(server: Recorder) -> None:
    counters = demo_load.LoadCounters()
    with demo_load.running(server.server_port, counters, seconds=30):
        children = _children()
        deadline = time.monotonic() + 20
        while counters.read().answered < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert counters.read().answered >= 5
    assert len(children) == 1
    assert _children() == []


def test_the_load_ends_when_its_user_raises(server: Recorder) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        demo_load.running(server.server_port, demo_load.LoadCounters(), seconds=30),
    ):
        raise KeyboardInterrupt
    assert _children() == []


def _children() -> list[str]:
    with open(f"/proc/self/task/{os.getpid()}/children") as children:
        return children.read().split()
