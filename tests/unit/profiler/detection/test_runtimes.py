"""Runtimes are told apart by their handles, and called by the names of their threads."""

from __future__ import annotations

import ctypes
import os
import struct

from hud.profiler.detection.runtimes import UNNAMED, Runtimes


class Words:
    """Some of them in the memory of this very process."""

    def __init__(self, *words: int) -> None:
        self._memory = ctypes.create_string_buffer(struct.pack(f"<{len(words)}Q", *words))
        self.address = ctypes.addressof(self._memory)


class Context:
    """``scheduler::Context`` of a thread that shares the handle with others."""

    def __init__(self, handle: Words, *, multi: bool = True, tagged: bool = True) -> None:
        self._worker = Words(2, 1, handle.address)
        if multi:
            words = (1, self._worker.address, 0, 0)
        else:
            words = (0, handle.address, 0, 0) if tagged else (handle.address, 0, 0, 0)
        self._context = Words(*words)
        self.scheduler = self._context.address


def _handle() -> Words:
    return Words(3, 1, 0)


def test_threads_with_one_handle_are_one_runtime() -> None:
    runtimes = Runtimes(os.getpid())
    runtimes.begin()
    api, jobs, *others = (_handle() for _ in range(6))
    known = [
        (1, "api-0", Context(api)),
        (2, "api-1", Context(api)),
        (3, "api-0", Context(jobs)),  # two pools of one name
        (4, "ui", Context(others[0], multi=False)),
        (5, "ui", Context(others[1], multi=False, tagged=False)),
        (6, "", Context(others[2], multi=False)),
    ]
    names = [runtimes.of(tid, name, context.scheduler) for tid, name, context in known]
    assert names == ["api", "api", "api #2", "ui", "ui #2", UNNAMED]
    # a thread that begins one runtime after the other is one of them for the figures
    assert runtimes.of(4, "ui", Context(others[3], multi=False).scheduler) == "ui"
    runtimes.forget(4)
    assert runtimes.of(4, "ui", Context(jobs).scheduler) == "api #2"
    runtimes.close()
    runtimes.close()


def test_where_memory_cannot_be_read_names_do() -> None:
    runtimes = Runtimes(2**22 + 1)
    runtimes.begin()
    assert [runtimes.of(tid, f"api-{tid}", 0x1000) for tid in (1, 2)] == ["api", "api"]


def test_a_thread_that_is_just_letting_go_of_its_core_is_no_runtime_of_its_own() -> None:
    runtimes = Runtimes(os.getpid())
    runtimes.begin()
    handle, gone = _handle(), Words(7, 7, 7, 7)
    shared = [Context(handle), Context(handle)]
    assert runtimes.of(1, "api-0", shared[0].scheduler) == "api"
    assert runtimes.of(2, "api-1", gone.address) == "api"
    assert runtimes.of(2, "api-1", shared[1].scheduler) == "api"
    assert runtimes.of(3, "api-2", Context(_handle()).scheduler) == "api #2"
    runtimes.close()
