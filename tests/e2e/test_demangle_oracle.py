"""Demangling against LLVM's and binutils' demanglers, on symbols of real Rust programs.

Known differences: LLVM knows v0 only, binutils is asked for legacy names only; both print hashes
and suffixes, which hud leaves out; binutils keeps the escapes of letters outside of ASCII.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from hud.symbols.demangle import demangle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.e2e

SOURCE = """
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
trait Shape<const N: usize> { fn area(&self) -> f64 where Self: Sized; fn name(&self) -> [u8; N]; }
struct Square<'a, T: Debug>(&'a T);
impl<'a, T: Debug, const N: usize> Shape<N> for Square<'a, T> {
    #[inline(never)] fn area(&self) -> f64 { format!("{:?}", self.0).len() as f64 }
    #[inline(never)] fn name(&self) -> [u8; N] { [7; N] }
}
#[inline(never)]
fn apply<F: Fn(&str) -> R, R: Debug>(call: F) -> String { format!("{:?}", call("gödel")) }
#[inline(never)]
fn boxed(kind: &dyn for<'x> Fn(&'x mut (u8, char)) -> Option<&'x u8>) -> usize {
    kind(&mut (1, 'a')).map_or(0, |n| *n as usize)
}
mod größe {
    #[inline(never)]
    pub fn ändern<const B: bool, const C: char>() -> char { if B { C } else { 'x' } }
}
type Callback = unsafe extern "C" fn(*const u8) -> i32;
#[inline(never)]
fn callback<F: Fn(Callback) -> i32>(call: F) -> i32 { call(zero) }
unsafe extern "C" fn zero(_: *const u8) -> i32 { 0 }
fn main() {
    let mut map: HashMap<String, BTreeMap<u8, Vec<Box<dyn Debug + Send>>>> = HashMap::new();
    map.entry(apply(|s| s.to_uppercase())).or_default().entry(1).or_default().push(Box::new(1u8));
    let square = Square(&map);
    println!("{} {:?}", Shape::<4>::area(&square), Shape::<4>::name(&square));
    println!("{}", callback(|n| unsafe { n(std::ptr::null()) }));
    println!("{}", boxed(&|pair| Some(&pair.0)));
    println!("{}", größe::ändern::<true, '\\n'>());
    let mut rows: Vec<_> = std::env::args().map(|a| (a.len(), a)).collect();
    rows.sort_by(|a, b| b.cmp(a));
    std::thread::spawn(move || println!("{rows:?}")).join().unwrap();
}
"""


@pytest.mark.parametrize(
    ("mangling", "tool", "least"),
    [("v0", ["llvm-cxxfilt"], 500), ("legacy", ["c++filt", "-s", "rust"], 200)],
)
def test_names_equal_the_oracle(
    mangling: str,
    tool: list[str],
    least: int,
    tmp_path: Path,
    need: Callable[[object, str], None],
) -> None:
    llvm = ["llvm-cxxfilt", *(f"llvm-cxxfilt-{version}" for version in range(25, 15, -1))]
    if tool == ["llvm-cxxfilt"]:
        tool = [next(filter(shutil.which, llvm), llvm[0])]
    for program in ("rustc", "nm", tool[0]):
        need(shutil.which(program), program)
    source = tmp_path / "zoo.rs"
    source.write_text(SOURCE)
    built = tmp_path / "zoo"
    options = ["-g"]
    if mangling == "v0":
        options += ["-C", "symbol-mangling-version=v0"]
    elif "nightly" in subprocess.run(["rustc", "-V"], capture_output=True, text=True).stdout:
        options += ["-Z", "unstable-options", "-C", "symbol-mangling-version=legacy"]
    made = subprocess.run(
        ["rustc", "--edition", "2021", *options, "-o", built, source],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    need(made.returncode == 0, f"rustc with {mangling} mangling: {made.stderr[-300:]}")
    listed = subprocess.run(["nm", built], capture_output=True, text=True, check=True).stdout
    start = "_R" if mangling == "v0" else "_ZN"
    symbols = sorted({s for s in listed.split() if s.startswith(start)})
    asked = subprocess.run(
        tool, input="\n".join(symbols), capture_output=True, text=True, check=True
    )
    differences = []
    compared = 0
    for symbol, theirs in zip(symbols, asked.stdout.splitlines(), strict=True):
        if theirs == symbol:
            continue
        want = re.sub(r"(::h[0-9a-f]{16})?(\.llvm\.\d+| \([.$].*\))?$", "", theirs)
        want = re.sub(r"\$u([0-9a-f]+)\$", lambda match: chr(int(match[1], 16)), want)
        compared += 1
        if demangle(symbol) != want:
            differences.append((symbol, demangle(symbol), want))
    assert differences == []
    assert compared >= least
