"""The names by which people know the functions of the C library.

A library has many symbols for one function: glibc's inner ones (``__GI___libc_free``), those that
do not look at cancellation (``__close_nocancel``), those for one kind of CPU
(``__memset_avx2_unaligned_erms``), those with 64-bit offsets (``readdir64``).
"""

from __future__ import annotations

import re

LONGEST = 256
"""No function of the C library has a longer name; nor is one looked through for its parts."""

_KIND_OF_CPU = re.compile(
    r"^_*((?:w?mem|wcs|str|st[pr]n?c|rawmem)\w*?)_(?:avx|sse|ssse|evex|erms|ssse3|neon|sve|mte|generic"
    r"|falkor|thunderx|kunpeng|emag|a64fx|oryon|zva|nosimd|unaligned|power|z\d|vx|advsimd)\w*$"
)
_INNER = re.compile(
    r"^(?:__GI_+(?:libc_)?|__libc_)(?=[a-z])|^_int_(?=(?:malloc|free|realloc|memalign|calloc)\b)"
)
_NO_CANCEL = re.compile(r"^_*(\w+?)(?:64)?_nocancel(?:_nostatus)?$")
_WIDE = re.compile(
    r"^(l?stat|f?statat|readdir|open(?:at)?|creat|lseek|pread|pwrite|fallocate|ftruncate|truncate"
    r"|scandir|preadv2?|pwritev2?|sendfile|mmap|fadvise|getdents|statfs|fstatfs|readdir_r|fstat)64$"
)


def known_as(name: str, *, library: bool) -> str:
    """``free`` of ``__GI___libc_free``; ``library``: it is a symbol of the C library's own file,
    where leading underscores mean nothing.
    """
    if len(name) > LONGEST:
        return name
    name = _INNER.sub("", name)
    found = _KIND_OF_CPU.match(name)
    if found:
        return found[1].removesuffix("_chk")
    found = _NO_CANCEL.match(name)
    if found:
        name = found[1]
    if library and re.match(r"_+[a-z]", name):
        name = name.lstrip("_")
    return _WIDE.sub(r"\1", name) if library else name
