"""Fields of /proc/PID/stat, and reads that end."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.process.procfs import PF_KTHREAD, numbers, parse_stat, read_bytes, read_stat

# In the form of Linux 6.18, with made-up numbers.
RECORDED = (
    "24101 (a) (b\n) S 24068 24101 24068 0 -1 4194304 119 0 0 0 1 2 0 0 20 0 3 0 136871 2523136 "
    "456 18446744073709551615 94 95 140727 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 97 98 99 100 101 "
    "102 103 768\n"
)


def test_fields_of_a_recorded_line() -> None:
    stat = parse_stat(RECORDED)
    assert stat.pid == 24101
    assert stat.comm == "a) (b\n"
    assert (stat.state, stat.ppid, stat.threads) == ("S", 24068, 3)
    assert (stat.start_ticks, stat.start_stack, stat.exit_code) == (136871, 140727, 768)
    assert not stat.kernel_thread
    assert not stat.dead
    assert stat._replace(flags=PF_KTHREAD | 0x40).kernel_thread
    assert stat._replace(state="Z").dead


@given(st.text())
def test_any_text_is_a_stat_or_our_error(text: str) -> None:
    with contextlib.suppress(FormatError):
        parse_stat(text)


@given(st.text(alphabet="() \n)Zß", max_size=15))
def test_any_name_is_taken_whole(name: str) -> None:
    assert parse_stat(RECORDED.replace("a) (b\n", name)).comm == name


def test_reads_are_bounded(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 5000)
    assert read_bytes(file, 100) == b"x" * 100
    assert read_bytes(file) == b"x" * 5000


def test_no_process_is_none_and_only_numbers_count(tmp_path: Path) -> None:
    for name in ("12", "3", "self", "٣", "1a"):
        (tmp_path / name).mkdir()
    assert numbers(tmp_path) == [3, 12]
    assert read_stat(5, tmp_path) is None
    (tmp_path / "3/stat").write_text("")
    assert read_stat(3, tmp_path) is None


def test_garbage_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "3").mkdir()
    (tmp_path / "3/stat").write_text("3 (x) S nonsense")
    with pytest.raises(FormatError):
        read_stat(3, tmp_path)
