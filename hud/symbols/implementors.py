"""Which crate the code of a Rust symbol stands in, where the symbol says it for sure.

``<T as Trait>::method`` may be code of either's crate. A v0 symbol names the module of the impl,
an older one does where that is neither the type's nor the trait's.
"""

from __future__ import annotations

import re

_MARK = r"(?:s[0-9a-zA-Z]*_)?"
_CRATE = re.compile(
    rf"_{{1,2}}R(?:N[A-Za-z]|I)*(?:[MX]{_MARK}(?:N[A-Za-z]|I)*)?C{_MARK}(?P<length>[0-9]{{1,3}})_?"
)
_QUALIFIED = re.compile(r"([A-Za-z_]\w*)::(?:\w+::)*<impl ", re.ASCII)


def code_crate(raw: str, demangled: str) -> str:
    """The crate of a symbol's code; empty where the symbol leaves it open."""
    found = _CRATE.match(raw)
    if found:
        end = found.end() + int(found["length"])
        return raw[found.end() : end] if end < len(raw) else ""
    qualified = _QUALIFIED.match(demangled)
    return qualified[1] if qualified else ""
