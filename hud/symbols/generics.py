"""Types in the names of functions: what stands between ``<`` and ``>``, and how people read it."""

from __future__ import annotations

import re

from hud.symbols.names import readable

NAME_LIMIT = 400
_GENERICS = re.compile(r"^(?:.*::)?poll(?:::)?<")
_CLOSURE = re.compile(r"\{\{closure\}\}|\{(?:closure|async_fn|async_block)(?:_env)?(?:#\d+)?\}")
_SHORTER = (
    (re.compile(r", alloc::alloc::Global\b|\bcore::marker::|\bcore::future::future::"), ""),
    (re.compile(r"\b(?:alloc|core)::(?:boxed|pin|sync|rc|string|vec|option|result)::"), ""),
    (re.compile(r",(?=\S)"), ", "),
)


def first_generic(name: str) -> str:
    """``T`` of ``poll<T, S>`` or ``tokio::..::raw::poll::<T, S>``; empty = it is not that."""
    return first_argument(name) if _GENERICS.match(name) else ""


def first_argument(name: str) -> str:
    """What stands first in the first ``<>`` of a name."""
    start = name.find("<") + 1
    depth = 0
    for at in range(start, len(name)):
        letter = name[at]
        if letter in "<([{":
            depth += 1
        elif letter == ">" and name[at - 1] == "-":
            continue
        elif depth == 0 and letter in ",>":
            return name[start:at].strip()
        elif letter in ">)]}":
            depth -= 1
    return ""


def without_generics(name: str) -> str:
    """A path without what stands in ``<>``, and without the numbers of closures."""
    kept = []
    depth = 0
    for at, letter in enumerate(name):
        if letter == "<":
            depth += 1
        elif letter == ">" and name[at - 1] != "-":
            depth -= 1
        elif depth == 0:
            kept.append(letter)
    text = _CLOSURE.sub("{closure}", "".join(kept))
    return text.replace("::::", "::").removesuffix("::")


def shown(future: str, own_name: str = "") -> str:
    """A future's type as people read it; ``own_name``: of its function, see ``readable``."""
    name = readable(future, own_name)
    for pattern, short in _SHORTER:
        name = pattern.sub(short, name)
    return name[:NAME_LIMIT]
