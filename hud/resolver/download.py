"""Fetches debug files from debuginfod servers, in a process of its own without any privilege.

Such a server has debug files by build id (elfutils, debuginfod(8)):
``GET URL/buildid/HEX/debuginfo``. The child gets an open file to write to, and says how it went;
the symbol resolver checks whether the file is the right one. Fork before any BPF object exists.
"""

from __future__ import annotations

import ctypes
import os
import re
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec

from hud.closing import Closing
from hud.resolver import child, messages
from hud.resolver.confinement import (
    EXIT_CRASHED,
    allow_only_downloads,
    drop_privileges,
    leave_parent,
)

SIZE_LIMIT = 128 << 20
"""Bytes of one file: half of what the cache keeps."""
MEMORY_LIMIT = 1 << 30
ANSWER_S = 10.0
"""Without a byte from the server."""
WHOLE_S = 300.0
"""For one file from one server."""
MOST_URLS = 16
SCHEMES = ("http://", "https://")

_CHUNK = 1 << 18


class Fetched(NamedTuple):
    """How the download of one build id went."""

    build_id: str
    why_not: str
    """Empty: the file is whole."""


def servers(setting: str) -> tuple[str, ...]:
    """The usable ones of DEBUGINFOD_URLS, which separates them by spaces."""
    urls = (url.rstrip("/") for url in setting.split())
    return tuple(url for url in urls if url.startswith(SCHEMES))[:MOST_URLS]


class Downloads(Closing):
    """The downloading process; a context manager. It fetches one file after another."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Forks; OSError if refused."""
        chosen = tuple(urls)
        self._child = child.fork(lambda sock, parent: _run(sock, parent, chosen))
        self._asked: list[str] = []

    def request(self, build_id: str, descriptor: int) -> bool:
        """Have a debug file written to an open file, still the caller's; False: not now."""
        try:
            messages.send(self._child.socket, build_id.encode(), [descriptor])
        except OSError:
            return False
        self._asked.append(build_id)
        return True

    def done(self) -> list[Fetched]:
        """What has ended since the last call; never blocks. A dead child ends all of it."""
        found = []
        while self._asked:
            try:
                packet, descriptors = messages.receive(self._child.socket, wait=False)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                packet, descriptors = b"", []
            messages.close_all(descriptors)
            try:
                build_id, why_not = msgspec.msgpack.decode(packet, type=tuple[str, str])
                self._asked.remove(build_id)
            except (msgspec.MsgspecError, ValueError):
                found += [Fetched(build_id, "the download died") for build_id in self._asked]
                self._asked.clear()
                break
            found.append(Fetched(build_id, why_not))
        return found

    def close(self) -> None:
        """End the child and reap it."""
        self._child.end(at_once=True)


def _run(sock: socket.socket, parent: int, urls: tuple[str, ...]) -> NoReturn:
    status = EXIT_CRASHED
    try:
        sock = leave_parent(sock)
        _import_everything()
        drop_privileges(MEMORY_LIMIT, SIZE_LIMIT)
        allow_only_downloads()
        if os.getppid() == parent:
            _serve(sock, urls)
        status = 0
    finally:
        os._exit(status)


def _import_everything() -> None:
    """What is imported late otherwise may be out of reach once root is gone."""
    import encodings.idna  # noqa: F401
    import http.client  # noqa: F401
    import ssl  # noqa: F401
    import urllib.request  # noqa: F401

    _load_name_services(Path("/etc/nsswitch.conf"))


def _load_name_services(setting: Path) -> None:
    """What the C library asks for addresses (nsswitch.conf(5)): it would load that code later."""
    with suppress(OSError):
        hosts = re.search(r"^\s*hosts:(.*)", setting.read_text(), re.MULTILINE)
        for service in re.sub(r"\[.*?\]|#.*", "", hosts[1]).split() if hosts else ():
            with suppress(OSError):
                ctypes.CDLL(f"libnss_{service}.so.2")


def _serve(sock: socket.socket, urls: tuple[str, ...]) -> None:
    while True:
        packet, descriptors = messages.receive(sock)
        if not packet:
            return
        build_id = packet.decode()
        why_not = "its file did not arrive"
        if descriptors:
            why_not = _fetch_from_any(urls, build_id, descriptors[0])
        messages.close_all(descriptors)
        sock.send(messages.encode((build_id, why_not[:2000])))


def _fetch_from_any(urls: tuple[str, ...], build_id: str, descriptor: int) -> str:
    reasons = []
    for url in urls:
        why_not = _try(f"{url}/buildid/{build_id}/debuginfo", descriptor)
        if not why_not:
            return ""
        reasons.append(f"{url}: {why_not}")
    return "; ".join(reasons)


def _try(url: str, descriptor: int) -> str:
    import http.client

    try:
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        fetch(url, descriptor)
    except (OSError, ValueError, http.client.HTTPException) as why:
        return str(why) or type(why).__name__
    return ""


def fetch(url: str, descriptor: int) -> None:
    """Write what a URL gives to a file; OSError (urllib's own are), ValueError, HTTPException."""
    import urllib.request

    class HttpOnly(urllib.request.HTTPRedirectHandler):
        """Redirects to file: or ftp: are refused."""

        def redirect_request(  # type: ignore[no-untyped-def]
            self, req, fp, code, msg, headers, newurl
        ):
            if not newurl.startswith(SCHEMES):
                raise ValueError(f"a redirect to {newurl}")
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    if not url.startswith(SCHEMES):
        raise ValueError("neither http nor https")
    end = time.monotonic() + WHOLE_S
    size = 0
    request = urllib.request.Request(url, headers={"User-Agent": "hud"})
    with urllib.request.build_opener(HttpOnly).open(request, timeout=ANSWER_S) as answer:
        expected = answer.headers.get("Content-Length")
        while chunk := answer.read1(_CHUNK):
            size += len(chunk)
            if size > SIZE_LIMIT:
                raise ValueError(f"more than {SIZE_LIMIT >> 20} MB")
            if time.monotonic() > end:
                raise ValueError(f"not whole after {WHOLE_S:.0f} s")
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
    if expected and expected.isdecimal() and int(expected) != size:
        raise ValueError(f"{size} bytes instead of {expected}")
