"""``hud demo``: a server that blocks its workers, some load on it, and a profile of it.

Whatever was started is stopped however the demo ends.
"""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from hud.commands import streams
from hud.commands.arguments import Parser, add_run_options, length

if TYPE_CHECKING:
    from collections.abc import Callable

SAYS = "Starts a server that blocks its workers, puts load on it, and profiles it."
USUAL_S = 10.0
LONGEST_S = 3600
SPARE_S = 60
"""Server and load end by themselves so long after the demo should have ended."""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--duration",
        "--seconds",
        type=length("a duration", 1.0, 3600.0),
        default=0.0,
        metavar="TIME",
        help="how long to profile: 90, 90s, 5m (default 10; with --live: until q)",
    )
    parser.add_argument("--live", action="store_true", help="show the screen instead of a summary")
    parser.add_argument(
        "--build", action="store_true", help="build the server from source with cargo"
    )
    parser.set_defaults(target=None, debug_file=[])
    add_run_options(parser)


def run(options: Namespace) -> int:
    from hud.commands.profile import check, profile
    from hud.commands.request import request_of
    from hud.process.find import find_target
    from hud.tui.terminal import unavailable

    headless = options.headless or not options.live
    if headless or unavailable():
        options.duration = options.duration or USUAL_S
    request = request_of(options, headless=headless)
    check(request)

    def say(text: str) -> None:
        if not options.quiet:
            streams.say(f"hud demo: {text}")

    return run_demo(
        lambda pid: profile(find_target(None, pid), request),
        seconds=options.duration,
        say=say,
        build=options.build,
    )


def run_demo(
    profile: Callable[[int], int],
    *,
    seconds: float,
    say: Callable[[str], None],
    build: bool = False,
) -> int:
    """Start server and load, call ``profile`` with the server's pid, stop all; its result.

    ``seconds``: how long the profile is meant to take; 0 = until it returns, but at most an hour.
    ``say`` gets one line per step. ``build``: make the server with cargo instead of taking the
    prebuilt one. Raises HudError when there is no server to start.
    """
    from hud.demo import load, server
    from hud.process.rights import ordinary_user

    life = min(seconds or LONGEST_S, LONGEST_S) + SPARE_S
    user = ordinary_user()
    counters = load.LoadCounters()
    with server.running(user, seconds=life, say=say, build=build) as (process, port):
        owner = f" as uid {user.uid}" if user else ""
        say(f"demo server: pid {process.pid}{owner}, {server.WORKERS} workers, {load.HOST}:{port}")
        with load.running(port, counters, seconds=life, user=user):
            say(f"load: {load.CLIENTS} clients, {len(set(load.PATHS))} kinds of request in turn")
            result = profile(process.pid)
            status = process.poll()
    counts = counters.read()
    if status is not None:
        say(f"demo server: ended by itself, status {status}")
    say(f"load: {counts.answered} requests answered, {counts.failed} failed; all stopped")
    return result
