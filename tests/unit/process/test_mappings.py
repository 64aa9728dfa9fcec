"""The text of a maps file as values, and the lookup by address."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.errors import FormatError, TargetError
from hud.model import Mapping
from hud.process.mappings import Mappings, parse_maps, read_mappings

RECORDED = """\
555555554000-55555555a000 r--p 00000000 fd:01 4325                       /srv/api server
55555555a000-5555555b0000 r-xp 00006000 fd:01 4325                       /srv/api server
5555555b0000-5555555b1000 rw-p 0005c000 fd:01 4325                       /srv/api server
5555555b1000-5555555d2000 rw-p 00000000 00:00 0                          [heap]
7ffff7d00000-7ffff7d22000 rw-p 00000000 00:00 0
7ffff7dd0000-7ffff7df0000 r-xp 00001000 00:2a 99                         /lib/libold.so (deleted)
7ffff7fc1000-7ffff7fc3000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""


def test_recorded_lines() -> None:
    parsed = parse_maps(RECORDED)
    assert len(parsed) == 8
    assert parsed[1] == Mapping(
        start=0x55555555A000,
        end=0x5555555B0000,
        offset=0x6000,
        executable=True,
        path="/srv/api server",
        device="fd:01",
        inode=4325,
    )
    assert parsed[2].writable
    assert not parsed[1].writable
    assert parsed[4].path == ""
    assert (parsed[5].path, parsed[5].deleted) == ("/lib/libold.so", True)
    assert parsed[6].path == "[vdso]"


def test_path_with_line_ends_and_odd_spaces() -> None:
    line = "1000-2000 r-xp 00000000 08:01 7          /a\\012b \x0c\x1c\u2028 c \n"
    (parsed,) = parse_maps(line)
    assert parsed.path == "/a\nb \x0c\x1c\u2028 c "


def test_unfinished_line_is_left_out() -> None:
    assert [item.start for item in parse_maps(RECORDED[:200])] == [0x555555554000, 0x55555555A000]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "1000 r-xp 0 08:01 7",
        "2000-1000 r-xp 0 08:01 7",
        "1000-2000-3000 r-xp 0 08:01 7",
        "1000-2000 r 0 08:01 7",
        "1000-2000 r-xp zz 08:01 7",
        "1000-2000 r-xp 0 08:01 x",
        "0-10000000000000001 r-xp 0 08:01 7",
        "1000-2000 r-xp 10000000000000000 08:01 7",
        "1000-2000 r-xp 0 08:01 18446744073709551616",
        "1000-2000 r-xp 0 08:01 " + "9" * 5000,
    ],
)
def test_other_forms_are_refused(line: str) -> None:
    with pytest.raises(FormatError):
        parse_maps(line + "\n")


@given(st.text(alphabet="0123456789abcdef-rwxp: /[]\n\\", max_size=200))
def test_any_text_is_mappings_or_our_error(text: str) -> None:
    try:
        parsed = parse_maps(text)
    except FormatError:
        return
    assert all(0 <= item.start < item.end for item in parsed)


_NUMBER = st.one_of(
    st.integers(-5, 1 << 70).map(lambda value: f"{value:x}"),
    st.text(alphabet="0123456789abcdefx_+- \u0661", max_size=12),
)
_LINE = st.builds(
    "{}-{} {} {} {} {}{}".format,
    *(_NUMBER, _NUMBER, st.text(alphabet="rwxp-", max_size=5), _NUMBER, _NUMBER, _NUMBER),
    st.text(max_size=20),
)


@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(_LINE, max_size=6).map(lambda lines: "\n".join([*lines, ""]).encode()),
        st.builds(
            lambda at, piece: RECORDED.encode()[:at] + piece + RECORDED.encode()[at:],
            *(st.integers(0, len(RECORDED)), st.binary(max_size=6)),
        ),
    )
)
def test_any_maps_file_is_mappings_or_our_error(data: bytes) -> None:
    try:
        parsed = parse_maps(data.decode("utf-8", "surrogateescape"))
    except FormatError as why:
        assert len(str(why)) < 200
        return
    lookup = Mappings(parsed)
    for item in parsed:
        assert 0 <= item.start < item.end <= 1 << 64
        assert 0 <= item.offset < 1 << 64
        found = lookup.find(item.start)
        assert found is None or found.start <= item.start < found.end
        assert found is not None or not item.executable or len(parsed) > 1


def test_lookup_finds_executable_mappings_only() -> None:
    mappings = Mappings(reversed(parse_maps(RECORDED)))
    assert len(mappings.all) == 8
    assert len(mappings.executable) == 4
    found = mappings.find(0x55555555A000)
    assert found is not None
    assert found.path == "/srv/api server"
    assert mappings.find(0x5555555AFFFF) == found
    assert mappings.find(0x5555555B0000) is None
    assert mappings.find(0x555555554000) is None
    assert mappings.find(0) is None
    assert mappings.find(1 << 70) is None
    last = mappings.find(0xFFFFFFFFFF600123)
    assert last is not None
    assert last.path == "[vsyscall]"
    assert Mappings([]).find(5) is None


def test_own_mappings_hold_this_interpreter() -> None:
    mappings = Mappings(read_mappings(os.getpid()))
    assert any(item.path == os.path.realpath("/proc/self/exe") for item in mappings.executable)


def test_process_without_maps_is_gone(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="the process is gone"):
        read_mappings(5, tmp_path)
