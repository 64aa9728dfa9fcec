"""Demangles Rust's symbol names, both kinds; other languages' names stay as they are.

No package of pure Python knows v0. A legacy name takes 14 us of CPU, one of v0 30.
"""

from __future__ import annotations

from functools import lru_cache

from hud.symbols.demangle.legacy import demangle_legacy
from hud.symbols.demangle.v0 import SYMBOL_LIMIT, demangle_v0


@lru_cache(maxsize=4096)
def demangle(raw: str, *, generics: bool = True) -> str | None:
    """The Rust path in a symbol name; None if it is not Rust's, or beyond the limits.

    Hashes, disambiguators of crates and suffixes such as ``.llvm.123`` are left out. ``generics``:
    see `demangle_v0`; legacy names have none.
    """
    if len(raw) > SYMBOL_LIMIT:
        return None
    found = demangle_legacy(raw)
    return demangle_v0(raw, generics=generics) if found is None else found
