"""The file itself: markup, style, script and data in one, and a policy that lets nothing else run.

Scripts make text of what comes from the target, never markup; as data it cannot end its element.
"""

from __future__ import annotations

import hashlib
import html
import re
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hud.export import summary
from hud.report import colours
from hud.report.data import data
from hud.text import printable

if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from hud.analysis.comparison.compare import Comparison
    from hud.analysis.results import Snapshot
    from hud.analysis.snapshot import Analyzer

SCRIPTS = (
    "dom",
    "figures",
    "bars",
    "blockers",
    "detail",
    "tree",
    "canvas",
    "flame",
    "lanes",
    "timeline",
    "heat",
    "tables",
    "main",
)
"""Files of js/, in the order in which they run."""
_HERE = Path(__file__).resolve().parent
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; base-uri 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
"""Of JSON inside a script element."""


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    """The report of a run, as an export."""
    out.write(page(analyzer, snapshot).encode())


def page(analyzer: Analyzer, snapshot: Snapshot, comparison: Comparison | None = None) -> str:
    """The whole file; with a comparison in which the run is the later one."""
    script, style = _script(), _style()
    parts = {
        "policy": _POLICY.format(script=_hashed(script), style=_hashed(style)),
        "title": html.escape(f"hud: {printable(snapshot.info.target.name)}"),
        "style": style,
        "script": script,
        "summary": html.escape(summary.text(snapshot)),
        "data": _as_json(data(analyzer, snapshot, comparison)),
    }
    return _PLACE.sub(lambda place: parts[place[1]], _read("page.html"))


@cache
def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _script() -> str:
    return '\n"use strict";\n' + "\n".join(_read(f"js/{name}.js") for name in SCRIPTS)


def _style() -> str:
    return f"\n{colours.style()}\n{_read('report.css')}"


def _hashed(text: str) -> str:
    """As a Content-Security-Policy names what may run."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _as_json(value: dict[str, Any]) -> str:
    import msgspec

    text = msgspec.json.encode(value).decode()
    return re.sub("[<>&\u2028\u2029]", lambda found: _ESCAPES[found[0]], text)
