"""Names for a column: shortened only as far as its width needs, and never two alike.

What goes first says least: the crate that all of the names share, module paths from the left, paths
inside generics, the generics themselves (``<F as Handler<..>>::call`` becomes ``Handler::call``),
the type. The last segment stays whole; only where it alone is too wide is its middle left out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from hud.text import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LEAST = 8
"""Cells: in fewer than these nothing can be told apart, so that names take them."""
_INFERRED = "~"
_JOINT = re.compile(r"( \| | \.\.\. )")
"""Between the names of types that the linker folded, and between the calls of an operation."""
_HOST = " in "
"""Before the framework's function into which a handler was inlined: that goes first."""
_CRATE = re.compile(r"[~<&*\[(]*(?:mut |dyn |impl )?([A-Za-z_]\w*)::")
_PATH = re.compile(r"(?:\w+::)+(?=\w)")
_PARAMETER = re.compile(r"Self|[A-Z][A-Z0-9]?")
_POINTED = re.compile(r"[&*]+(?:'\w+ )?(?:mut |const )?(?:dyn )?|dyn |impl ")
_OPENING, _CLOSING = "<([{", ">)]}"


def shorten(
    names: Sequence[str], room: int, ellipsis: str = ELLIPSIS, keep_crate: bool = False
) -> list[str]:
    """A text of at most ``room`` cells (8, if that is less) for each of the names, in their order.

    Equal names get equal texts, different ones different texts: those that nothing else tells
    apart are numbered, ``call#1``, ``call#2``. A ``~`` in front, for a name that was inferred,
    stays. With ``keep_crate`` a crate that all share goes only for want of room: it says whose
    call it is. The names are printable.
    """
    room = max(room, LEAST)
    distinct = list(dict.fromkeys(names))
    crate = "" if keep_crate else _shared_crate(distinct)
    short = {name: _fitting(_without(name, crate), room, ellipsis) for name in distinct}
    short |= {name: _fitting(name, room, ellipsis) for name in _alike(short)}
    alike = _alike(short)
    taken = {text for name, text in short.items() if name not in alike}
    last: dict[str, int] = {}
    for name in sorted(alike):
        number = last.get(short[name], 0)
        text, last[short[name]] = _numbered(name, room, ellipsis, taken, number)
        taken.add(text)
        short[name] = text
    return [short[name] for name in names]


def _alike(short: dict[str, str]) -> set[str]:
    names: dict[str, list[str]] = {}
    for name, text in short.items():
        names.setdefault(text, []).append(name)
    return {name for group in names.values() if len(group) > 1 for name in group}


def _numbered(name: str, room: int, ellipsis: str, taken: set[str], last: int) -> tuple[str, int]:
    """The name with the next number that makes it unlike those taken, and that number."""
    while True:
        last += 1
        text = _fitting(name, room - len(f"#{last}"), ellipsis) + f"#{last}"
        if text not in taken:
            return text, last


def _shared_crate(names: Iterable[str]) -> str:
    """That of all names that show one; empty = there are several, or none."""
    found = {crate for name in names for crate in _crates(name)}
    return found.pop() if len(found) == 1 else ""


@lru_cache(maxsize=8192)
def _crates(name: str) -> tuple[str, ...]:
    parts = _JOINT.split(name)[::2]
    return tuple(match[1] for part in parts if (match := _CRATE.match(part)))


@lru_cache(maxsize=8192)
def _without(name: str, crate: str) -> str:
    return re.sub(rf"(?<![\w:]){crate}::(?=[\w<])", "", name) if crate else name


@lru_cache(maxsize=8192)
def _fitting(name: str, room: int, ellipsis: str) -> str:
    """The longest form of the name that fits, else the middle of the shortest left out."""
    mark = _INFERRED if name.startswith(_INFERRED) else ""
    room -= len(mark)
    forms = _forms(name.removeprefix(mark))
    for form in forms:
        if cells(form) <= room:
            return mark + form
    return mark + _without_middle(forms[-1], room, ellipsis)


# --------------------------------------------------------------------------- forms of one name


@lru_cache(maxsize=8192)
def _forms(name: str) -> tuple[str, ...]:
    """From the whole name to what must stay, each shorter than the one before."""
    parts = _JOINT.split(name)
    inlined, host, _ = name.partition(_HOST)
    made: Iterable[str]
    if host:
        made = (name, *_forms(inlined))
    elif len(parts) == 1:
        made = _forms_of_one(name)
    else:
        made = _forms_of_several(parts[::2], parts[1])
    kept: list[str] = []
    for form in made:
        if not kept or 0 < len(form) < len(kept[-1]):
            kept.append(form)
    return tuple(kept)


def _forms_of_several(parts: Sequence[str], joint: str) -> Iterator[str]:
    """All of them, equally short; then the first one with a mark for the rest."""
    forms = [_forms(part) for part in parts]
    for at in range(max(map(len, forms))):
        yield joint.join(form[min(at, len(form) - 1)] for form in forms)
    yield from (f"{form}{joint.rstrip()}" for form in forms[0])


def _forms_of_one(name: str) -> Iterator[str]:
    segments = list(_split(name, "::" if "::" in name else "/"))
    joint = "::" if "::" in name else "/"
    last = max((at for at, one in enumerate(segments) if one[:1] not in ("{", "<")), default=0)
    owner = segments[last - 1 : last] if last and _is_type(segments[last - 1]) else []
    modules, tail = segments[: last - len(owner)], segments[last:]
    for at in range(len(modules) + 1):
        kept = [*modules[at:], *owner, *tail]
        if not kept[0].startswith("{"):
            yield joint.join(kept)
    yield joint.join(_PATH.sub("", one) for one in (*owner, *tail))
    plain = [_without_generics(one) for one in tail]
    yield joint.join((*(_type_alone(one) for one in owner), *filter(None, plain)))
    yield joint.join(filter(None, plain))


def _is_type(segment: str) -> bool:
    return "<" in segment or segment[:1].isupper()


def _type_alone(segment: str) -> str:
    """``Timed`` of ``Timed<F>``; of ``<T as Trait>`` the type, or where that is but a parameter
    the trait.
    """
    if segment.startswith("<") and segment.endswith(">"):
        inner = segment[1:-1]
        itself, *trait = _split(inner, " as ")
        inner = trait[0] if trait and _PARAMETER.fullmatch(itself) else itself
        segment = list(_split(inner, " for "))[-1]
    plain = _without_generics(_POINTED.sub("", segment, count=1))
    return list(_split(plain, "::"))[-1]


def _without_generics(segment: str) -> str:
    """Without what stands in angle brackets."""
    kept: list[str] = []
    depth = 0
    for at, letter in enumerate(segment):
        arrow = letter == ">" and segment[at - 1 : at] == "-"
        depth += letter == "<"
        if not depth:
            kept.append(letter)
        depth -= letter == ">" and not arrow and depth > 0
    return "".join(kept)


def _split(text: str, joint: str) -> Iterator[str]:
    """The parts between the joints that stand in no bracket."""
    depth = start = at = 0
    while at < len(text):
        letter = text[at]
        if not depth and text.startswith(joint, at):
            yield text[start:at]
            at = start = at + len(joint)
            continue
        depth += letter in _OPENING
        arrow = letter == ">" and text[at - 1 : at] == "-"
        depth -= letter in _CLOSING and not arrow and depth > 0
        at += 1
    yield text[start:]


# --------------------------------------------------------------------------- cells


def cells(text: str) -> int:
    """The most that printable text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(letter: str) -> int:
    return 2 if east_asian_width(letter) in "WF" else 1


def _without_middle(text: str, room: int, ellipsis: str) -> str:
    room = max(room - len(ellipsis), 0)
    end = _count(reversed(text), room // 2)
    start = _count(text, room - room // 2)
    return text[:start] + ellipsis + text[len(text) - end :]


def _count(text: Iterable[str], room: int) -> int:
    """How many of the letters fit."""
    return sum(total <= room for total in accumulate(map(_width, text)))
