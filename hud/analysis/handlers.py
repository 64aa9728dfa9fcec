"""Which handler code belongs to: what a request runs, of the user's own functions.

The *handler* of a stack is the innermost async fn of the user's own, else their outermost function.
Derived code is what ``#[derive(..)]`` wrote: it belongs to the function that called it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from hud.analysis.tails import counts
from hud.model import Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.model import Frame

_KEPT = 4_096
_ASYNC = re.compile(r"::\{async[^{}]*\}")
_DERIVED = re.compile(
    r"::_::"
    r"|(?:[< ]as |<impl )(?:serde(?:_core|_derive)?::(?:ser::|de::)?"
    r"(?:Serialize|Deserialize|DeserializeSeed|Visitor)"
    r"|(?:core|std)::(?:clone::Clone|fmt::Debug|hash::Hash|default::Default"
    r"|cmp::(?:PartialEq|Eq|PartialOrd|Ord)))\b"
)
"""serde's derived impls lie in a ``const _``; of std only traits whose impls are mostly derived:
who writes a Drop or a Display by hand is to be named."""


@lru_cache(maxsize=_KEPT)
def is_derived(function: str) -> bool:
    """Does the name say that a derive wrote the function?"""
    return _DERIVED.search(function) is not None


def written(frames: Sequence[Frame], users: Sequence[int]) -> Sequence[int]:
    """Of the user's frames those that they wrote themselves; all where none is."""
    return [at for at in users if not is_derived(frames[at].function)] or users


def handler(frames: Sequence[Frame]) -> str:
    """With ``~`` before an inferred name; empty where no frame is the user's."""
    users = [at for at, one in enumerate(frames) if one.origin is Origin.USER and counts(one)]
    own = [frames[at] for at in written(frames, users)]
    if not own:
        return ""
    found = next((one for one in own if _ASYNC.search(one.function)), own[-1])
    return ("~" if found.inferred else "") + found.function
