"""Tracepoint formats: the ordinary layout, the realtime one, and hostile text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.errors import FormatError, KernelError
from hud.kernel import tracefs
from hud.kernel.tracefs import FieldLayout

COMMON = """\
name: sched_switch
ID: 321
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;
"""

ORDINARY = (
    COMMON
    + """
	field:char prev_comm[16];	offset:8;	size:16;	signed:0;
	field:pid_t prev_pid;	offset:24;	size:4;	signed:1;
	field:int prev_prio;	offset:28;	size:4;	signed:1;
	field:long prev_state;	offset:32;	size:8;	signed:1;
	field:char next_comm[16];	offset:40;	size:16;	signed:0;
	field:pid_t next_pid;	offset:56;	size:4;	signed:1;
	field:int next_prio;	offset:60;	size:4;	signed:1;

print fmt: "prev_comm=%s field:int fake; offset:1; size:1; signed:1;", REC->prev_comm
"""
)

# Debian's 6.1-rt: one more common field, everything behind it moves by 8.
REALTIME = (
    COMMON
    + """\
	field:unsigned char common_preempt_lazy_count;	offset:8;	size:1;	signed:0;

	field:char prev_comm[16];	offset:12;	size:16;	signed:0;
	field:pid_t prev_pid;	offset:28;	size:4;	signed:1;
	field:int prev_prio;	offset:32;	size:4;	signed:1;
	field:long prev_state;	offset:40;	size:8;	signed:1;
	field:char next_comm[16];	offset:48;	size:16;	signed:0;
	field:pid_t next_pid;	offset:64;	size:4;	signed:1;
	field:int next_prio;	offset:68;	size:4;	signed:1;

print fmt: "prev_comm=%s", REC->prev_comm
"""
)


def test_ordinary_layout():
    fields = tracefs.parse_format(ORDINARY)
    assert fields["prev_pid"] == FieldLayout(24, 4, True)
    assert fields["prev_state"] == FieldLayout(32, 8, True)
    assert fields["next_comm"] == FieldLayout(40, 16, False)
    assert fields["next_pid"] == FieldLayout(56, 4, True)
    assert fields["common_type"] == FieldLayout(0, 2, False)
    assert len(fields) == 11  # and none out of the print format


def test_realtime_layout():
    fields = tracefs.parse_format(REALTIME)
    assert fields["common_preempt_lazy_count"] == FieldLayout(8, 1, False)
    assert fields["prev_pid"] == FieldLayout(28, 4, True)
    assert fields["prev_state"] == FieldLayout(40, 8, True)
    assert fields["next_pid"] == FieldLayout(64, 4, True)


def test_declarations_of_every_shape():
    text = (
        "field:__data_loc char[] name;\toffset:8;\tsize:4;\tsigned:0;\n"
        "field:const char * where;\toffset:16;\tsize:8;\tsigned:0;\n"
        "field:unsigned long args[6];\toffset:24;\tsize:48;\tsigned:0;\n"
    )
    assert tracefs.parse_format(text) == {
        "name": FieldLayout(8, 4, False),
        "where": FieldLayout(16, 8, False),
        "args": FieldLayout(24, 48, False),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name: x\nformat:\n",
        "field:int a;\toffset:-1;\tsize:4;\tsigned:1;",
        "field:int a;\toffset:99999999;\tsize:4;\tsigned:1;",
        "field:int a;\toffset:0;\tsize:4;\tsigned:7;",
        "field:;\toffset:0;\tsize:4;\tsigned:1;",
        "x" * (1 << 19),
        "field:" + "[" * 500 + ";\toffset:0;\tsize:4;\tsigned:1;",
    ],
)
def test_senseless_text(text):
    with pytest.raises(FormatError, match="tracepoint format"):
        tracefs.parse_format(text)


@given(st.text(max_size=300))
def test_any_text(text):
    for whole in (text, COMMON + text, f"field:{text};\toffset:0;\tsize:4;\tsigned:1;"):
        with contextlib.suppress(FormatError):
            assert tracefs.parse_format(whole)


def test_files(tmp_path):
    place = tmp_path / "events/sched/sched_switch"
    place.mkdir(parents=True)
    (place / "id").write_text("321\n")
    (place / "format").write_text(ORDINARY)
    assert tracefs.find((tmp_path / "absent", tmp_path)) == tmp_path
    assert tracefs.tracepoint_id("sched", "sched_switch", tmp_path) == 321
    layout = tracefs.tracepoint_format("sched", "sched_switch", tmp_path)
    assert layout["next_pid"].offset == 56
    with pytest.raises(KernelError, match="tracepoint sched/none not found"):
        tracefs.tracepoint_id("sched", "none", tmp_path)
    (place / "id").write_text("many")
    with pytest.raises(FormatError, match="is no number"):
        tracefs.tracepoint_id("sched", "sched_switch", tmp_path)


def test_not_mounted(tmp_path):
    with pytest.raises(KernelError, match="tracefs not mounted") as error:
        tracefs.find((tmp_path,))
    assert error.value.hint == "mount -t tracefs nodev /sys/kernel/tracing"
