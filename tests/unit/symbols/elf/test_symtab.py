"""Symbol tables made here: which name an address has, which symbols a pattern finds."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.elf.file import ElfFile
from hud.symbols.elf.symtab import FoundSymbol, Symtab
from tests.builders.elfbuild import TEXT, Sec, Sym, elf, symbol_sections

SYMBOLS = [
    Sym("a.c", 0, 0, type=4, bind=0, section=0xFFF1),
    Sym("imported", 0, 0, section=0),
    Sym("outer", TEXT + 0x100, 0x100),
    Sym("inner", TEXT + 0x140, 0x10),
    Sym("work.cold", TEXT + 0x300, 8, bind=0),
    Sym("local_alias", TEXT + 0x400, 16, bind=0),
    Sym("__libc_read", TEXT + 0x400, 16),
    Sym("read", TEXT + 0x400, 16, bind=2),
    Sym("__read", TEXT + 0x400, 16),
    Sym("resolver", TEXT + 0x500, 4, type=10),
    Sym("asm_copy", TEXT + 0x600, 0, type=0),
    Sym("$x", TEXT + 0x608, 0, type=0, bind=0),
    Sym("asm_last", TEXT + 0x700, 0),
    Sym("data", TEXT + 0x800, 8, type=1),
    Sym("_ZN5tokio7runtime7context7CONTEXT3VAL17hE", 0x10, 80, type=6, section=2),
    Sym("errno", 0, 4, type=6, section=2),
]


@pytest.fixture(scope="module")
def symtab() -> Symtab:
    return Symtab(ElfFile(elf([Sec(".tdata", bytes(8)), *symbol_sections(SYMBOLS)])))


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0x0FF, None),
        (0x100, ("outer", 0x100, 0x100)),
        (0x13F, ("outer", 0x100, 0x100)),
        (0x140, ("inner", 0x140, 0x10)),
        (0x150, ("outer", 0x100, 0x100)),
        (0x1FF, ("outer", 0x100, 0x100)),
        (0x200, None),
        (0x307, ("work.cold", 0x300, 8)),
        (0x40F, ("read", 0x400, 16)),
        (0x503, ("resolver", 0x500, 4)),
        (0x504, None),
        (0x600, ("asm_copy", 0x600, 0x100)),
        (0x6FF, ("asm_copy", 0x600, 0x100)),
        (0x700, ("asm_last", 0x700, 0x900)),
        (0xFFF, ("asm_last", 0x700, 0x900)),
        (0x1000, None),
    ],
)
def test_lookup(symtab: Symtab, offset: int, expected: tuple[str, int, int] | None) -> None:
    if expected is not None:
        expected = (expected[0], TEXT + expected[1], expected[2])
    assert symtab.lookup(TEXT + offset) == expected


def test_an_unsized_label_does_not_hide_the_function_around_it() -> None:
    symbols = [Sym("whole", TEXT, 0x100), Sym("label", TEXT + 0x80, 0, type=0, bind=0)]
    symtab = Symtab(ElfFile(elf(symbol_sections(symbols))))
    assert symtab.lookup(TEXT + 0x90) == ("whole", TEXT, 0x100)


def test_dynsym_serves_where_there_is_no_symtab() -> None:
    both = [
        *symbol_sections([Sym("exported", TEXT, 8)], ".dynsym"),
        *symbol_sections([Sym("exported", TEXT, 8), Sym("hidden", TEXT + 8, 8, bind=0)]),
    ]
    assert Symtab(ElfFile(elf(both))).table == ".symtab"
    symtab = Symtab(ElfFile(elf(both[:2])))
    assert symtab.table == ".dynsym"
    assert symtab.lookup(TEXT) == ("exported", TEXT, 8)
    assert symtab.lookup(TEXT + 8) is None


def test_no_symbols() -> None:
    symtab = Symtab(ElfFile(elf()))
    assert symtab.table == ""
    assert symtab.lookup(TEXT) is None
    assert symtab.find(b"x") == []
    assert symtab.tls_symbols() == []


def test_find(symtab: Symtab) -> None:
    assert symtab.find(b"er$") == [
        FoundSymbol("outer", TEXT + 0x100, 0x100, 2),
        FoundSymbol("inner", TEXT + 0x140, 0x10, 2),
        FoundSymbol("resolver", TEXT + 0x500, 4, 10),
    ]
    found = [s.name for s in symtab.find(b"i.*r$")]
    assert found == ["inner"], "a dot does not leave the name"
    assert symtab.find(b"imported") == []
    assert symtab.find(b"no such name") == []


def test_find_names_that_are_tails_of_others(symtab: Symtab) -> None:
    """``read`` has no string of its own: it lies inside ``__libc_read``."""
    assert [s.name for s in symtab.find(b"read$")] == ["__libc_read", "read", "__read"]
    assert [s.name for s in symtab.find(b"^read$")] == ["read"]
    assert [s.name for s in symtab.find(b"^_*read$")] == ["read", "__read"]


def test_find_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hud.symbols.elf.symtab.SEARCH_CHUNK", 64)
    symbols = [Sym(f"function_number_{n}", TEXT + n, 1) for n in range(200)]
    symtab = Symtab(ElfFile(elf(symbol_sections(symbols))))
    assert [s.value - TEXT for s in symtab.find(rb"number_\d7$")] == list(range(17, 100, 10))


def test_too_many_matches(monkeypatch: pytest.MonkeyPatch, symtab: Symtab) -> None:
    monkeypatch.setattr("hud.symbols.elf.symtab.MAX_MATCHES", 3)
    with pytest.raises(FormatError, match="too many symbol names match"):
        symtab.find(b"e")


def test_tls_symbols(symtab: Symtab) -> None:
    assert [(s.name, s.value, s.size) for s in symtab.tls_symbols()] == [
        ("_ZN5tokio7runtime7context7CONTEXT3VAL17hE", 0x10, 80),
        ("errno", 0, 4),
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(min_size=24, max_size=24), max_size=12),
    st.binary(max_size=64),
    st.lists(st.integers(0, (1 << 64) - 1), max_size=8),
)
def test_hostile_tables(rows: list[bytes], strings: bytes, addresses: list[int]) -> None:
    file = elf([Sec(".symtab", b"".join(rows), 2, link=".strtab"), Sec(".strtab", strings, 3)])
    symtab = Symtab(ElfFile(file))
    values = [struct.unpack_from("<Q", row, 8)[0] for row in rows]
    for address in (*addresses, *values):
        found = symtab.lookup(address)
        assert found is None or found[1] <= address < found[1] + found[2]
    symtab.find(b"a")
    symtab.find(b"^a")
    symtab.tls_symbols()
