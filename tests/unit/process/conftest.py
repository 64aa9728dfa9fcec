"""A /proc tree built in a directory, as the kernel would show it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest


class ProcTree:
    """Adds processes to a directory that stands for /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(
        self,
        pid: int,
        comm: str,
        *,
        exe: str | None = "",
        argv: Sequence[str] = (),
        ppid: int = 1,
        state: str = "S",
        flags: int = 0x0040_0000,
        start: int = 5000,
        stack: int = 0x7FFD_0000_0000,
        threads: dict[int, str] | None = None,
        tgid: int | None = None,
        extra: dict[str, str] | None = None,
    ) -> Path:
        """``exe`` None = its link cannot be read; empty = /usr/bin/COMM."""
        home = self.root / str(pid)
        home.mkdir(parents=True)
        names = threads if threads is not None else {pid: comm}
        self.stat(home / "stat", pid, comm, state, ppid, flags, len(names), start, stack)
        user = f"\t{os.geteuid()}"
        (home / "status").write_text(
            f"Name:\t{comm}\nTgid:\t{tgid or pid}\nPid:\t{pid}\n"
            f"Uid:{4 * user}\nGid:{4 * user}\nGroups:\t \n"
        )
        (home / "cmdline").write_bytes(b"".join(part.encode() + b"\0" for part in argv or [comm]))
        if exe is not None:
            (home / "exe").symlink_to(exe or f"/usr/bin/{comm}")
        for tid, name in names.items():
            raw = name.encode("utf-8", "surrogateescape")
            self.thread(pid, tid, raw, start, stack, state if tid == pid else "S")
        for name, text in (extra or {}).items():
            (home / name).write_text(text)
        return home

    def thread(
        self,
        pid: int,
        tid: int,
        comm: bytes,
        start: int = 5000,
        stack: int = 0x7FFD_0000_0000,
        state: str = "S",
    ) -> None:
        home = self.root / str(pid) / "task" / str(tid)
        home.mkdir(parents=True, exist_ok=True)
        (home / "comm").write_bytes(comm + b"\n")
        self.stat(home / "stat", tid, "x", state, 1, 0, 1, start, stack)

    @staticmethod
    def stat(
        path: Path,
        pid: int,
        comm: str,
        state: str,
        ppid: int,
        flags: int,
        threads: int,
        start: int,
        stack: int,
    ) -> None:
        rest = [ppid, pid, pid, 0, -1, flags, *[0] * 10, threads, 0, start, *[0] * 5, stack]
        rest += [0] * (49 - len(rest)) + [0]
        path.write_text(f"{pid} ({comm}) {state} {' '.join(map(str, rest))}\n")


@pytest.fixture
def tree(tmp_path: Path) -> ProcTree:
    built = ProcTree(tmp_path / "proc")
    built.root.mkdir()
    (built.root / "meminfo").write_text("")
    return built
