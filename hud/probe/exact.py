"""Attaches exact mode's uprobes to every poll, and reads what their programs counted."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

from hud.errors import KernelError
from hud.kernel import attach, syscalls, uapi
from hud.kernel.loader import LoadedObject, Program
from hud.kernel.spec import ObjectSpec
from hud.model import BUCKETS, PollStats

MULTI = {
    "running": ("hud_transition", 0),
    "idle": ("hud_transition", 1),
    "complete": ("hud_transition", 2),
    "poll": ("hud_poll", 0),
}
"""Program and cookie (``enum exact_hit``) by role, where the kernel has uprobe_multi."""

SINGLE = {
    "running": ("hud_running", 0),
    "idle": ("hud_idle", 0),
    "complete": ("hud_complete", 0),
    "poll": ("hud_poll", 0),
}
"""The same for perf events, whose cookies older kernels do not have."""

ON_RETURN = {"hud_poll": "hud_poll_return"}
"""The program at the return of the functions that the other one is at the entry of."""

MOST_SINGLE = 16
"""Perf events; to detach one takes 0.1 s."""

POLL_STATS = struct.Struct(f"<3Q{BUCKETS}Q")
"""``struct poll_stats`` of bpf_src/exact.h."""


class UprobeSite(NamedTuple):
    """One instruction that may be probed, validated by whoever gives it."""

    role: str
    """A key of MULTI."""
    path: str
    """Leads to the very file that is mapped."""
    offset: int


class ExactState(ctypes.LittleEndianStructure):
    """``struct exact``, mapped."""

    _fields_ = (
        ("on", ctypes.c_uint32),
        ("generation", ctypes.c_uint32),
        ("trampoline", ctypes.c_uint64),
        ("kinds_full", ctypes.c_uint64),
        ("unreadable", ctypes.c_uint64),
    )


def with_programs(spec: ObjectSpec) -> tuple[ObjectSpec, tuple[str, ...]]:
    """The object with the uprobe programs for this kernel's way to attach them; their names."""
    multi = attach.uprobe_multi_works(os.uname().release)
    roles = (MULTI if multi else SINGLE).values()
    names = (*dict.fromkeys(name for name, _ in roles), *ON_RETURN.values())
    if not multi:
        return spec, names
    kind = uapi.BPF_TRACE_UPROBE_MULTI
    added = {name: replace(spec.programs[name], attach_type=kind) for name in names}
    return replace(spec, programs={**spec.programs, **added}), names


class ExactProbe:
    """The loaded uprobe programs of one target; attached from ``attach`` to ``detach``."""

    def __init__(self, loaded: LoadedObject, tgid: int) -> None:
        self._tgid = tgid
        self._programs: Mapping[str, Program] = loaded.programs
        self._multi = "hud_transition" in loaded.programs
        self._kinds = loaded.maps["poll_kinds"]
        self._hits = loaded.maps["exact_hits"]
        self.state = ExactState.from_buffer(loaded.variables["exact"].memory())
        self._links = ExitStack()

    @property
    def attached(self) -> bool:
        return bool(self.state.on)

    def attach(self, sites: Sequence[UprobeSite]) -> None:
        """See every poll from here on. KernelError where that is refused; then nothing is attached.

        The caller vouches for each site: the kernel takes wrong ones and corrupts the target.
        """
        if self.attached:
            return
        self.state.generation += 1
        wanted: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for site in sites:
            name, cookie = (MULTI if self._multi else SINGLE)[site.role]
            wanted.setdefault((name, site.path), []).append((site.offset, cookie))
        with ExitStack() as links:
            for (name, path), found in wanted.items():
                if name in ON_RETURN:
                    self._attach(links, ON_RETURN[name], path, found, on_return=True)
                self._attach(links, name, path, found)
            self._links = links.pop_all()
        self.state.on = 1

    def _attach(
        self,
        links: ExitStack,
        name: str,
        path: str,
        sites: Sequence[tuple[int, int]],
        *,
        on_return: bool = False,
    ) -> None:
        pid, program = self._tgid, self._programs[name]
        if self._multi:
            links.enter_context(
                attach.attach_uprobe_multi(program, path, sites, pid=pid, on_return=on_return)
            )
            return
        if len(sites) > MOST_SINGLE:
            raise KernelError(
                f"{len(sites)} functions to probe: too many without uprobe_multi (Linux 6.10)"
            )
        for offset, _ in sites:
            links.enter_context(
                attach.attach_uprobe(program, path, offset, pid=pid, on_return=on_return)
            )

    def detach(self) -> None:
        """The target's code is as it was; what was counted stays."""
        self.state.on = 0
        self._links.close()

    def polls(self) -> list[PollStats]:
        """Every kind of task polled while attached, by vtable."""
        found = []
        for key, value in self._kinds.items():
            polls, busy, longest, *buckets = POLL_STATS.unpack(value)
            vtable = int.from_bytes(key, "little")
            found.append(PollStats(vtable, polls, busy, longest, tuple(buckets)))
        return sorted(found, key=lambda stats: stats.vtable)

    def forget(self) -> None:
        """Start the counts again: the target runs another program."""
        for key, _ in list(self._kinds.items()):
            self._kinds.delete(key)

    def hits(self) -> tuple[int, int, int]:
        """Runs at begins, at ends of polls and at ends of tasks, since the load."""
        begins, idles, completes = (
            sum(
                int.from_bytes(slot, "little")
                for slot in self._hits.per_cpu(self._hits.lookup(kind.to_bytes(4, "little")) or b"")
            )
            for kind in range(3)
        )
        return begins, idles, completes

    def runs(self) -> tuple[int, int]:
        """(nanoseconds, runs) of the programs, counted while ``count_time`` is in force."""
        counted = [program.runs() for name, program in self._programs.items() if is_exact(name)]
        return sum(ns for ns, _ in counted), sum(runs for _, runs in counted)


def is_exact(name: str) -> bool:
    """Whether a program of that name is one of exact mode's."""
    used = {*MULTI.values(), *SINGLE.values()}
    return name in {program for program, _ in used} or name in ON_RETURN.values()


def count_time() -> ExitStack:
    """The kernel counts the time of programs until this is closed; nothing where it may not."""
    held = ExitStack()
    try:
        held.enter_context(syscalls.enable_stats())
    except OSError:
        return ExitStack()
    return held
