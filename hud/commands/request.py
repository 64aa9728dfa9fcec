"""What the command line asks of one run."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from hud.commands.gating import Gates, wanted
from hud.commands.output import Output
from hud.profiler import Options


@dataclass(frozen=True, slots=True)
class Request:
    """One run: what to look for, and what to do with what is found."""

    options: Options
    output: Output
    window_ns: int
    """0 = everything."""
    duration_s: float
    """0 = until somebody ends it."""
    headless: bool
    theme: str
    """Empty = as environment and terminal say."""
    record: str | None
    """The file that keeps all that is seen."""
    gates: Gates


def request_of(arguments: Namespace, *, headless: bool) -> Request:
    """What the parsed arguments ask for."""
    threshold_ns = round(arguments.threshold * 1e6)
    options = Options(
        threshold_ns=threshold_ns or Options().threshold_ns,
        auto_threshold=not threshold_ns,
        workers=arguments.workers,
        executable=arguments.target,
        debug_files=tuple(arguments.debug_file),
        btf=Path(arguments.btf) if arguments.btf else None,
        use_context=not arguments.no_context,
        exact=arguments.exact,
        max_overhead=arguments.max_overhead / 100,
    )
    output = Output(arguments.export, arguments.format, arguments.quiet, arguments.verbose)
    return Request(
        options,
        output,
        window_ns=round(arguments.window * 1e9),
        duration_s=arguments.duration,
        headless=headless,
        theme=arguments.theme,
        record=arguments.record,
        gates=wanted(arguments),
    )
