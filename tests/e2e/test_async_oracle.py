"""Async bodies by their code alone against what debug info says of the same functions.

Known difference: a closure that owns a future and does nothing but poll it is the same code as the
future's body.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import capstone
import pytest
import targets

from hud.model import Origin
from hud.symbols.elf.file import ElfFile
from hud.symbols.kinds import TaskKinds
from hud.symbols.machine.instructions import LONGEST, x86_64
from hud.symbols.machine.lengths import shape
from hud.symbols.module import Module
from hud.symbols.names import describe, is_closure, readable_symbol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Need = Callable[[object, str], None]

ASYNC_BY_DWARF = re.compile(r"\{async_(?:fn|block|closure)#")

CLOSURES = """
use std::future::Future;
use std::hint::black_box;
use std::pin::{pin, Pin};
use std::task::{Context, Poll, Waker};

struct Later(bool);

impl Future for Later {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[inline(never)]
fn work(number: u64) -> u64 {
    black_box(number) * 3
}

async fn body(number: u64) -> u64 {
    let found = work(number);
    Later(false).await;
    work(found)
}

async fn other(number: u64) -> u64 {
    body(number).await + body(number + 1).await
}

type Polled<'a> = &'a mut dyn FnMut(&mut Context<'_>) -> Poll<u64>;

#[inline(never)]
fn drive(poll: Polled) -> u64 {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(found) = poll(&mut context) {
            return found;
        }
    }
}

#[inline(never)]
fn borrows() -> u64 {
    let mut future = pin!(body(black_box(1)));
    drive(&mut |context| future.as_mut().poll(context))
}

#[inline(never)]
fn boxes() -> u64 {
    let mut future = Box::pin(body(black_box(1)));
    drive(&mut move |context| future.as_mut().poll(context))
}

#[inline(never)]
fn counts() -> u64 {
    let mut future = body(black_box(1));
    let mut count = black_box(3u64);
    drive(&mut move |context| {
        count += 1;
        if count == 7 {
            return Poll::Ready(count);
        }
        unsafe { Pin::new_unchecked(&mut future) }.poll(context)
    })
}

#[inline(never)]
fn looks() -> u64 {
    let mut future = body(black_box(1));
    let done = black_box(false);
    drive(&mut move |context| match done {
        true => Poll::Ready(0),
        false => unsafe { Pin::new_unchecked(&mut future) }.poll(context),
    })
}

#[inline(never)]
fn owns() -> u64 {
    let mut future = body(black_box(1));
    drive(&mut move |context| unsafe { Pin::new_unchecked(&mut future) }.poll(context))
}

fn main() {
    let mut future: Pin<Box<dyn Future<Output = u64>>> = Box::pin(other(black_box(1)));
    let sum = drive(&mut |context| future.as_mut().poll(context));
    println!("{}", sum + borrows() + boxes() + counts() + looks() + owns());
}
"""


class Closure(NamedTuple):
    """A function whose symbol is a closure's."""

    name: str
    start: int
    size: int
    by_dwarf: bool
    by_code: bool


def closures(path: Path) -> list[Closure]:
    found = {}
    with path.open("rb") as opened, ElfFile(opened.fileno(), str(path)) as elf:
        module = Module(elf)
        for symbol in module.defined(rb"closure|NC"):
            raw, start, size = symbol
            own = module.own_name(start)
            if is_closure(raw) and own:
                by_dwarf = bool(ASYNC_BY_DWARF.match(own))
                name = readable_symbol(raw)
                found[start] = Closure(name, start, size, by_dwarf, bool(module.kind(symbol)))
    return list(found.values())


@pytest.mark.e2e
@pytest.mark.parametrize(
    "settings",
    [{}, {"config": targets.LTO}, {"crateflags": "-C symbol-mangling-version=v0"}],
    ids=["release", "lto", "v0"],
)
def test_every_async_body_and_no_closure(
    settings: dict[str, Any], build_target: Callable[..., Path]
) -> None:
    path = build_target("zoo", debug=2, **settings)
    found = closures(path)
    assert [one for one in found if one.by_dwarf != one.by_code] == []
    assert sum(one.by_code for one in found) >= 15
    assert sum(not one.by_code for one in found) >= 15
    check_sizes(path, found)


def check_sizes(path: Path, found: list[Closure]) -> None:
    """Every instruction that is decoded is as long as capstone says."""
    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    checked = 0
    with path.open("rb") as opened, ElfFile(opened.fileno(), str(path)) as elf:
        for one in found:
            code = bytes(elf.read(one.start, one.size))
            padded = code + bytes(LONGEST)
            for truth in disassembler.disasm(code, one.start):
                at = truth.address - one.start
                assert shape(padded, at)[0] == truth.size, truth
                here = x86_64(code[at : at + LONGEST].ljust(LONGEST, b"\0"), truth.address)
                if here is not None:
                    assert here.size == truth.size, truth
                    checked += 1
    assert checked > 1000


@pytest.mark.e2e
def test_a_task_type_is_never_another(build_target: Callable[..., Path]) -> None:
    """With fat LTO and panic=abort functions are merged, and one name stands for several types."""
    path = build_target("zoo", config=targets.LTO_ABORT)
    with path.open("rb") as opened, ElfFile(opened.fileno(), str(path)) as elf:
        kinds = TaskKinds(elf, Module(elf))
        found = [kinds.of(vtable) for vtable in kinds._vtables()]
    assert len(found) > 20
    named = 0
    for kind in found:
        declared = Declared.of(kind.where.removeprefix("~"))
        function = re.fullmatch(r"zoo::(\w+)::(\w+)::\{async\}", kind.name)
        if function is None:
            assert kind.inferred or not kind.name.startswith("zoo::"), kind
        elif declared.module != "specimen":  # what each of them awaits first
            assert declared == Declared(function[1], function[2]), kind
            named += 1
    assert named >= 5


class Declared(NamedTuple):
    """What is at a place in the zoo's sources."""

    module: str
    function: str

    @classmethod
    def of(cls, place: str) -> Declared:
        file, _, line = place.partition(":")
        path = targets.CRATES / "zoo" / file
        if not file or not path.is_file():
            return cls("", "")
        found = re.search(r"async fn (\w+)", path.read_text().splitlines()[int(line) - 1])
        return cls(path.stem, found[1] if found else "")


def test_line_tables_alone_take_the_path_from_the_symbol(need: Need, tmp_path: Path) -> None:
    need(shutil.which("rustc"), "rustc")
    (tmp_path / "main.rs").write_text(CLOSURES)
    command = ["rustc", "--edition=2021", "-Cdebuginfo=line-tables-only", "-Copt-level=1"]
    subprocess.run([*command, "main.rs", "-o", "main"], cwd=tmp_path, check=True)
    with (tmp_path / "main").open("rb") as opened, ElfFile(opened.fileno(), "main") as elf:
        module = Module(elf)
        found = {
            readable_symbol(raw): describe("main", start, module.frames(start), {})[-1]
            for raw, start, _ in module.defined(rb"4main")
        }
    names = {
        "main::borrows": "main::borrows",
        "main::borrows::{closure}": "main::borrows::{closure}",
        "main::other::{closure}": "main::other::{async fn}",
    }
    for symbol, expected in names.items():
        frame = found[symbol]
        assert (frame.function, frame.origin) == (expected, Origin.USER)
        assert frame.line > 1


@pytest.mark.parametrize("level", ["1", "3", "s"])
def test_closures_that_bodies_were_inlined_into(level: str, need: Need, tmp_path: Path) -> None:
    need(shutil.which("rustc"), "rustc")
    (tmp_path / "main.rs").write_text(CLOSURES)
    command = ["rustc", "--edition=2021", "-g", f"-Copt-level={level}", "-Ccodegen-units=1"]
    subprocess.run([*command, "main.rs", "-o", "main"], cwd=tmp_path, check=True)
    found = {one.name: one for one in closures(tmp_path / "main") if one.name.startswith("main::")}
    known = {"main::owns::{closure}"}
    different = {name for name, one in found.items() if one.by_dwarf != one.by_code}
    assert different <= known
    plain = {f"main::{name}::{{closure}}" for name in ("borrows", "boxes", "counts", "looks")}
    assert plain <= {name for name, one in found.items() if not one.by_code}
    assert "main::other::{closure}" in {name for name, one in found.items() if one.by_code}
