"""The crates and the package that a file itself names, in files made here."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.symbols.elf.file import ElfFile
from hud.symbols.inference.panics import tokio_versions
from hud.symbols.packages import LIST_LIMIT, listed, package, with_listed
from tests.builders.elfbuild import Sec, elf, note

FDO, PACKAGE = b"FDO\0", 0xCAFE1A7E


def _listing(*packages: Any) -> ElfFile:
    text = json.dumps({"packages": packages}).encode()
    return ElfFile(elf([Sec(".dep-v0", zlib.compress(text))]))


def test_the_list_names_the_crates_that_are_in_the_program() -> None:
    file = _listing(
        {"name": "tokio", "version": "1.54.1", "source": "crates.io", "dependencies": [1]},
        {"name": "serde_json", "version": "1.0.1", "source": "registry", "kind": "runtime"},
        {"name": "md-5", "version": "0.10.6", "source": "git"},
        {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build"},
        {"name": "shop", "version": "0.1.0", "source": "local", "root": True},
    )
    assert listed(file) == {"tokio": {"1.54.1"}, "serde_json": {"1.0.1"}, "md_5": {"0.10.6"}}


def test_a_tokio_of_the_own_workspace_counts() -> None:
    row = {"name": "tokio", "version": "1.40.0", "source": "local"}
    assert tokio_versions(listed(_listing(row))) == ("1.40.0",)


def test_paths_are_believed_before_the_list() -> None:
    by_path = {"tokio": {""}, "bytes": {"1.5.0"}}
    more = {"tokio": {"1.38.0", "1.40.0"}, "bytes": {"1.5.0", "1.6.0"}, "mio": {"1.0.0"}}
    assert with_listed(by_path, more) == {
        "tokio": {"1.38.0", "1.40.0"},
        "bytes": {"1.5.0"},
        "mio": {"1.0.0"},
    }
    assert with_listed({"tokio": {""}}, {}) == {"tokio": {""}}


@pytest.mark.parametrize(
    "content",
    [
        b"not zlib",
        zlib.compress(b"not json"),
        zlib.compress(b'{"packages": 3}'),
        zlib.compress(b'{"packages": [{"name": 3}]}'),
        zlib.compress(b'{"packages": [' + b"[" * 100_000),
        zlib.compress(b'{"packages": []' + b" " * LIST_LIMIT + b"}"),
        zlib.compress(b'{"packages": [{"name": "a b", "version": "1.0.0"}]}'),
        b"",
    ],
)
def test_a_damaged_list_is_none(content: bytes) -> None:
    assert listed(ElfFile(elf([Sec(".dep-v0", content)]))) == {}


def test_an_odd_version_is_unknown() -> None:
    assert listed(_listing({"name": "tokio", "version": "1.54.1\x1b[0m"})) == {"tokio": {""}}


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_end(content: bytes) -> None:
    listed(ElfFile(elf([Sec(".dep-v0", content)])))
    package(ElfFile(elf([Sec(".note.package", content)])))
    package(ElfFile(elf([Sec(".note.package", note(PACKAGE, FDO, content))])))


@pytest.mark.parametrize(
    ("content", "want"),
    [
        ('{"type":"rpm","name":"rip","version":"14.1.0-3.fc40","x":{}}', "rpm rip 14.1.0-3.fc40"),
        ('{"type":"deb","name":"rip","version":"1:14.1.0+b2~1"}\0\0', "deb rip 1:14.1.0+b2~1"),
        ('{"type":"deb","name":"rip"}', ""),
        ('{"type":"deb","name":"r\\u001b","version":"1"}', ""),
        ("[]", ""),
        ("", ""),
    ],
)
def test_the_package_note(content: str, want: str) -> None:
    section = Sec(".note.package", note(PACKAGE, FDO, content.encode()), 7)
    assert package(ElfFile(elf([section]))) == want
