"""A small session around LiveScreen, run in a terminal by the tests (and by hand).

python drive_screen.py [--raise-after S] [--grow] [--blockers N] [--stuck] [--silent] [--replay]
"""

from __future__ import annotations

import argparse
import selectors
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2])]

import screen_build as build  # noqa: E402

from hud.tui.app import LiveScreen  # noqa: E402
from hud.tui.effects import (  # noqa: E402
    Clear,
    Playback,
    Quit,
    Seek,
    Threshold,
)
from hud.tui.terminal import unavailable  # noqa: E402


class Ended(BaseException):
    """A signal asks for the end."""


asked: list[str] = []
"""Signals that came: Python loses an exception that a handler raises in some callbacks."""


def end(number: int, _frame: FrameType | None) -> None:
    asked.append(signal.Signals(number).name)
    raise Ended(asked[-1])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--raise-after", type=float, default=0.0)
    parser.add_argument("--grow", action="store_true")
    parser.add_argument("--stuck", action="store_true")
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("--blockers", type=int, default=0)
    args = parser.parse_args()
    reason = unavailable()
    if reason:
        print(f"no screen: {reason}")
        return 4
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    started = time.monotonic_ns()
    first = build.many(args.blockers) if args.blockers else build.snapshot()
    if args.stuck:
        first = replace(first, workers=build.STUCK)
    seen = first
    try:
        playback = Playback(0, 60 * build.S, 1.0, True) if args.replay else None
        with (
            LiveScreen(time.monotonic_ns, "", playback) as screen,
            selectors.DefaultSelector() as selector,
        ):
            selector.register(screen, selectors.EVENT_READ)
            screen.draw(seen)
            while True:
                if asked:
                    raise Ended(asked[-1])
                if selector.select(0.25):
                    effects = screen.on_input(seen)
                    if Quit() in effects:
                        break
                    for effect in effects:
                        if effect == Clear():
                            seen = replace(first, blockers=(), episodes=0, blocked_ns=0)
                        elif isinstance(effect, Threshold):
                            info = replace(seen.info, threshold_ns=effect.threshold_ns)
                            seen = replace(seen, info=info)
                            screen.wants_redraw = True
                        elif isinstance(effect, Seek):
                            screen.notify(f"sought {effect.position_ns // 10**9} s")
                passed = time.monotonic_ns() - started
                if args.raise_after and passed > args.raise_after * 1e9:
                    raise RuntimeError("as asked")
                if args.grow:
                    seen = replace(seen, elapsed_ns=first.elapsed_ns + passed)
                    screen.draw(seen)
                elif screen.wants_redraw:
                    screen.draw(seen)
    except Ended as ended:
        if not args.silent:
            print(f"ended by {ended}")
        return 3
    print("quit")
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.exit(status)
