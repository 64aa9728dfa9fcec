"""The program whose loader was started, in made memory; the loader's command line."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hud.process.find import find_target
from hud.process.program import (
    AT_BASE,
    DT_DEBUG,
    EHDR,
    L_LD,
    PHDR,
    PT_DYNAMIC,
    PT_LOAD,
    R_MAP,
    loaded_program,
    started_with,
)

LOADER = "/lib64/ld-linux-x86-64.so.2"
DT_NEEDED = 1
DEBUG = 0x90_0000
"""Where the loader keeps r_debug; the list of what is loaded begins behind it."""
FIRST = DEBUG + 0x100


class File(NamedTuple):
    """A mapped file: where, and what is in it."""

    start: int
    path: str
    vaddr: int = 0
    """Of its first segment."""
    debug: int | None = None
    """The value of its DT_DEBUG entry, if it has one."""

    @property
    def dynamic(self) -> int:
        return self.start + 0x2000

    @property
    def inode(self) -> int:
        return self.start >> 12

    def lines(self) -> str:
        rest = f"fd:01 {self.inode} {self.path}"
        return (
            f"{self.start:x}-{self.start + 0x1000:x} r--p 00000000 {rest}\n"
            f"{self.start + 0x1000:x}-{self.start + 0x2000:x} r-xp 00001000 {rest}\n"
            f"{self.start + 0x2000:x}-{self.start + 0x3000:x} rw-p 00002000 {rest}\n"
        )

    def header(self) -> bytes:
        head = EHDR.pack(b"\x7fELF\x02\x01", 3, 62, 1, 0, EHDR.size, 0, 0, EHDR.size, PHDR.size, 2)
        load = PHDR.pack(PT_LOAD, 4, 0, self.vaddr, 0, 0x1000, 0x1000, 0x1000)
        at = self.vaddr + 0x2000
        return head + load + PHDR.pack(PT_DYNAMIC, 6, 0x2000, at, at, 0x100, 0x100, 8)

    def entries(self) -> bytes:
        debug = b"" if self.debug is None else struct.pack("<QQ", DT_DEBUG, self.debug)
        return struct.pack("<QQ", DT_NEEDED, 1) + debug + bytes(16)


APP = File(0x40_0000, "/srv/shop", debug=DEBUG)
FIXED = APP._replace(vaddr=0x40_0000)
LIBC = File(0x50_0000, "/lib/libc.so.6")
LD = File(0x60_0000, LOADER)


def started(
    tree: Any,
    *files: File,
    base: int = 0,
    first: int | None = APP.dynamic,
    argv: tuple[str, ...] = (LOADER, "./shop"),
    comm: str = "ld-linux-x86-64",
) -> Path:
    """Process 10, its loader's list beginning with the dynamic section at ``first``."""
    home: Path = tree.add(10, comm, exe=LOADER, argv=argv)
    (home / "auxv").write_bytes(struct.pack("<QQQQQQ", 6, 4096, AT_BASE, base, 0, 0))
    (home / "maps").write_text("".join(file.lines() for file in files))
    with (home / "mem").open("wb") as memory:
        for file in files:
            memory.seek(file.start)
            memory.write(file.header())
            memory.seek(file.dynamic)
            memory.write(file.entries())
        if first is not None:
            memory.seek(DEBUG + R_MAP)
            memory.write(struct.pack("<Q", FIRST))
            memory.seek(FIRST + L_LD)
            memory.write(struct.pack("<Q", first))
        memory.truncate(0xA0_0000)
    return home


def program(tree: Any) -> str | None:
    found = loaded_program(10, tree.root)
    return None if found is None else found.path


@pytest.mark.parametrize("app", [APP, FIXED])
def test_the_program_heads_the_loaders_list(tree: Any, app: File) -> None:
    started(tree, LIBC, app, LD, argv=("anything",))
    assert program(tree) == "/srv/shop"


def test_a_mere_entry_is_no_proof(tree: Any) -> None:
    pretender = LIBC._replace(debug=DEBUG)
    started(tree, pretender, APP, LD)
    assert program(tree) == "/srv/shop"


def test_with_an_interpreter_the_executable_is_the_program(tree: Any) -> None:
    started(tree, APP, LIBC, LD, base=LD.start)
    assert program(tree) is None


def test_static_program_is_its_own(tree: Any) -> None:
    started(tree, LD._replace(debug=DEBUG), first=LD.dynamic, argv=(LOADER,))
    assert program(tree) is None


def test_before_the_loader_has_its_list_the_command_line_tells(tree: Any) -> None:
    started(tree, APP._replace(debug=0), LIBC, LD, argv=("ld", "--argv0", "x", "./shop", "libc"))
    assert program(tree) == "/srv/shop"


def test_a_name_that_fits_two_files_tells_nothing(tree: Any) -> None:
    other = File(0x70_0000, "/opt/shop")
    started(tree, APP._replace(debug=0), other, LD)
    assert program(tree) is None


@pytest.mark.parametrize(
    ("at", "content"),
    [
        (0, b"no ELF"),
        (54, b"\xff\xff"),  # size of an entry
        (56, b"\xff\xff"),  # number of entries
        (32, b"\xff" * 8),  # where they are
        (64 + 16, b"\xff" * 8),  # an address
        (64 + 56 + 16, b"\xff" * 8),
        (64 + 56 + 40, b"\xff" * 8),  # a size
    ],
)
def test_hostile_headers(tree: Any, at: int, content: bytes) -> None:
    home = started(tree, APP, LIBC, LD, argv=("ld", "--list"))
    with (home / "mem").open("r+b") as memory:
        memory.seek(APP.start + at)
        memory.write(content)
    assert program(tree) in (None, "/srv/shop")


@pytest.mark.parametrize("name", ["auxv", "maps", "mem"])
def test_what_cannot_be_read_tells_nothing(tree: Any, name: str) -> None:
    (started(tree, APP, LIBC, LD, argv=("ld",)) / name).unlink()
    assert program(tree) is None


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("ld.so ./app", "./app"),
        ("ld.so ./app --preload x", "./app"),
        ("ld.so --library-path /a:/b --argv0 shop /srv/app one", "/srv/app"),
        ("ld.so --inhibit-cache --preload a.so --glibc-hwcaps-mask x app", "app"),
        ("ld-musl --library-path=/a --preload=b.so -- --odd", "--odd"),
        ("ld-musl --argv0=x -app", "-app"),
        ("ld.so --argv0", ""),
        ("ld.so", ""),
    ],
)
def test_the_program_in_a_loaders_command_line(command: str, name: str) -> None:
    assert started_with(command.split()) == name


def test_found_by_its_name_and_called_by_it(tree: Any) -> None:
    started(tree, APP, LIBC, LD)
    tree.add(900, "hud")
    target = find_target("shop", None, tree.root, 900)
    assert (target.pid, target.name, target.executable) == (10, "shop", "/srv/shop")
    assert find_target("ld-linux-x86-64", None, tree.root, 900) == target


def test_musls_loader_is_started_by_a_link_to_libc(tree: Any) -> None:
    argv = ("/lib/ld-musl-x86_64.so.1", "./shop")
    started(tree, APP, LIBC, LD, comm="ld-musl-x86_64.", argv=argv)
    assert find_target(None, 10, tree.root, 900).name == "shop"


def test_a_name_of_its_own_is_kept(tree: Any) -> None:
    started(tree, APP, LIBC, LD, comm="till")
    assert find_target(None, 10, tree.root, 900).name == "till"
