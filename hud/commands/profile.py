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
from hud.commands import gating, interrupts, limits, output
from hud.commands.progress import Progress
from hud.commands.request import Request
from hud.commands.streams import put, say
from hud.ending import Ending
from hud.errors import ExportError, UsageError
from hud.model import Rung, Target
from hud.process.rights import invoking_user
from hud.profiler import Profiler
from hud.text import printable

if TYPE_CHECKING:
    from hud.commands.output import Output
    from hud.record.writer import Writer
    from hud.session import Outcome
    from hud.tui.app import LiveScreen

Say = Callable[[str], None]


def check(request: Request) -> None:
    """Can the result be written at all? UsageError before anything is attached."""
    wanted = request.output
    if request.record is not None:
        from hud.export.write import check_regular

        check_regular(request.record)
        if wanted.export is not None and Path(wanted.export) == Path(request.record):
            raise UsageError("--record and --export to the same file", "name two files")
    if wanted.format and wanted.export is None:
        raise UsageError("--format without --export", "add --export FILE")
    output.check(wanted)


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
    limits.require_memory()
    limits.go_first()
    tell = _silent if request.output.quiet else _tell
    headless = request.headless or not _terminal(tell)
    if not headless:
        tell(f"attaching to {printable(target.name)} (pid {target.pid})")
    options = replace(request.options, code=request.output.verbose or not headless)
    with ExitStack() as stack:
        profiler = stack.enter_context(Profiler(target, options, _object, tell))
        ending = stack.enter_context(Ending().installed())
        interrupts.check()
        if request.output.verbose:
            for what, seconds in profiler.phases:
                say(f"hud: {seconds * 1e3:4.0f} ms after the start: {what}")
        writer = stack.enter_context(closing(_writer(request.record))) if request.record else None
        screen = None if headless else stack.enter_context(_screen(request.theme))
        if headless and not request.output.quiet:
            for sentence in _greeting(profiler, request, "it ends" if began else "Ctrl-C"):
                tell(sentence)
        outcome = _watch(profiler, ending, request, (screen, writer), began)
    if ended is not None:
        ended(outcome.snapshot.ended)
    streamed = headless and request.output.streams
    wanted = request.output._replace(export=None, quiet=True) if streamed else request.output
    _deliver(outcome, wanted._replace(brief=not headless), writer)
    return gating.hold(*outcome, request.gates)


def _watch(
    profiler: Profiler,
    ending: Ending,
    request: Request,
    seen_by: tuple[LiveScreen | None, Writer | None],
    began: Callable[[], None] | None,
) -> Outcome:
    """What a start does without is imported now that the ring keeps what comes; and before the run
    all of it, for hud may be replaced by a newer one while that goes on."""
    from hud.commands import deliver
    from hud.export.jsonl import Lines
    from hud.session import Observers, record

    deliver.prepare(request.output)
    if began is not None:
        began()
    screen, writer = seen_by
    lines = Lines(put) if screen is None and request.output.streams else None
    with closing(Progress()) as progress:
        shown = progress.seen and screen is None and not request.output.quiet
        outcome = record(
            profiler,
            ending,
            Observers(
                screen, progress.show if shown else None, writer, lines.take if lines else None
            ),
            duration_s=request.duration_s,
            window_ns=request.window_ns,
        )
    if lines:
        lines.take(outcome.analyzer, last=True)
    return outcome


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


def _writer(path: str) -> Writer:
    from hud.record.writer import Writer

    return Writer(path, invoking_user())


def _screen(theme: str) -> LiveScreen:
    from hud.commands.screen import Screen

    return Screen(time.monotonic_ns, theme)


def _deliver(outcome: Outcome, output: Output, writer: Writer | None) -> None:
    """The summary names the recording; the exit code says if that is incomplete."""
    from hud.commands import deliver

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
