"""What a gate may say: ``max>50ms``, ``total>1%``, ``blockers>0``, ``count(cause=lock)>10``,
``worse>20%``.

    GATE    = MEASURE [ "(" FILTER { "," FILTER } ")" ] ( ">" | ">=" ) NUMBER [ UNIT ]
    MEASURE = "max" | "total" | "blockers" | "count" | "worse"
    FILTER  = "cause=" WORD | "function=" PATTERN

In a pattern ``*`` stands for any text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.cause import Cause
from hud.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TIMES = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
PERCENT = "%"
WORSE = "worse"
"""Than in the baseline: the one measure that needs two runs."""
UNITS: dict[str, tuple[str, ...]] = {
    "max": tuple(TIMES),
    "total": (PERCENT, *TIMES),
    "blockers": ("",),
    "count": ("",),
    WORSE: (PERCENT,),
}
"""Of each measure."""
LEAST_WORSE = 20
"""Percent: less a comparison does not tell (``hud.analysis.comparison.compare.NOTABLE``)."""
_CAUSES = tuple(cause.value for cause in Cause if cause.blames_code)
_SHAPE = re.compile(
    r"(?P<measure>[a-z]*) \s* (?P<filters>\( .*? \))? \s* (?P<operator>>=?)? \s*"
    r"(?P<number>\d+(?:\.\d+)?)? \s* (?P<unit>[a-z%]*) \s* (?P<rest>.*)",
    re.VERBOSE | re.DOTALL,
)


class Gate(NamedTuple):
    """One condition that must not hold."""

    text: str
    """As it was given."""
    measure: str
    cause: str
    """Only of this cause; empty = of any."""
    function: str
    """Only of functions with such a name; empty = of all."""
    inclusive: bool
    """``>=``."""
    bound: float
    """ns, percent of worker time, or a number."""
    unit: str

    def exceeded(self, value: float) -> bool:
        return value > self.bound or (self.inclusive and value == self.bound)


def parse(text: str) -> Gate:
    """UsageError that points at the first character which is not understood."""
    found = _SHAPE.fullmatch(text)
    assert found is not None, "every part may be empty, and the rest is anything"
    measure = found["measure"]

    def wrong(part: str, says: str) -> UsageError:
        at = found.start(part) if found.start(part) >= 0 else _after(found, part)
        return UsageError(f"--fail-on {text}: {says}", f"{text}\n{' ' * at}^ here")

    if measure not in UNITS:
        raise wrong("measure", f"a gate begins with {_listed(UNITS)}")
    cause, function = _filters(found["filters"] or "", found.start("filters"), text)
    if found["operator"] is None:
        raise wrong("operator", "expected > or >=")
    if found["number"] is None:
        raise wrong("number", "expected a number")
    unit = found["unit"]
    if unit not in UNITS[measure]:
        raise wrong("unit", _units(measure))
    if found["rest"]:
        raise wrong("rest", "nothing may follow")
    bound = float(found["number"]) * TIMES.get(unit, 1)
    if measure == WORSE and bound < LEAST_WORSE:
        raise wrong("number", f"less than {LEAST_WORSE}% is not told from chance")
    return Gate(text, measure, cause, function, found["operator"] == ">=", bound, unit)


def pattern(text: str) -> Callable[[str], object]:
    """Whether a name is like the pattern; a mark of inference does not count."""
    parts = map(re.escape, text.split("*"))
    like = re.compile(f"~?{'.*'.join(parts)}", re.DOTALL)
    return like.fullmatch


def _after(found: re.Match[str], part: str) -> int:
    """Where a part is missing."""
    groups = [*found.re.groupindex]
    before = (found.end(name) for name in groups[: groups.index(part)])
    return max(before)


def _units(measure: str) -> str:
    units = UNITS[measure]
    return (
        f"{measure} is a number without a unit"
        if units == ("",)
        else f"its unit is {_listed(units)}"
    )


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}"


def _filters(text: str, start: int, whole: str) -> tuple[str, str]:
    """Cause and function of ``(cause=lock,function=api::*)``."""
    found = {"cause": "", "function": ""}
    at = start + 1
    for one in text[1:-1].split(",") if text else ():
        key, equals, value = one.partition("=")
        key, value = key.strip(), value.strip()
        says = ""
        if key not in found or not equals:
            says = "a filter is cause=WORD or function=PATTERN"
        elif key == "cause" and value not in _CAUSES:
            says = f"a cause is one of {', '.join(_CAUSES)}"
        elif not value:
            says = "expected a pattern"
        if says:
            raise UsageError(f"--fail-on {whole}: {says}", f"{whole}\n{' ' * at}^ here")
        found[key] = value
        at += len(one) + 1
    return found["cause"], found["function"]
