"""One run from start to end, as the command line asks for it: attach, watch, tell, write.

Terms: *progress* is a line on the terminal's standard error that is written over and over.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from shutil import get_terminal_size
from types import TracebackType

from hud import resources
from hud.deliver import deliver, write_selection
from hud.errors import ExportError, UsageError
from hud.export import choose
from hud.export.write import check_regular, check_writable
from hud.model import Rung, Snapshot, Target
from hud.profiler import Options, Profiler
from hud.profiler.threshold import DEFAULT_NS
from hud.record.writer import Writer
from hud.request import Request
from hud.session import Ending, Screen, record
from hud.target.rights import invoking_user
from hud.text import printable
from hud.wish import Export, Wish

Say = Callable[[str], None]

EXIT_DONE = 0


def check(request: Request) -> None:
    """Can the result be written at all? UsageError before anything is attached."""
    if request.record is not None:
        check_regular(request.record)
        if request.export is not None and Path(request.export) == Path(request.record):
            raise UsageError("--record and --export to the same file", "name two files")
    if request.export is None:
        if request.format:
            raise UsageError("--format without --export", "add --export FILE")
        return
    choose(request.export, request.format)
    check_writable(request.export)


def run(target: Target, request: Request, say: Say, show: Say) -> int:
    """Attach to ``target``, record until the end, write what was asked for; the exit code.

    ``say`` takes lines for people, ``show`` the summary. Raises HudError where it could not even
    begin.
    """
    options = Options(
        threshold_ns=request.threshold_ns or DEFAULT_NS,
        auto_threshold=not request.threshold_ns,
        exact=request.exact,
        max_overhead=request.max_overhead,
        workers=request.workers,
        executable=request.executable,
        debug_files=request.debug_files,
        btf=request.btf,
        use_context=request.use_context,
    )

    def tell(text: str) -> None:
        if not request.quiet:
            say(f"hud: {text}")

    headless = request.headless
    if not headless:
        from hud.tui.terminal import unavailable

        reason = unavailable()
        if reason:
            tell(f"no screen, because {reason}: running as with --headless")
            headless = True
    if not headless:
        tell(f"attaching to {printable(target.name)} (pid {target.pid})")
    tape: Writer | None = None
    options = replace(options, code=request.verbose or not headless)
    with ExitStack() as stack:
        profiler = stack.enter_context(Profiler(target, options, _object, tell))
        ending = stack.enter_context(Ending().installed())
        if request.verbose:
            for what, seconds in profiler.phases:
                say(f"hud: {seconds * 1e3:4.0f} ms after the start: {what}")
        screen: Screen | None = None
        progress: Progress | None = None
        if request.record is not None:
            tape = Writer(request.record, invoking_user())
            stack.callback(tape.close)
        if not headless:
            screen = stack.enter_context(_Live(request.theme))
        elif not request.quiet:
            for sentence in _greeting(profiler, request):
                tell(sentence)
            progress = stack.enter_context(Progress())
        outcome = record(
            profiler,
            ending,
            duration_s=request.duration_s,
            window_ns=request.window_ns,
            screen=screen,
            progress=progress.show if progress is not None and progress.seen else None,
            tape=tape,
        )
    try:
        deliver(
            *outcome,
            show,
            export=request.export,
            form=request.format,
            quiet=request.quiet,
            verbose=request.verbose,
            also_written=(_recorded(tape),) if tape is not None else (),
        )
    except ExportError as error:
        if tape is not None and tape.trouble is not None:
            raise ExportError(f"{error}; {tape.trouble}", error.hint) from error
        raise
    if tape is not None and tape.trouble is not None:
        raise tape.trouble
    return EXIT_DONE


def _object() -> bytes:
    return resources.read(f"hud-{os.uname().machine}.bpf.o")


def _greeting(profiler: Profiler, request: Request) -> Iterator[str]:
    target, found = profiler.target, profiler.detection
    until = f"for {request.duration_s:g} s" if request.duration_s else "until Ctrl-C"
    workers = len(profiler.workers)
    if request.verbose or found.rung is not Rung.CONTEXT:
        yield f"sees {_SEES[found.rung]}: {printable(found.reason)}"
    yield (
        f"watching {printable(target.name)} (pid {target.pid}) {until}, "
        f"{workers} worker{'' if workers == 1 else 's'} so far"
    )


_SEES: dict[Rung, str] = {
    Rung.CONTEXT: "polls",
    Rung.STACKS: "CPU samples only",
    Rung.NAMES: "CPU samples only",
    Rung.LATENCY: "scheduling delays only",
}


def _recorded(tape: Writer) -> str:
    """``run.hud (312 KB)``, and what it lacks."""
    size = f"{tape.size / 1e6:.1f} MB" if tape.size >= 1e6 else f"{tape.size / 1e3:.0f} KB"
    return f"{printable(tape.path)} ({size}{', incomplete' if tape.trouble else ''})"


class Progress:
    """The line that says how far a run is."""

    def __init__(self) -> None:
        self.seen = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        """There is a terminal for it."""
        self._shown = False

    def show(self, snapshot: Snapshot, left_s: float) -> None:
        """``left_s`` 0 = without end."""
        ends = f"{left_s:.0f} s left" if left_s else "Ctrl-C ends it"
        found = f"{snapshot.episodes} blocking poll{'' if snapshot.episodes == 1 else 's'}"
        line = f"{snapshot.elapsed_ns / 1e9:.0f} s, {ends}: {found}"
        if snapshot.blockers:
            line += f", most in {printable(snapshot.blockers[0].function)}"
        line = line[: get_terminal_size().columns - 1]
        self._write(line)
        self._shown = True

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._write("")

    def _write(self, line: str) -> None:
        with suppress(OSError):  # the terminal has hung up
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()


class _Live:
    """The screen of hud.tui, and the files that it asks for."""

    def __init__(self, theme: str) -> None:
        from hud.tui.app import LiveScreen

        self._screen = LiveScreen(time.monotonic_ns, theme)

    def __enter__(self) -> _Live:
        self._screen.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._screen.__exit__(kind, error, trace)

    @property
    def wants_redraw(self) -> bool:
        return self._screen.wants_redraw

    def fileno(self) -> int:
        return self._screen.fileno()

    def on_input(self, snapshot: Snapshot) -> list[Wish]:
        wishes = self._screen.on_input(snapshot)
        for wish in wishes:
            if isinstance(wish, Export):
                self._screen.tell(write_selection(wish))
        return wishes

    def draw(self, snapshot: Snapshot) -> None:
        self._screen.draw(snapshot)
