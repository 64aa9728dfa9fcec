"""The names by which people know the functions of the C library."""

from __future__ import annotations

import pytest

from hud.symbols.cnames import known_as
from hud.symbols.module import RawFrame
from hud.symbols.names import describe


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("__GI___libc_free", "free"),
        ("__libc_read", "read"),
        ("__GI___libc_malloc", "malloc"),
        ("_int_free", "free"),
        ("_int_malloc", "malloc"),
        ("__memset_avx2_unaligned_erms", "memset"),
        ("__memmove_evex_unaligned_erms", "memmove"),
        ("__memcpy_generic", "memcpy"),
        ("__memcmp_sse4_1", "memcmp"),
        ("__strlen_avx2", "strlen"),
        ("__strchrnul_evex", "strchrnul"),
        ("__GI___clock_nanosleep", "clock_nanosleep"),
        ("__GI___readdir64", "readdir"),
        ("__GI___getdents64", "getdents"),
        ("__realpath", "realpath"),
        ("__close_nocancel", "close"),
        ("__open64_nocancel", "open"),
        ("fstat64", "fstat"),
        ("epoll_wait", "epoll_wait"),
        ("start_thread", "start_thread"),
        ("__clone3", "clone3"),
        ("__lll_lock_wait_private", "lll_lock_wait_private"),
        ("mmap64", "mmap"),
    ],
)
def test_of_the_library(symbol: str, name: str) -> None:
    assert known_as(symbol, library=True) == name
    raw = RawFrame(f"{symbol}@@GLIBC_2.14", "", "", 0, False, 0x1000, 0x80)
    (frame,) = describe("/usr/lib/x86_64-linux-gnu/libc.so.6", 0x1000, [raw], {})
    assert (frame.function, frame.raw) == (name, f"{symbol}@@GLIBC_2.14")


def test_of_debug_info() -> None:
    source = "../sysdeps/x86_64/multiarch/memmove-vec-unaligned-erms.S"
    raw = RawFrame("", "__memmove_avx512_unaligned_erms", source, 499, False, 0x1000, 0x80)
    (frame,) = describe("/usr/lib/x86_64-linux-gnu/libc.so.6", 0x1000, [raw], {})
    assert frame.function == "memmove"
    raw = raw._replace(name="_my_function", file="mine.c")
    assert describe("/app", 0x1000, [raw], {})[0].function == "_my_function"


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("__libc_free", "free"),
        ("__memset_avx2_unaligned", "memset"),
        ("_my_function", "_my_function"),
        ("__rust_alloc", "__rust_alloc"),
        ("_PyEval_EvalFrameDefault", "_PyEval_EvalFrameDefault"),
        ("sha64", "sha64"),
        ("read64", "read64"),
    ],
)
def test_of_other_files_only_what_is_beyond_doubt(symbol: str, name: str) -> None:
    assert known_as(symbol, library=False) == name


def test_a_name_that_is_too_long_for_any_stays_as_it_is() -> None:
    """Taking it apart would take the square of its length."""
    for name in ("_" * 60_000 + "!", "mem" + "_avx" * 15_000 + "!"):
        assert known_as(name, library=True) == name
