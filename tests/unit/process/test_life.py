"""The life of a process in mode proc on constructed trees, and the connector's messages."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.errors import KernelError
from hud.process import connector, life
from hud.process.connector import Notice, parse_notice
from hud.process.life import (
    Born,
    Exec,
    LifeCycle,
    ProcessExited,
    Renamed,
    ThreadExited,
    exit_text,
)

PID = (1 << 22) + 4121
"""Above the kernel's limit of pids: never a real process."""


@pytest.fixture
def shop(tree: Any) -> Any:
    tree.add(PID, "shop", threads={PID: "shop", PID + 1: "api-0"})
    return tree


def test_threads_there_at_the_start_give_no_event(shop: Any) -> None:
    with LifeCycle(PID, shop.root) as living:
        assert living.mode == "proc"
        assert living.poll_interval_s == life.POLL_INTERVAL_S
        assert living.threads == {PID, PID + 1}
        assert living.read() == []


def test_birth_rename_and_death_of_threads(shop: Any) -> None:
    with LifeCycle(PID, shop.root) as living:
        shop.thread(PID, PID + 2, b"shop")
        assert living.read() == [Born(PID + 2), Renamed(PID + 2, "shop")]
        shop.thread(PID, PID + 2, b"\xffapi")
        assert living.read() == [Renamed(PID + 2, "\udcffapi")]
        shutil.rmtree(shop.root / f"{PID}/task/{PID + 1}")
        assert living.read() == [ThreadExited(PID + 1)]
        assert living.threads == {PID, PID + 2}


def test_late_rename_of_an_old_thread_is_seen_at_the_next_full_look(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "RENAME_INTERVAL_S", 0.0)
    with LifeCycle(PID, shop.root) as living:
        shop.thread(PID, PID + 1, b"db-0")
        assert living.read() == [Renamed(PID + 1, "db-0")]


def test_exec_is_seen_by_the_new_stack(shop: Any) -> None:
    with LifeCycle(PID, shop.root) as living:
        shutil.rmtree(shop.root / f"{PID}/task/{PID + 1}")
        shop.thread(PID, PID, b"other", stack=0x7FFE_0000_0000)
        assert living.read() == [Exec(), ThreadExited(PID + 1), Renamed(PID, "other")]
        assert living.read() == []


@pytest.mark.parametrize("how", ["gone", "reused", "zombie"])
def test_end_of_the_process(shop: Any, how: str) -> None:
    with LifeCycle(PID, shop.root) as living:
        assert living.read() == []
        stat = shop.root / f"{PID}/stat"
        if how == "gone":
            shutil.rmtree(shop.root / str(PID))
        elif how == "reused":
            shop.stat(stat, PID, "shop", "S", 1, 0, 1, 9999, 0)
        else:
            shop.stat(stat, PID, "shop", "Z", 1, 0, 1, 5000, 0)
        events = living.read()
        assert events[:2] == [ThreadExited(PID), ThreadExited(PID + 1)]
        assert isinstance(events[2], ProcessExited)
        assert living.ended
        assert living.poll_interval_s is None
        assert living.read() == []


def test_dead_leader_of_living_threads_is_not_the_end(shop: Any) -> None:
    with LifeCycle(PID, shop.root) as living:
        shop.stat(shop.root / f"{PID}/stat", PID, "shop", "Z", 1, 0, 2, 5000, 0)
        assert living.read() == []
        assert not living.ended


def test_process_that_is_gone_at_the_start(tree: Any) -> None:
    with LifeCycle(PID, tree.root) as living:
        assert living.read() == [ProcessExited(None)]


def test_refused_connector_leaves_mode_proc_and_says_why(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int) -> None:
        raise KernelError("process connector: operation not permitted")

    monkeypatch.setattr(connector, "subscribe", refuse)
    with LifeCycle(PID, shop.root) as living:
        assert not living.open_connector()
        assert (living.mode, living.reason) == (
            "proc",
            "process connector: operation not permitted",
        )


def test_descriptors_are_given_back(shop: Any) -> None:
    def open_now() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_now()
    living = LifeCycle(PID, shop.root)
    assert open_now() == before + 1
    living.close()
    living.close()
    assert open_now() == before


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "status 0"),
        (768, "status 3"),
        (9, "killed by SIGKILL"),
        (0x8B, "killed by SIGSEGV, core dumped"),
        (0x7D, "killed by signal 125"),
        (None, ""),
    ],
)
def test_exit_status_in_words(status: int | None, text: str) -> None:
    assert exit_text(status) == text


# --------------------------------------------------------------------------- messages


def message(what: int, data: bytes, index: int = 1) -> bytes:
    event = struct.pack("=IIQ", what, 1, 123456789) + data.ljust(24, b"\0")
    cn_msg = struct.pack("=IIIIHH", index, 1, 7, 0, len(event), 0)
    return struct.pack("=IHHII", 16 + len(cn_msg) + len(event), 3, 0, 0, 0) + cn_msg + event


def words(*values: int) -> bytes:
    return struct.pack(f"={len(values)}I", *values)


@pytest.mark.parametrize(
    ("what", "data", "notice"),
    [
        (connector.PROC_EVENT_FORK, words(1, 1, 11, 10), Notice(1, 11)),
        (connector.PROC_EVENT_FORK, words(10, 10, 12, 12), None),
        (connector.PROC_EVENT_EXEC, words(10, 10), Notice(2, 10)),
        (connector.PROC_EVENT_EXIT, words(11, 10, 768, 17, 1, 1), Notice(0x80000000, 11, 768)),
        (connector.PROC_EVENT_EXIT, words(11, 12, 768, 17, 10, 10), None),
        (
            connector.PROC_EVENT_COMM,
            words(11, 10) + b"\xffapi\0junk",
            Notice(0x200, 11, name="\udcffapi"),
        ),
        (connector.PROC_EVENT_COMM, words(11, 10) + b"x" * 16, Notice(0x200, 11, name="x" * 16)),
        (0x100, words(10, 10), None),
    ],
)
def test_message(what: int, data: bytes, notice: Notice | None) -> None:
    assert parse_notice(message(what, data), 10) == notice


def test_recorded_message() -> None:
    # A fork on Linux 6.18: process 9828 starts thread-group 9829.
    recorded = bytes.fromhex(
        "4c000000030000000100000000000000010000000100000001000000000000002800000001000000010000003b"
        "2e58bb30010000642600006426000065260000652600000000000000000000"
    )
    assert parse_notice(recorded, 9829) == Notice(connector.PROC_EVENT_FORK, 9829)
    assert parse_notice(recorded, 9828) is None
    assert parse_notice(recorded[:-1], 9829) is None


def test_message_of_another_connector_is_ignored() -> None:
    other = message(connector.PROC_EVENT_EXEC, words(10, 10), index=3)
    assert parse_notice(other, 10) is None


@given(st.binary(max_size=100))
def test_any_bytes_are_a_notice_or_none(data: bytes) -> None:
    parse_notice(data, 10)


def accepts(program: bytes, packet: bytes) -> bool:
    """A classic BPF machine of the three instructions that the filter has."""
    at, value = 0, 0
    while True:
        code, true, false, k = struct.unpack_from("=HBBI", program, at * 8)
        if code == connector.BPF_RET_K:
            return bool(k)
        if code == connector.BPF_LD_W_ABS:
            if k + 4 > len(packet):
                return False
            value = int.from_bytes(packet[k : k + 4], "big")
            at += 1
        else:
            assert code == connector.BPF_JEQ_K
            at += 1 + (true if value == k else false)


@pytest.mark.parametrize("pid", [10, 0x01020304])
def test_filter_passes_what_is_about_the_target(pid: int) -> None:
    program = connector.target_filter(pid)
    assert accepts(program, message(connector.PROC_EVENT_NONE, words(0)))
    assert accepts(program, message(connector.PROC_EVENT_FORK, words(1, 1, 99, pid)))
    assert accepts(program, message(connector.PROC_EVENT_EXIT, words(99, pid, 0, 17)))
    assert not accepts(program, message(connector.PROC_EVENT_FORK, words(1, 1, 99, 98)))
    assert not accepts(program, message(connector.PROC_EVENT_EXEC, words(pid, 98)))
    assert not accepts(program, b"short")
