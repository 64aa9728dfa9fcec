"""One module: DWARF before symbols, facts, names by pattern, separate debug files."""

from __future__ import annotations

import struct

from hud.symbols.dwarf import constants as dw
from hud.symbols.elf.file import ElfFile
from hud.symbols.facts import ModuleFacts, TlsSegment
from hud.symbols.module import Module, RawFrame
from tests.builders import elfbuild as b
from tests.builders.elfbuild import TEXT, Die, Info, Sec, Seg, Sym, elf, symbol_sections

LEGACY = "_ZN5tokio7runtime7context7CONTEXT28_$u7b$$u7b$closure$u7d$$u7d$3VAL17h0123456789abcdefE"
V0 = "_RNvNCNkNvNtNtCs1234_5tokio7runtime7context7CONTEXT003VAL"
SYMBOLS = [
    Sym("whole", TEXT, 0x40),
    Sym("bare", TEXT + 0x40, 0x40),
    Sym("lines_only", TEXT + 0x80, 0x40),
    Sym(LEGACY, 0x10, 80, type=6),
    Sym(V0, 0x60, 80, type=6),
    Sym("other_tls", 0x100, 8, type=6),
    Sym("5tokio7runtime7context7CONTEXT_not_tls", TEXT, 1, type=1),
]


def debug_sections() -> list[Sec]:
    info = Info()
    body = Die(
        dw.DW_TAG_SUBPROGRAM,
        [
            (dw.DW_AT_LOW_PC, 0x01, TEXT),
            (dw.DW_AT_HIGH_PC, 0x06, 0x40),
            (dw.DW_AT_LINKAGE_NAME, 0x08, "_ZN5whole"),
        ],
    )
    info.unit(Die(0x11, [(dw.DW_AT_STMT_LIST, 0x17, 0)], [body]))
    line = b.line_program(
        b.sequence(TEXT, [(0, 5)], 0x40) + b.sequence(TEXT + 0x80, [(0, 9)], 0x40),
        files=[("/src/a.rs", 0)],
    )
    return [
        *info.sections(),
        Sec(".debug_line", line),
        Sec(".debug_aranges", b.aranges(0, [(TEXT, 0x40), (TEXT + 0x80, 0x40)])),
    ]


def expect_frames(module: Module) -> None:
    assert module.frames(TEXT + 1) == (
        RawFrame("_ZN5whole", "", "/src/a.rs", 5, False, TEXT, 0x40),
    )
    assert module.frames(TEXT + 0x41) == (RawFrame("bare", "", "", 0, False, TEXT + 0x40, 0x40),)
    assert module.frames(TEXT + 0x81) == (
        RawFrame("lines_only", "", "/src/a.rs", 9, False, TEXT + 0x80, 0x40),
    )
    assert module.frames(TEXT + 0x800) == ()


def test_dwarf_then_symbols_then_nothing() -> None:
    expect_frames(Module(ElfFile(elf([*symbol_sections(SYMBOLS), *debug_sections()]))))


def test_debug_file_apart() -> None:
    main = ElfFile(elf(symbol_sections([Sym("exported", TEXT, 4)], ".dynsym")))
    debug = ElfFile(elf([*symbol_sections(SYMBOLS), *debug_sections()]))
    module = Module(main, debug)
    expect_frames(module)
    facts = module.facts()
    assert (facts.has_symtab, facts.has_dwarf) == (True, True)
    assert module.defined(b"^(exported|bare)$") == [
        ("bare", TEXT + 0x40, 0x40),
        ("exported", TEXT, 4),
    ]


def test_facts() -> None:
    data = elf(
        [
            Sec(".note.gnu.build-id", b.note(3, b"GNU\0", b"\x12\xab")),
            Sec(".gnu_debuglink", b"a.debug\0" + bytes(4)),
            Sec(".eh_frame", b""),
            *symbol_sections(SYMBOLS),
            *debug_sections(),
        ],
        segments=[Seg(7, 4, 0x1000, 0x3000, 0x18, 0x200, 16)],
    )
    assert Module(ElfFile(data, "/usr/bin/app")).facts() == ModuleFacts(
        name="/usr/bin/app",
        build_id="12ab",
        machine="x86_64",
        pie=True,
        segments=((TEXT, TEXT, 0x1000, 5),),
        tls=TlsSegment(0x3000, 0x18, 0x200, 16),
        tls_symbols=((V0, 0x60, 80), (LEGACY, 0x10, 80)),
        has_symtab=True,
        has_dwarf=True,
        dwarf_versions=(4,),
        has_eh_frame=True,
        debuglink="a.debug",
        notes=(),
    )


def test_facts_of_a_stripped_file() -> None:
    facts = Module(ElfFile(elf(headers=False, kind=2))).facts()
    assert (facts.pie, facts.has_symtab, facts.has_dwarf, facts.has_eh_frame) == (False,) * 4
    assert (facts.build_id, facts.tls, facts.tls_symbols, facts.dwarf_versions) == (
        "",
        None,
        (),
        (),
    )


def test_damage_costs_names_and_leaves_notes() -> None:
    sections = {s.name: s for s in debug_sections()}
    packed = sections[".debug_abbrev"]._replace(
        data=struct.pack("<IIQQ", 1, 0, 50, 1) + b"junk", flags=0x800
    )
    sections[".debug_abbrev"] = packed
    module = Module(ElfFile(elf([*symbol_sections(SYMBOLS), *sections.values()]), "app"))
    assert module.frames(TEXT + 1)[0].name_raw == "whole"
    facts = module.facts()
    assert not facts.has_dwarf
    assert len(facts.notes) == 1
    assert facts.notes[0].startswith("section .debug_abbrev: ")
    assert "header" in facts.notes[0]
