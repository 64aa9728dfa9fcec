"""Runtimes are told apart by their handles, and called by the names of their threads."""

from __future__ import annotations

import ctypes
import os
import struct

from hud.profiler.runtimes import UNNAMED, Runtimes


class Context:
    """``scheduler::Context`` in this very process, of threads that share a handle."""

    def __init__(self, handle: int, *, multi: bool = True, tagged: bool = True) -> None:
        self._worker = ctypes.create_string_buffer(struct.pack("<QQQ", 1, 1, handle))
        if multi:
            words = struct.pack("<QQ", 1, ctypes.addressof(self._worker))
        else:
            words = struct.pack("<QQ", 0, handle) if tagged else struct.pack("<QQ", handle, 0)
        self._context = ctypes.create_string_buffer(words)
        self.scheduler = ctypes.addressof(self._context)


def test_threads_with_one_handle_are_one_runtime() -> None:
    runtimes = Runtimes(os.getpid())
    runtimes.begin()
    api, jobs = 0x7000_1000, 0x7000_2000
    known = [
        (1, "api-0", Context(api)),
        (2, "api-1", Context(api)),
        (3, "api-0", Context(jobs)),  # two pools of one name
        (4, "ui", Context(0x7000_3000, multi=False)),
        (5, "ui", Context(0x7000_4000, multi=False, tagged=False)),
        (6, "", Context(0x7000_5000, multi=False)),
    ]
    names = [runtimes.of(tid, name, context.scheduler) for tid, name, context in known]
    assert names == ["api", "api", "api #2", "ui", "ui #2", UNNAMED]
    # a thread that begins one runtime after the other is one of them for the figures
    assert runtimes.of(4, "ui", Context(0x7000_6000, multi=False).scheduler) == "ui"
    runtimes.forget(4)
    assert runtimes.of(4, "ui", Context(jobs).scheduler) == "api #2"
    runtimes.close()
    runtimes.close()


def test_where_memory_cannot_be_read_names_do() -> None:
    runtimes = Runtimes(2**22 + 1)
    runtimes.begin()
    assert [runtimes.of(tid, f"api-{tid}", 0x1000) for tid in (1, 2)] == ["api", "api"]
