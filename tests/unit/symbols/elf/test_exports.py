"""Calls from one file into another, compiled here, and what glibc has under a name."""

from __future__ import annotations

import ctypes.util
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hud.symbols.elf.exports import Exported, Exports, VersionedName
from hud.symbols.loaded import Loaded
from hud.symbols.tailcalls.paths import Address, TailCalls
from hud.symbols.tailcalls.recovered import between

PROGRAM, LIBC = 1, 2
SOURCE = r"""
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#define APART __attribute__((noinline))
struct timespec when;
APART int nap(unsigned n) { return usleep(n); }
APART int chain2(unsigned n) { return n > 5 ? nap(n) : getpid(); }
APART int chain3(unsigned n) { return chain2(n + 1); }
APART int timed(pthread_cond_t *c, pthread_mutex_t *m) {
    return pthread_cond_timedwait(c, m, &when);
}
APART void *copy(void *to, void *from, unsigned long n) { return memcpy(to, from, n); }
#ifdef __x86_64__
__asm__(".section .text.splits,\"ax\"\n .type splits,@function\n splits: .cfi_startproc\n"
        "sub $24, %rsp\n .cfi_def_cfa_offset 32\n cmp $7, %edi\n jne moved_out\n"
        "add $24, %rsp\n .cfi_def_cfa_offset 8\n ret\n .cfi_endproc\n .size splits, . - splits\n"
        ".section .text.apart,\"ax\"\n .type moved_out,@function\n moved_out: .cfi_startproc\n"
        ".cfi_def_cfa_offset 32\n call usleep@PLT\n ud2\n .cfi_endproc\n"
        ".size moved_out, . - moved_out\n .text");
int splits(unsigned n);
#else
APART int splits(unsigned n) { return n; }
#endif
APART int calls_splits(unsigned n) { return splits(n) + 1; }
APART int calls_nap(void) { return nap(9) + 1; }
APART int calls_chain(void) { return chain3(9) + 1; }
APART int calls_timed(pthread_cond_t *c, pthread_mutex_t *m) { return timed(c, m) + 1; }
APART int calls_it(pthread_cond_t *c, pthread_mutex_t *m) {
    return pthread_cond_timedwait(c, m, &when) + 1;
}
APART int calls_copy(char *to, char *from, unsigned long n) {
    return 1 + *(char *)copy(to, from, n);
}
APART int calls_memcpy(char *to, char *from, unsigned long n) {
    return 1 + *(char *)memcpy(to, from, n);
}
int main(void) { return calls_splits(1) + calls_nap() + calls_chain() + calls_timed(0, 0)
                 + calls_it(0, 0) + calls_copy(0, 0, 0) + calls_memcpy(0, 0, 0); }
"""


class Compiled:
    """SOURCE as a program, and the C library."""

    def __init__(self, binary: Path, libc: Path) -> None:
        self.modules: dict[int, Loaded] = {}
        for number, path in ((PROGRAM, binary), (LIBC, libc)):
            with path.open("rb") as file:
                self.modules[number] = Loaded(path.name, os.dup(file.fileno()))
        self.tails = TailCalls(self.modules)
        self.libc = Exports(self.modules[LIBC].elf())

    def defined(self, name: str) -> tuple[int, int]:
        """Start and size of a function of the program."""
        ((_, start, size),) = self.modules[PROGRAM].module().defined(rf"^{name}$".encode())
        return start, size

    def between(self, caller: str, inner: str, *, part: bool = False) -> list[str]:
        """The functions between the first call in ``caller`` and one of libc, or a ``part``."""
        start, size = self.defined(caller)
        landings = self.modules[PROGRAM].landings()
        call = next(at for at in range(start, start + size) if landings.called(at + 1) is not None)
        place = self.modules[PROGRAM].elf().offset_of(call)
        if part:
            goal = self.defined(inner)[0]
        else:
            exported = self.libc.find(VersionedName(inner, ""))
            assert exported is not None
            goal = exported.vaddr
        file = PROGRAM if part else LIBC
        to = self.modules[file].elf().offset_of(goal)
        assert place is not None
        assert to is not None
        found = between(self.modules, self.tails, PROGRAM, place, file, to).functions
        return [one.frames[0].function + ".." * one.frames[0].gap for one in found][::-1]


@pytest.fixture(scope="module", params=["plt", "no-plt", "fixed"])
def compiled(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    need: Callable[[object, str], None],
) -> Compiled:
    compiler = next(filter(None, map(shutil.which, ("gcc", "cc", "clang"))), "")
    need(compiler, "a C compiler")
    name = ctypes.util.find_library("c") or ""
    libc = next(iter(Path("/").glob(f"lib*/**/{name}")), None) if name else None
    need(libc is not None and platform.libc_ver()[0] == "glibc", "glibc")
    assert libc is not None
    place = tmp_path_factory.mktemp("made")
    (place / "made.c").write_text(SOURCE)
    options = {
        "plt": ["-fPIE", "-pie", "-fplt"],
        "no-plt": ["-fPIE", "-pie", "-fno-plt", "-Wl,-z,now"],
        "fixed": ["-fno-pie", "-no-pie"],
    }[request.param]
    binary = place / "made"
    subprocess.run(
        [compiler, "-O2", "-ffunction-sections", *options, "-o", binary, place / "made.c"],
        check=True,
    )
    return Compiled(binary, libc)


def test_jump_into_another_file(compiled: Compiled) -> None:
    assert compiled.between("calls_nap", "usleep") == ["nap"]
    assert compiled.between("calls_chain", "usleep") == ["chain3", "chain2", "nap"]
    assert compiled.between("calls_chain", "getpid") == ["chain3", "chain2"]


def test_default_version_is_the_one_that_is_called(compiled: Compiled) -> None:
    name = "pthread_cond_timedwait"
    assert compiled.between("calls_it", name) == []
    assert compiled.between("calls_timed", name) == ["timed"]


def test_nobody_knows_what_an_ifunc_has_chosen(compiled: Compiled) -> None:
    assert compiled.between("calls_memcpy", "usleep") == []
    # the callee is certain, its jump leads on to what the ifunc chose
    assert compiled.between("calls_copy", "memmove") == ["copy.."]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="its machine code")
def test_part_of_a_function_is_no_tail_call(compiled: Compiled) -> None:
    landings = compiled.modules[PROGRAM].landings()
    starts = [compiled.defined(name)[0] for name in ("splits", "moved_out")]
    assert [landings.is_part(start) for start in starts] == [False, True]
    assert compiled.between("calls_splits", "moved_out", part=True) == []


def test_versions_of_glibc(compiled: Compiled) -> None:
    find = compiled.libc.find
    default = find(VersionedName("pthread_cond_timedwait", ""))
    assert default is not None
    assert not default.is_ifunc
    if platform.machine() == "x86_64":
        assert find(VersionedName("pthread_cond_timedwait", "GLIBC_2.3.2")) == default
        old = find(VersionedName("pthread_cond_timedwait", "GLIBC_2.2.5"))
        assert isinstance(old, Exported)
        assert old != default
        copies = find(VersionedName("memcpy", ""))
        assert copies is not None
        assert copies.is_ifunc
    assert find(VersionedName("no_such_function", "")) is None
    assert find(VersionedName("", "")) is None


def test_names_that_a_file_wants(compiled: Compiled) -> None:
    exports = Exports(compiled.modules[PROGRAM].elf())
    wanted = [exports.versioned_name(index) for index in range(1, 12)]
    found = {one.name: one.version for one in wanted if one is not None}
    assert found["pthread_cond_timedwait"].startswith("GLIBC_2.")
    assert exports.versioned_name(1 << 20) is None


def test_callee_with_two_definitions_is_not_known(compiled: Compiled) -> None:
    modules = {**compiled.modules, 3: compiled.modules[LIBC]}
    landings = compiled.modules[PROGRAM].landings()
    start, size = compiled.defined("calls_it")
    call = next(at for at in range(start, start + size) if landings.called(at) is not None)
    inner = compiled.libc.find(VersionedName("usleep", ""))
    assert inner is not None
    assert TailCalls(modules).between(Address(PROGRAM, call), Address(LIBC, inner.vaddr)) == ()
