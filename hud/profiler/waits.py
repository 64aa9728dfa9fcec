"""What long sleeps were about, in words: the file or peer, and the kernel functions they slept in.

The kernel side reports it once for each distinct wait (bpf_src/wait.h), as it was during the sleep:
of a sleep that is over nobody asks /proc what a descriptor is, for it may be closed or reused by
now. What can still be wrong is the mount that a path is shown under, where one file system is
mounted at several places. Only of a sleep that still goes on /proc is asked.
"""

from __future__ import annotations

import re
import socket
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

from hud.model import RESEND_NS, Frame, Kind, Origin, Sample, Stack, ThreadState
from hud.probe.wire import WAIT_NAME, Wait
from hud.process.descriptors import describe
from hud.process.kallsyms import KernelNames, kernel_names
from hud.process.mounts import Mount, mounts_of, path_at

MOST_WAITS = 4096
MOST_STACKS = 60_000
MOST_JOINED = 20_000
MOST_LASTING = 4096
MOST_DESCRIPTORS = 1 << 20
MOST_HASTE_NS = 50_000_000
"""A shorter sleep is not worth a question: it will be reported when it ends."""
MOUNTS_AGAIN_S = 5.0
_NOTHING_SAID = re.compile(
    r"^(__)?(io_)?schedule(_\w+)?$ | ^entry_ | ^(__)?do_syscall | ^(__)?x64_sys_call$ "
    r"| ^(__)?(x64|ia32|arm64)_sys_ | ^el0t?_ | ^invoke_syscall | ^asm_ | ^irqentry_"
    r"| ^preempt_ | ^bpf_ | ^__traceiter | ^__bpf_",
    re.VERBOSE,
)
"""Kernel functions that are on every such stack."""


class Description(NamedTuple):
    """One wait in words."""

    detail: str
    """``/data/index``, ``10.0.0.7:5432``; empty = unknown."""
    frames: tuple[Frame, ...]
    """Kernel functions, innermost first."""


NOTHING = Description("", ())


class Waits:
    """Looks up each wait once."""

    def __init__(
        self,
        pid: int,
        wait: Callable[[int], Wait | None],
        asleep_since: Callable[[int], int],
        say: Callable[[str], None],
    ) -> None:
        """``wait`` fetches one from the kernel, ``asleep_since`` says when the sleep of a thread
        began (0 = awake); ``say`` gets a sentence of what is missing."""
        self._pid = pid
        self._wait = wait
        self._asleep_since = asleep_since
        self._say = say
        self._known: dict[int, Description] = {}
        self._users: dict[int, Stack] = {}
        """The stacks of user code as they were last sent."""
        self._older: dict[int, Stack] = {}
        """Those not sent since ``_users`` began anew."""
        self._begun_ns = 0
        self._inner: dict[int, dict[int, tuple[Frame, ...]]] = {}
        """By the user stack's key, then by the joined one's: the kernel's part."""
        self._outer: dict[int, int] = {}
        """Joined key -> the user stack's."""
        self._fresh: set[int] = set()
        """Joined stacks that are yet to be sent."""
        self._lasting: dict[tuple[int, int], int] = {}
        """The type of descriptor by tid and begin of a sleep."""
        self._names: KernelNames | None = None
        self._mounts: list[Mount] = []
        self._mounts_read = float("-inf")

    def take(
        self, samples: list[Sample], stacks: dict[int, Stack]
    ) -> tuple[list[Sample], dict[tuple[int, int], str]]:
        """The samples, sleeps with the kernel's functions in their stacks; ``Batch.details``.

        ``stacks`` are those that came with the samples.
        """
        self._cache_stacks(stacks)
        details = {}
        taken = []
        for sample in samples:
            if sample.kind == Kind.SLEEP and sample.value:
                about = self.of(sample.value)
                if about.detail:
                    details[sample.tid, sample.time_ns] = about.detail
                if about.frames and sample.stack:
                    sample = sample._replace(stack=self._joined(sample.stack, about))
            taken.append(sample)
        return taken, details

    def join(self, stacks: dict[int, Stack]) -> None:
        """Add to these stacks, some of them new or named now, those that go on into the kernel."""
        self._cache_stacks(stacks)
        for key in [key for key in stacks if key in self._inner]:
            self._fresh |= self._inner[key].keys()
        for joined in self._fresh:
            key = self._outer[joined]
            user = self._user(key)
            if user is not None:
                inner = self._inner[key][joined]
                frames = None if user.frames is None else inner + user.frames
                stacks[joined] = replace(user, frames=frames)
        self._fresh.clear()

    def _cache_stacks(self, stacks: dict[int, Stack]) -> None:
        self._users |= stacks
        now = time.monotonic_ns()
        if now - self._begun_ns > RESEND_NS or len(self._users) > MOST_STACKS:
            self._begun_ns = now
            self._forget(self._older.keys() - self._users.keys())
            self._older, self._users = self._users, {}

    def _user(self, key: int) -> Stack | None:
        return self._users.get(key) or self._older.get(key)

    def _forget(self, keys: Iterable[int]) -> None:
        """They will be sent again if samples refer to them, and their joined ones with them."""
        for key in keys:
            for joined in self._inner.pop(key, ()):
                del self._outer[joined]
                self._fresh.discard(joined)

    def _joined(self, key: int, about: Description) -> int:
        """The key of a stack that goes on into the kernel; its own where there is no more room."""
        names = "\n".join(frame.function for frame in about.frames)
        digest = blake2b(f"{key:x}\n{names}".encode(), digest_size=8).digest()
        joined = int.from_bytes(digest, "little") | 1
        if joined not in self._outer:
            if self._user(key) is None or len(self._outer) >= MOST_JOINED:
                return key
            self._outer[joined] = key
            self._inner.setdefault(key, {})[joined] = about.frames
            self._fresh.add(joined)
        return joined

    def lasting(
        self, state: ThreadState, now_ns: int, details: dict[tuple[int, int], str]
    ) -> ThreadState:
        """A thread that sleeps in a poll, with what its call is about as far as /proc says.

        Asked once for each sleep; the answer counts if the same sleep goes on after it.
        """
        sleep = state.tid, state.since_ns
        if sleep not in self._lasting:
            if now_ns - state.since_ns < MOST_HASTE_NS or state.argument > MOST_DESCRIPTORS:
                return state
            found = describe(self._pid, state.argument)
            if self._asleep_since(state.tid) != state.since_ns:
                return state
            if len(self._lasting) >= MOST_LASTING:
                self._lasting.clear()
            self._lasting[sleep] = found.file_type if found else 0
            if found and found.detail:
                details[sleep] = found.detail
        return replace(state, file_type=self._lasting[sleep])

    def of(self, key: int) -> Description:
        """What the waits with this key (``value`` of a SLEEP sample) were about."""
        found = self._known.get(key)
        if found is None:
            wait = self._wait(key)
            if wait is None:
                return NOTHING
            if len(self._known) >= MOST_WAITS:
                self._known.clear()
            found = self._known[key] = Description(self._detail(wait), self._frames(wait))
        return found

    def _frames(self, wait: Wait) -> tuple[Frame, ...]:
        if not wait.frames:
            return ()
        if self._names is None:
            self._names = kernel_names()
            if self._names.reason:
                self._say(self._names.reason)
        found = []
        for address in wait.frames:
            name, module = self._names.find(address)
            if name and not _NOTHING_SAID.search(name):
                frame = Frame(address, name, name, module=f"[{module}]", origin=Origin.KERNEL)
                found.append(frame)
        return tuple(found)

    def _detail(self, wait: Wait) -> str:
        if stat.S_ISSOCK(wait.mode):
            return _peer(wait)
        names = [_name(name) for name in reversed(wait.names)]
        if wait.rooted:
            return self._path(wait.device, "/" + "/".join(names))
        if stat.S_ISFIFO(wait.mode):
            return ""
        if len(names) > 1:
            return ".../" + "/".join(names)
        # in no directory: ``[eventfd]``, ``memfd:name``; the root of a file system is "/"
        return names[0].strip("[]") if names and names[0] != "/" else ""

    def _path(self, device: int, inside: str) -> str:
        numbers = device >> 20, device & 0xFFFFF
        path = path_at(self._mounts, numbers, inside)
        if not path and time.monotonic() - self._mounts_read > MOUNTS_AGAIN_S:
            self._mounts_read = time.monotonic()
            self._mounts = mounts_of(self._pid)
            path = path_at(self._mounts, numbers, inside)
        return path or "..." + inside


def _name(name: bytes) -> str:
    cut = "..." if len(name) == WAIT_NAME - 1 else ""
    return name.decode("utf-8", "surrogateescape") + cut


def _peer(wait: Wait) -> str:
    if wait.family == socket.AF_UNIX:
        return "a Unix socket"
    if wait.family not in (socket.AF_INET, socket.AF_INET6):
        return "a socket"
    if not wait.port:
        return f"port {wait.local}, own" if wait.local else "a socket"
    port = socket.ntohs(wait.port)
    if wait.family == socket.AF_INET:
        return f"{socket.inet_ntop(socket.AF_INET, wait.peer[:4])}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, wait.peer)}]:{port}"
