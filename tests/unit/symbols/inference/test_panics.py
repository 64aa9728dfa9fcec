"""Crates and versions from panic locations, in programs made by hand."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.symbols.elf.file import EHDR, PHDR, ElfFile
from hud.symbols.inference.panics import crates, scan, tokio_versions
from tests.builders.elfbuild import PT_LOAD, TEXT, Sec, Seg, elf

INDEX = "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/"


def _program(text: str | bytes, *, flags: int = 4) -> ElfFile:
    """One PT_LOAD without section headers, as in a binary after sstrip."""
    data = text.encode() if isinstance(text, str) else text
    start = EHDR.size + PHDR.size
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = EHDR.pack(ident, 3, 62, 1, 0, EHDR.size, 0, 0, EHDR.size, PHDR.size, 1, 0, 0, 0)
    segment = PHDR.pack(1, flags, start, 0x1000, 0x1000, len(data), len(data), 0x1000)
    return ElfFile(header + segment + data)


def test_registry_paths_stand_next_to_each_other() -> None:
    program = _program(
        f"some text{INDEX}tokio-1.54.1/src/runtime/park.rs"
        f"{INDEX}serde_json-1.0.154/src/de.rs{INDEX}md-5-0.10.6/src/lib.rs"
        f"{INDEX}tokio-1.54.1/src/time/mod.rs\0called `Option::unwrap()`"
    )
    assert crates(program) == {"md_5": "0.10.6", "serde_json": "1.0.154", "tokio": "1.54.1"}
    assert tokio_versions(program) == ("1.54.1",)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("tokio-1.54.1/src/lib.rs", {"tokio": "1.54.1"}),
        ("src/main.rstokio-1.54.1/src/lib.rs", {"tokio": "1.54.1"}),
        ("/cargo/registry/src/x/tokio-1.38.0/src/lib.rs", {"tokio": "1.38.0"}),
        ("/x/toml-1.0.3+spec-1.1.0/src/lib.rs", {"toml": "1.0.3+spec-1.1.0"}),
        ("/x/rsa-0.10.0-rc.1/src/lib.rs", {"rsa": "0.10.0-rc.1"}),
        ("vendor/tokio/src/lib.rs", {"tokio": ""}),
        ("vendor/tokio-1.38.0/src/lib.rs", {"tokio": "1.38.0"}),
        ("/c/git/checkouts/salsa-e6f3bb7c2a062968/ce80691/src/zalsa.rs", {"salsa": ""}),
        ("/c/git/checkouts/aws-e6f3bb7c2a062968/ce80691/sdk/s3/src/x.rs", {"s3": ""}),
        ("/rust/deps/hashbrown-0.15.2/src/raw.rs", {}),
        ("Mozilla/5.0 like-1.2.3/ Gecko", {}),
        ("/x/tokio-1.38/src/lib.rs", {}),
        ("src/main.rs", {}),
        ("/x/-1.2.3/src/lib.rs", {}),
        (f"{INDEX}a-1.0.0/src/a.rs{INDEX}a-2.0.0/src/a.rs", {"a": ""}),
        (f"vendor/a/src/a.rs{INDEX}a-2.0.0/src/a.rs", {"a": "2.0.0"}),
    ],
)
def test_each_kind_of_path(text: str, want: dict[str, str]) -> None:
    assert crates(_program(text)) == want


def test_several_tokios_are_sorted_by_number() -> None:
    program = _program(
        "".join(f"{INDEX}tokio-{v}/src/lib.rs" for v in ("1.9.0", "1.38.0", "0.2.25", "1.38.0-rc"))
    )
    assert tokio_versions(program) == ("0.2.25", "1.9.0", "1.38.0-rc", "1.38.0")
    assert crates(program) == {"tokio": ""}


def test_writable_memory_is_not_looked_at() -> None:
    assert scan(_program("tokio-1.54.1/src/lib.rs", flags=6)) == {}


ALLOC, WRITE, EXECINSTR = 2, 1, 4


@pytest.mark.parametrize(
    ("name", "flags", "found"),
    [
        (".rodata", ALLOC, True),
        (".rodata.str", ALLOC, True),  # mold
        (".lrodata", ALLOC, True),  # the large code model
        (".data", ALLOC | WRITE, False),
        (".text.unlikely", ALLOC | EXECINSTR, False),
        (".comment", 0, False),
    ],
)
def test_all_read_only_sections_are_looked_at_whatever_their_name(
    name: str, flags: int, found: bool
) -> None:
    other, path = b"constants", b"tokio-1.54.1/src/lib.rs"
    at = TEXT + 0x1000
    data = elf(
        [
            Sec(".rodata" if name != ".rodata" else ".rodata.cst", other, flags=ALLOC, addr=at),
            Sec(name, path, flags=flags, addr=at + len(other)),
        ],
        segments=[Seg(PT_LOAD, 6, at, at, 0x100, 0x100)],
    )
    assert crates(ElfFile(data)) == ({"tokio": "1.54.1"} if found else {})


def test_without_sections_what_code_and_strings_share_is_looked_at() -> None:
    text = b"\xc3tokio-1.54.1/src/lib.rs"
    assert crates(ElfFile(elf(text=text, headers=False))) == {"tokio": "1.54.1"}


def test_a_segment_outside_of_the_file_is_nothing() -> None:
    data = bytearray(_program("tokio-1.54.1/src/lib.rs").data)
    struct.pack_into("<Q", data, EHDR.size + 8, 1 << 40)
    assert scan(ElfFile(bytes(data))) == {}


def test_the_number_of_crates_is_bounded() -> None:
    text = "".join(f"{INDEX}crate{n}-1.0.0/src/lib.rs" for n in range(5000))
    assert len(scan(_program(text))) == 4096


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"tokio",
                b"-1.2.3",
                b"/",
                b"src/a.rs",
                b".rs",
                b"vendor/",
                b"git/checkouts/",
                b"a-0123456789abcdef",
                b"\0",
                b"\xff",
                b"-",
                b"9" * 30,
            ]
        ),
        max_size=30,
    )
)
def test_any_bytes_end(parts: list[bytes]) -> None:
    found = crates(_program(b"".join(parts) or b"x"))
    assert all(name.isascii() for name in found)
