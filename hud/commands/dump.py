"""``hud dump``: what every worker does now, with its stack; once, and out again."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from hud.commands.arguments import Parser, add_process, check_process
from hud.commands.streams import say, show

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.commands.doing import Doing

SAYS = "Shows what each worker of a running Tokio service is doing now, with its stack."
LOOK_S = 0.5
"""So long a worker that computes is watched for a sample of it."""
_THRESHOLD_NS = 1_000_000
"""A poll of this length has a stack."""


def add_arguments(parser: Parser) -> None:
    parser.usage = "hud dump [options] PROCESS\n       hud dump [options] --pid PID"
    add_process(parser)
    parser.add_argument(
        "--workers", metavar="PREFIX", help="only threads whose names start with PREFIX are workers"
    )
    parser.add_argument("--no-context", action="store_true", help="do not read Tokio's own state")
    parser.add_argument("--btf", metavar="FILE", help="types (BTF) of the running kernel")
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="show frames of the runtime too, and details of errors",
    )


def run(options: Namespace) -> int:
    from hud.commands.doing import doings

    check_process(options, "hud dump")
    snapshot = _look(options)
    found = doings(snapshot)
    show(_as_json(snapshot, found) if options.json else _as_text(snapshot, found, options.verbose))
    return 0


def _look(options: Namespace) -> Snapshot:
    """A short run without a screen; it ends sooner with the target."""
    from hud import resources
    from hud.commands import interrupts
    from hud.ending import Ending
    from hud.process.find import find_target
    from hud.profiler import Options, Profiler
    from hud.session import Observers, record

    wanted = Options(
        threshold_ns=_THRESHOLD_NS,
        workers=options.workers,
        executable=options.target,
        debug_files=tuple(options.debug_file),
        btf=Path(options.btf) if options.btf else None,
        use_context=not options.no_context,
    )
    target = find_target(options.process, options.pid)
    with (
        Profiler(
            target,
            wanted,
            lambda: resources.read(f"hud-{os.uname().machine}.bpf.o"),
            lambda text: say(f"hud: {text}"),
        ) as profiler,
        Ending().installed() as ending,
    ):
        interrupts.check()
        return record(profiler, ending, Observers(), duration_s=LOOK_S, window_ns=0).snapshot


def _as_text(snapshot: Snapshot, found: list[Doing], verbose: bool) -> str:
    from hud import figures
    from hud.commands.doing import lines
    from hud.model import Rung
    from hud.text import printable

    info = snapshot.info
    versions = "".join(f", tokio {printable(one)}" for one in info.detection.tokio_versions)
    target = f"{printable(info.target.name)} (pid {info.target.pid})"
    said = [f"{target}{versions}, {figures.count(len(found), 'worker')}", ""]
    for one in found:
        said += lines(one, unfold=verbose)
    notes = [] if info.detection.rung is Rung.CONTEXT else [_not_seen(info.detection.reason)]
    notes += [f"note: {printable(note)}" for note in info.notes]
    said += ["", *notes] if notes else []
    return "\n".join(said) + "\n"


def _not_seen(reason: str) -> str:
    from hud.text import printable

    return f"note: hud cannot see what the workers poll: {printable(reason)}"


def _as_json(snapshot: Snapshot, found: list[Doing]) -> str:
    from hud.commands.doing import as_data

    info = snapshot.info
    data = {
        "target": info.target.name,
        "pid": info.target.pid,
        "tokio": list(info.detection.tokio_versions),
        "sees": info.detection.rung.value,
        "ended": snapshot.ended if "exited" in snapshot.ended else None,
        "workers": [as_data(one) for one in found],
        "notes": list(info.notes),
    }
    return json.dumps(data, indent=1) + "\n"
