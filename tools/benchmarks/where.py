"""what is told of places without debug info, against the debug info

Reads the binaries that are given (made with CARGO_PROFILE_RELEASE_DEBUG=1), else builds the targets
of the tests. The columns: calls in code of the user's; of these told a place; of the told ones
right, and the very line; then by what is told (wrong ones in brackets): a line near the call, the
definition of the async fn or block, the file; and places in code that is not the user's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import place_oracle
import targets
from benchmarks.table import percent, show

from hud.model import Precision

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

KINDS = (Precision.NEAR, Precision.DEFINITION, Precision.FILE)
LTO = (
    'profile.release.lto="fat"',
    'profile.release.panic="abort"',
    "profile.release.codegen-units=1",
)
BUILDS = {"": (), " lto": LTO, " opt-level s": ('profile.release.opt-level="s"',)}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("binaries", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--strip", action="store_true", help="take the symbols off as well")
    parser.add_argument("--wrong", type=int, default=0, metavar="N", help="list N that are wrong")
    parser.add_argument("--silent", type=int, default=0, metavar="N", help="list N not told")


def run(options: argparse.Namespace) -> int:
    rows, lists = [], []
    for name, binary in _binaries(options):
        found = place_oracle.score(binary, stripped=options.strip)
        told, wrong = found.told.total(), found.wrong.total()
        kinds = [f"{found.told[kind]} ({found.wrong[kind]})" for kind in KINDS]
        rows.append(
            (
                name,
                found.calls,
                percent(told, found.calls),
                percent(told - wrong, told),
                percent(found.exact, told),
                *kinds,
                found.false,
            )
        )
        lists += [f"{name}: {line}" for line in found.wrongs[: options.wrong]]
        for function, count in found.silent.most_common(options.silent):
            lists.append(f"{name}: {count} not told in {function}")
    head = ("binary", "calls", "told", "right", "exact", "near", "definition", "file", "false")
    show("places without debug info" + " or symbols" * options.strip, head, rows)
    for line in lists:
        print(line)
    return 0


def _binaries(options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    yield from ((path.name, path) for path in options.binaries)
    if not options.binaries:
        for crate in ("zoo",) if options.quick else ("zoo", "demo-server"):
            for build, config in list(BUILDS.items())[: 1 if options.quick else None]:
                yield crate + build, targets.build(crate, debug=2, config=config)
