"""Which layouts are proposed for which file: rows, sizes, versions, machines."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from hud.runtime.blocks import Block, executable_block
from hud.runtime.context import (
    LAYOUTS,
    NEWEST,
    NONE,
    VARIANTS,
    Proposal,
    is_context,
)
from hud.runtime.context import propose as propose_in

LEGACY = (
    "_ZN5tokio7runtime7context7CONTEXT29_$u7b$$u7b$constant$u7d$$u7d$28_$u7b$$u7b$closure"
    "$u7d$$u7d$3VAL17h0123456789abcdefE"
)

NOW = ".".join(map(str, NEWEST))
DEMANGLED = "tokio::runtime::context::CONTEXT::{{constant}}::{{closure}}::__RUST_STD_INTERNAL_VAL"


class Tls(NamedTuple):
    vaddr: int
    memsz: int
    align: int


class Facts(NamedTuple):
    tls: Tls | None
    tls_symbols: list[tuple[str, int, int]]
    has_symtab: bool = True
    context_members: tuple[dict[str, int], ...] = ()


def propose(facts: Facts, machine: int | str, versions: list[str] | None = None) -> Proposal:
    block = executable_block(facts.tls, machine)
    return (
        Proposal((), block) if isinstance(block, str) else propose_in(facts, block, versions or [])
    )


BLOCK = Tls(0x1000, 0x1F8, 32)


def facts(size: int, *, value: int = 0x40, tls: Tls = BLOCK) -> Facts:
    return Facts(tls, [("std::thread::current::CURRENT", 0, 8), (LEGACY, value, size)])


@pytest.mark.parametrize(
    ("symbol", "is_it"),
    [
        (LEGACY, True),
        (DEMANGLED, True),
        ("_RNvNCNkNvNtNtCs1_5tokio7runtime7context7CONTEXT0s_023___RUST_STD_INTERNAL_VAL", True),
        ("tokio[1a2b]::runtime::context::CONTEXT::{constant#0}::{closure#1}::VAL", True),
        ("tokio::runtime::coop::CURRENT::VAL", False),
        ("mytokio_runtime_context_CONTEXT", False),
        ("", False),
    ],
)
def test_symbol_of_context(symbol: str, is_it: bool) -> None:
    assert is_context(symbol) is is_it


@pytest.mark.parametrize(
    ("tokio", "size", "expected"),
    [
        # task_tag, task_id, budget_tag, runtime, scheduler, core, tick_multi
        ("1.22.0", 64, (0, 8, 48, 50, NONE, NONE, NONE)),
        ("1.23.1", 96, (32, 40, 80, 82, NONE, NONE, NONE)),
        ("1.22.0", 56, (16, 24, 40, 42, NONE, NONE, NONE)),
        ("1.23.1", 88, (48, 56, 72, 74, NONE, NONE, NONE)),
        ("1.28.0", 104, (32, 40, 88, 90, NONE, NONE, NONE)),
        ("1.28.0", 96, (48, 56, 80, 82, NONE, NONE, NONE)),
        ("1.38.0", 88, (32, 40, 76, 78, 56, 24, 64)),
        ("1.44.0", 80, (NONE, 48, 68, 70, 40, 24, 64)),
        ("1.47.1", 80, (NONE, 48, 68, 70, 40, 24, 104)),
        ("1.54.1", 80, (NONE, 48, 68, 70, 40, 24, 104)),
        # as Rust before 1.80 lays it out, 8 bytes less
        ("1.44.0", 64, (NONE, 40, 60, 62, 32, 24, NONE)),
        # with taskdump
        ("1.38.0", 120, (64, 72, 108, 110, 88, NONE, NONE)),
        ("1.47.1", 112, (NONE, 80, 100, 102, 72, NONE, NONE)),
        ("1.54.1", 104, (NONE, 48, 92, 94, 40, NONE, NONE)),
    ],
)
def test_version_and_size_name_one_layout(tokio: str, size: int, expected: tuple[int, ...]) -> None:
    (layout,) = propose(facts(size), "x86_64", [tokio]).layouts
    assert (
        layout.task_tag,
        layout.task_id,
        layout.budget_tag,
        layout.runtime,
        layout.scheduler,
        layout.core,
        layout.tick_multi,
    ) == expected
    assert layout.tick_current == NONE
    assert layout.size == size
    assert layout.why.startswith(f"tokio {tokio}, CONTEXT of {size} bytes")


@pytest.mark.parametrize(
    ("tokio", "size", "expected"),
    [
        ("1.54.1", 72, {(NONE, 40): "", (NONE, 48): ", with Rust before 1.80"}),
        (
            "1.38.0",
            80,
            {(0, 8): "", (32, 40): ", with Rust before 1.80", (48, 56): ", with Rust 1.63"},
        ),
    ],
)
def test_a_size_that_several_builds_of_a_version_have(
    tokio: str, size: int, expected: dict[tuple[int, int], str]
) -> None:
    layouts = propose(facts(size), "x86_64", [tokio]).layouts
    seen = {(layout.task_tag, layout.task_id): layout.why for layout in layouts}
    assert seen == {
        at: f"tokio {tokio}, CONTEXT of {size} bytes{why}" for at, why in expected.items()
    }
    assert (layouts[0].task_tag, layouts[0].task_id) == next(iter(expected)), "likeliest first"


def test_without_a_version_every_row_is_proposed_and_none_is_called_by_its_newest() -> None:
    layouts = propose(facts(80), "x86_64").layouts
    assert [(layout.tokio, layout.task_id, layout.tick_multi) for layout in layouts] == [
        (f"1.40 to {NOW}", 48, NONE),  # 1.40 to 1.44 and 1.45 to 1.54 differ in the tick
        ("1.29 to 1.39", 8, NONE),
        ("1.29 to 1.39 with Rust before 1.80", 40, 64),
        ("1.29 to 1.39 with Rust 1.63", 56, NONE),
        ("1.23 with Rust before 1.80", 56, NONE),
    ]
    assert layouts[0].core == 24
    assert layouts[0].why == (
        f"tokio, version not known; CONTEXT of 80 bytes, layout as in 1.40 to {NOW}"
    )


def test_newer_version_than_known_is_taken_as_the_newest_and_says_so() -> None:
    row = max((row for row in LAYOUTS if row.multi_thread), key=lambda row: row.last)
    (layout,) = propose(facts(row.size), "x86_64", ["1.99.0"]).layouts
    assert (layout.tokio, layout.task_id) == (row.tokio, row.task_id)
    assert f"1.99.0 is newer than hud knows (1.{row.last[1]})" in layout.why


def test_two_copies_of_tokio_each_count() -> None:
    both = Facts(Tls(0x1000, 0x200, 8), [(LEGACY, 0x40, 80), (LEGACY, 0x100, 88)])
    layouts = propose(both, "x86_64", ["1.38.0", "1.54.1"]).layouts
    assert [(layout.tls_offset, layout.tokio) for layout in layouts] == [
        (0x40 - 0x200, f"1.45 to {NOW}"),
        (0x40 - 0x200, "1.29 to 1.39"),
        (0x40 - 0x200, "1.29 to 1.39 with Rust before 1.80"),
        (0x40 - 0x200, "1.29 to 1.39 with Rust 1.63"),
        (0x100 - 0x200, "1.29 to 1.39"),
    ]


def test_a_copy_more_than_versions_may_be_of_any() -> None:
    both = Facts(Tls(0x1000, 0x200, 8), [(LEGACY, 0x40, 80), (LEGACY, 0x100, 88)])
    layouts = propose(both, "x86_64", ["1.38.0"]).layouts
    places = [(layout.tls_offset + 0x200, layout.tokio) for layout in layouts]
    assert [(at, tokio) for at, tokio in places if "Rust" not in tokio] == [
        (0x40, "1.29 to 1.39"),
        (0x40, f"1.40 to {NOW}"),
        (0x100, "1.29 to 1.39"),
        (0x100, "1.23"),
    ]
    assert layouts[3].why.startswith("tokio, version not known; CONTEXT of 80 bytes, layout as in")


@pytest.mark.parametrize(
    ("machine", "tls", "offset"),
    [
        ("x86_64", Tls(0x1000, 0x1F8, 32), -0x200),
        (62, Tls(0x1000, 0x200, 8), -0x200),
        ("x86_64", Tls(0x1008, 0x1F8, 32), -0x1F8),  # as the linker keeps p_vaddr modulo p_align
        ("x86_64", Tls(0x1000, 0x1F8, 0), -0x1F8),
        ("aarch64", Tls(0x1000, 0x1F8, 8), 16),
        (183, Tls(0x1000, 0x1F8, 64), 64),
    ],
)
def test_offset_from_the_thread_pointer(machine: int | str, tls: Tls, offset: int) -> None:
    (layout,) = propose(facts(80, value=0x28, tls=tls), machine, ["1.54.1"]).layouts
    assert layout.tls_offset == offset + 0x28


@pytest.mark.parametrize(
    ("seen", "machine", "versions", "reason"),
    [
        (facts(80), "riscv64", ["1.54.1"], "no layout of thread-locals for machine riscv64"),
        (facts(136), "x86_64", ["1.54.1"], "no known layout of tokio 1.54.1 has a CONTEXT of 136"),
        (facts(88), "x86_64", ["1.54.1"], "no known layout of tokio 1.54.1 has a CONTEXT of 88"),
        (facts(136), "x86_64", [], "no known layout of any version of tokio"),
        (facts(32), "x86_64", ["1.20.0"], "no symbol of tokio's CONTEXT, though there is tokio"),
        (facts(32), "x86_64", ["1.19.2"], "tokio 1.19.2 is older than hud knows (1.20)"),
        (Facts(Tls(0, 64, 8), [], False), "x86_64", [], "CONTEXT: the executable is stripped"),
        (Facts(Tls(0, 64, 8), []), "x86_64", [], "no tokio in the executable"),
        (Facts(Tls(0, 64, 8), []), "x86_64", ["1.54.1"], "CONTEXT, though there is tokio 1.54.1"),
        (Facts(None, [(LEGACY, 0, 80)]), "x86_64", [], "no TLS segment"),
        (facts(80, tls=Tls(0, 64, 3)), "x86_64", [], "no sound TLS segment"),
        (facts(80, value=0x1F0), "x86_64", ["1.54.1"], "no known layout"),
    ],
)
def test_no_proposal_has_a_reason(
    seen: Facts, machine: str, versions: list[str], reason: str
) -> None:
    proposal = propose(seen, machine, versions)
    assert proposal.layouts == ()
    assert reason in proposal.reason


# --------------------------------------------------------------------------- 1.20 and 1.21

VAL = "29_$u7b$$u7b$constant$u7d$$u7d$28_$u7b$$u7b$closure$u7d$$u7d$23__RUST_STD_INTERNAL_VAL"
BUDGET = ("_ZN5tokio4coop7CURRENT" + VAL, 0x50, 2)
ENTERED = ("_ZN5tokio7runtime5enter7ENTERED" + VAL, 0x20, 1)
POOL = ("_ZN5tokio7runtime11thread_pool6worker7CURRENT3FOO" + VAL, 0x68, 8)
BASIC = ("_ZN5tokio7runtime15basic_scheduler7CURRENT3FOO7__getit3VAL17h01E", 0x60, 8)
MULTI = ("_ZN5tokio7runtime9scheduler12multi_thread6worker7CURRENT3FOO" + VAL, 0x48, 8)
SINGLE = ("_ZN5tokio7runtime9scheduler14current_thread7CURRENT3FOO" + VAL, 0x58, 8)
CONTEXT = (LEGACY, 0, 32)


def symbols(*found: tuple[str, int, int]) -> Facts:
    return Facts(BLOCK, [CONTEXT, *found])


@pytest.mark.parametrize(
    ("found", "versions", "tokio", "scheduler", "current"),
    [
        ((BUDGET, ENTERED, POOL, BASIC), ["1.20.6"], "1.20", 0x68, 0x60),
        ((BUDGET, ENTERED, BASIC), ["1.20.0"], "1.20", 0x60, 0x60),
        ((BUDGET, ENTERED, MULTI, SINGLE), ["1.21.2"], "1.21", 0x48, 0x58),
        ((BUDGET, ENTERED, SINGLE), [], "1.21", 0x58, 0x58),
        ((BUDGET, ENTERED, POOL), ["1.20.6"], "1.20", 0x68, NONE),
    ],
)
def test_parts_that_lie_apart(
    found: tuple[tuple[str, int, int], ...],
    versions: list[str],
    tokio: str,
    scheduler: int,
    current: int,
) -> None:
    (layout,) = propose(symbols(*found), "x86_64", versions).layouts
    assert layout.apart
    assert not layout.separates_polls  # before a scheduler was seen
    assert layout.why == f"tokio {versions[0] if versions else '1.21'} without task ids"
    assert (layout.tokio, layout.tls_offset) == (tokio, -0x200)
    assert layout.size == max(place + size for _, place, size in found)
    assert (layout.runtime, layout.budget_tag) == (0x20, 0x50)
    assert (layout.scheduler, layout.current) == (scheduler, current)
    assert (layout.core, layout.tick_multi, layout.tick_current) == (NONE, NONE, NONE)


@pytest.mark.parametrize(
    ("found", "scheduler", "current"),
    [
        ((MULTI, SINGLE), 0x28, 0x38),
        ((MULTI,), 0x28, NONE),
        ((SINGLE,), 0x38, 0x38),
        ((), NONE, NONE),
        ((MULTI, MULTI, SINGLE), NONE, NONE),  # whose is which?
    ],
)
def test_before_1_29_each_kind_of_scheduler_has_a_pointer_of_its_own(
    found: tuple[tuple[str, int, int], ...], scheduler: int, current: int
) -> None:
    context = (LEGACY, 0x20, 104)
    (layout,) = propose(Facts(BLOCK, [context, *found]), "x86_64", ["1.28.2"]).layouts
    assert layout.early is (scheduler != NONE)
    assert (layout.tls_offset, layout.scheduler, layout.current) == (-0x1E0, scheduler, current)
    assert not layout.apart
    (layout,) = propose(Facts(BLOCK, [(LEGACY, 0x20, 80), *found]), "x86_64", ["1.54.1"]).layouts
    assert (layout.early, layout.scheduler, layout.current) == (False, 40, NONE)


def test_debug_info_tells_the_ticks() -> None:
    members = ({"lifo_slot": 0, "tick": 24}, {"unhandled_panic": 100, "tick": 96}, {"tick": 8})
    seen = symbols(BUDGET, ENTERED, MULTI, SINGLE)._replace(context_members=members)
    (layout,) = propose(seen, "x86_64", ["1.21.2"]).layouts
    assert (layout.tick_multi, layout.tick_current) == (24, 96)
    assert layout.why == "tokio 1.21.2 without task ids, its ticks as debug info says"
    seen = seen._replace(context_members=(*members, {"lifo_slot": 8, "tick": 32}))
    (layout,) = propose(seen, "x86_64", ["1.21.2"]).layouts
    assert layout.tick_multi == NONE  # two say two


@pytest.mark.parametrize(
    ("found", "versions", "reason"),
    [
        ((BUDGET, ENTERED, POOL, BASIC), [], "a tokio before 1.21, whose version is not known"),
        ((BUDGET, POOL, BASIC), ["1.20.6"], "no symbol of tokio's CONTEXT, though there is tokio"),
        ((ENTERED, POOL, BASIC), ["1.20.6"], "no symbol of tokio's CONTEXT, though there is tokio"),
        ((BUDGET, ENTERED), ["1.20.6"], "no symbol of tokio's CONTEXT, though there is tokio 1.20"),
        ((BUDGET, ENTERED, POOL, MULTI), ["1.20.6"], "2 copies of tokio 1.20.6's thread-local"),
        ((BUDGET, (ENTERED[0], 9, 2), POOL), ["1.20.6"], "is not as hud knows it"),
        ((BUDGET, (ENTERED[0], 0x1F8, 1), POOL), ["1.20.6"], "is not as hud knows it"),
        ((BUDGET, ENTERED, POOL, BASIC), ["1.19.2"], "tokio 1.19.2 is older than hud knows (1.20)"),
    ],
)
def test_parts_that_are_not_proposed(
    found: tuple[tuple[str, int, int], ...], versions: list[str], reason: str
) -> None:
    proposal = propose(symbols(*found), "x86_64", versions)
    assert proposal.layouts == ()
    assert reason in proposal.reason


MEMBERS = {"current_task_id": 48, "budget": 68, "runtime": 70, "scheduler": 40, "rng": 56}


def test_debug_info_decides_between_layouts_of_one_size() -> None:
    seen = facts(80)._replace(context_members=(MEMBERS,))
    assert [layout.tokio for layout in propose(seen, "x86_64").layouts] == [f"1.40 to {NOW}"]
    (layout,) = propose(seen, "x86_64", ["1.54.1"]).layouts
    assert layout.why == "tokio 1.54.1, CONTEXT of 80 bytes as its debug info says"
    older = {"current_task_id": 0, "budget": 68, "runtime": 70, "scheduler": 48}
    seen = seen._replace(context_members=({"budget": 3}, older))
    assert [layout.tokio for layout in propose(seen, "x86_64").layouts] == ["1.29 to 1.39"]


@pytest.mark.parametrize("member", ["current_task_id", "budget", "runtime", "scheduler"])
def test_debug_info_that_contradicts_refutes(member: str) -> None:
    other = {**MEMBERS, member: 8}
    proposal = propose(facts(80)._replace(context_members=(other,)), "x86_64", ["1.54.1"])
    assert proposal.layouts == ()
    assert proposal.reason == "debug info of tokio 1.54.1 contradicts every known layout"
    assert proposal.places == ((0x40, 80),), "what is there may tell"


def test_in_a_shared_object_offsets_count_from_its_block() -> None:
    block = Block(3, 0, 0x200, "api.so")
    (layout,) = propose_in(facts(80), block, ["1.54.1"]).layouts
    assert (layout.module, layout.tls_offset) == (3, 0x40)
    assert layout.why == "tokio 1.54.1, CONTEXT of 80 bytes in api.so"
    stripped = Facts(BLOCK, [], has_symtab=False)
    assert propose_in(stripped, block, ["1.54.1"]).reason == (
        "no symbol of tokio's CONTEXT: api.so is stripped"
    )


def test_every_row_fits_in_its_size() -> None:
    for row in (*LAYOUTS, *VARIANTS):
        assert row.first <= row.last
        assert row.task_tag < row.task_id <= row.size - 8
        assert row.task_id % 8 == 0
        assert {row.budget_tag, row.runtime} <= set(range(row.size))
        assert row.scheduler <= row.size - 8
        assert row.core == NONE or row.scheduler != NONE
