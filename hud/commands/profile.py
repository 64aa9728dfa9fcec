"""One run from start to end, as the command line asks for it: attach, watch, write."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hud import figures, resources
from hud.commands import deliver, gating, interrupts
from hud.commands.deliver import Output
from hud.commands.progress import Progress
from hud.commands.request import Request
from hud.commands.streams import say
from hud.errors import ExportError, UsageError
from hud.export.write import check_regular
from hud.model import Rung, Target
from hud.process.rights import invoking_user
from hud.profiler import Profiler
from hud.record.writer import Writer
from hud.session import Ending, Observers, Outcome, record
from hud.text import printable

if TYPE_CHECKING:
    from hud.tui.app import LiveScreen

Say = Callable[[str], None]


def check(request: Request) -> None:
    """Can the result be written at all? UsageError before anything is attached."""
    output = request.output
    if request.record is not None:
        check_regular(request.record)
        if output.export is not None and Path(output.export) == Path(request.record):
            raise UsageError("--record and --export to the same file", "name two files")
    if output.format and output.export is None:
        raise UsageError("--format without --export", "add --export FILE")
    deliver.check(output)


def profile(
    target: Target,
    request: Request,
    began: Callable[[], None] | None = None,
    ended: Callable[[str], None] | None = None,
) -> int:
    """Attach to ``target``, record until the end, write what was asked for; the exit code.

    ``began`` is called when it is attached, ``ended`` with the reason when it is no more. Raises
    HudError where it could not even begin.
    """
    tell = _silent if request.output.quiet else _tell
    headless = request.headless or not _terminal(tell)
    if not headless:
        tell(f"attaching to {printable(target.name)} (pid {target.pid})")
    options = replace(request.options, code=request.output.verbose or not headless)
    writer: Writer | None = None
    with ExitStack() as stack:
        profiler = stack.enter_context(Profiler(target, options, _object, tell))
        ending = stack.enter_context(Ending().installed())
        interrupts.check()
        if request.output.verbose:
            for what, seconds in profiler.phases:
                say(f"hud: {seconds * 1e3:4.0f} ms after the start: {what}")
        if request.record is not None:
            writer = stack.enter_context(closing(Writer(request.record, invoking_user())))
        if began is not None:
            began()
        observers = Observers(writer=writer)
        if not headless:
            observers = observers._replace(screen=stack.enter_context(_screen(request.theme)))
        elif not request.output.quiet:
            for sentence in _greeting(profiler, request, "it ends" if began else "Ctrl-C"):
                tell(sentence)
            progress = stack.enter_context(closing(Progress()))
            observers = observers._replace(progress=progress.show if progress.seen else None)
        outcome = record(
            profiler,
            ending,
            observers,
            duration_s=request.duration_s,
            window_ns=request.window_ns,
        )
    if ended is not None:
        ended(outcome.snapshot.ended)
    _deliver(outcome, request.output._replace(brief=not headless), writer)
    return gating.hold(*outcome, request.gates)


def _tell(text: str) -> None:
    say(f"hud: {text}")


def _silent(_text: str) -> None:
    pass


def _terminal(tell: Say) -> bool:
    """Is there one for the screen? If not, says why."""
    from hud.tui.terminal import unavailable

    reason = unavailable()
    if reason:
        tell(f"no screen, because {reason}: running as with --headless")
    return not reason


def _screen(theme: str) -> LiveScreen:
    from hud.commands.screen import Screen

    return Screen(time.monotonic_ns, theme)


def _deliver(outcome: Outcome, output: Output, writer: Writer | None) -> None:
    """The summary names the recording; the exit code says if that is incomplete."""
    if writer is None:
        deliver.deliver(*outcome, output)
        return
    try:
        deliver.deliver(*outcome, output, [_recorded(writer)])
    except ExportError as error:
        if writer.trouble is not None:
            raise ExportError(f"{error}; {writer.trouble}", error.hint) from error
        raise
    if writer.trouble is not None:
        raise writer.trouble


def _object() -> bytes:
    return resources.read(f"hud-{os.uname().machine}.bpf.o")


def _greeting(profiler: Profiler, request: Request, end: str) -> Iterator[str]:
    target, found = profiler.target, profiler.detection
    until = f"for {request.duration_s:g} s" if request.duration_s else f"until {end}"
    workers = len(profiler.workers)
    if request.output.verbose or found.rung is not Rung.CONTEXT:
        yield f"sees {_SEES[found.rung]}: {printable(found.reason)}"
    yield (
        f"watching {printable(target.name)} (pid {target.pid}) {until}, "
        f"{figures.count(workers, 'worker')} so far"
    )


_SEES: dict[Rung, str] = {
    Rung.CONTEXT: "polls",
    Rung.STACKS: "CPU samples only",
    Rung.NAMES: "CPU samples only",
    Rung.LATENCY: "scheduling delays only",
}


def _recorded(writer: Writer) -> str:
    """``run.hud (312 KB)``, and what it lacks."""
    lacks = ", incomplete" if writer.trouble else ""
    return f"{printable(writer.path)} ({figures.size(writer.size)}{lacks})"
