"""``hud demo``: a server that blocks its workers, some load on it, and a profile of it.

Whatever was started is stopped however the demo ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import demo_load, demo_server
from hud.target.rights import ordinary_user

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_S = 3600
SPARE_S = 60
"""Server and load end by themselves so long after the demo should have ended."""


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
    life = min(seconds or LONGEST_S, LONGEST_S) + SPARE_S
    guest = ordinary_user()
    account = demo_load.Account()
    with demo_server.running(guest, seconds=life, say=say, build=build) as (process, port):
        user = f" as uid {guest.uid}" if guest else ""
        say(
            f"demo server: pid {process.pid}{user}, {demo_server.WORKERS} workers, "
            f"{demo_load.HOST}:{port}"
        )
        with demo_load.running(port, account, seconds=life, user=guest):
            say(
                f"load: {demo_load.CLIENTS} clients, "
                f"{len(set(demo_load.PATHS))} kinds of request in turn"
            )
            result = profile(process.pid)
            status = process.poll()
    tally = account.tally()
    if status is not None:
        say(f"demo server: ended by itself, status {status}")
    say(f"load: {tally.answered} requests answered, {tally.failed} not; all stopped")
    return result
