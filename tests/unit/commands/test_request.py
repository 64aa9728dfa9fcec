"""What the command line asks for arrives at the profiler, each in its unit."""

from __future__ import annotations

from pathlib import Path

from hud import cli
from hud.commands.output import Output
from hud.commands.request import Request, request_of
from hud.profiler import Options


def parsed(*words: str) -> Request:
    return request_of(cli.parser_of("").parse_args(words), headless=False)


def test_what_nobody_asked_for() -> None:
    request = parsed("my-app")
    assert request.options == Options()
    assert request.output == Output()
    assert (request.window_ns, request.duration_s, request.record) == (0, 0.0, None)


def test_every_option_arrives() -> None:
    request = parsed(
        *(
            "my-app",
            "--threshold",
            "1.5",
            "--window",
            "30",
            "--duration",
            "60",
            "--workers",
            "api-",
        ),
        *("--exact", "--max-overhead", "1", "--no-context", "--btf", "/b", "--target", "/t"),
        *("--debug-file", "/d", "--debug-file", "/e", "--export", "x.json", "--format", "summary"),
        *("--record", "r.hud", "--theme", "light", "--quiet", "--verbose"),
    )
    assert request.options == Options(
        threshold_ns=1_500_000,
        workers="api-",
        executable="/t",
        btf=Path("/b"),
        use_context=False,
        debug_files=("/d", "/e"),
        exact=True,
        max_overhead=0.01,
    )
    assert request.output == Output("x.json", "summary", quiet=True, verbose=True)
    assert (request.window_ns, request.duration_s) == (30_000_000_000, 60.0)
    assert (request.record, request.theme) == ("r.hud", "light")


def test_an_automatic_threshold_begins_at_the_default() -> None:
    options = parsed("my-app", "--threshold", "auto").options
    assert (options.threshold_ns, options.auto_threshold) == (5_000_000, True)
