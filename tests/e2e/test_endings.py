"""However a run ends, what was seen is told and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import program
import pytest
import targets

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(prebuilt_demo: Path) -> Iterator[targets.Running]:
    """Under load, for the tests that leave it alive."""
    with (
        targets.demo_server(prebuilt_demo, "--workers", "2", seconds=300) as running,
        program.load(running.port, seconds=300),
    ):
        yield running


def children(pid: int) -> list[int]:
    return [int(tid) for tid in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def check_complete(out: str, file: Path, ended: str) -> None:
    """The summary and the export of a run that saw blocking."""
    assert "of worker time was blocked" in out
    assert " handlers::" in out
    assert f"  ended    {ended}\n" in out
    assert f"  written  {file} (" in out
    written = program.trace(file)
    assert written["otherData"]["ended"] == ended
    assert program.begins(written)
    phases = [event["ph"] for event in written["traceEvents"]]
    assert phases.count("B") == phases.count("E")


# --------------------------------------------------------------------------- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_and_everything_is_written(
    server: targets.Running, tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "trace.json"
    with program.attached("--pid", server.pid, "--export", file) as hud:
        time.sleep(2)
        hud.process.send_signal(number)
        out, _ = hud.end()
    check_complete(out, file, f"stopped by {number.name}")


def test_a_signal_twice_in_a_moment_is_one(server: targets.Running, tmp_path: Path) -> None:
    """As timeout(1) sends it: to the process, and then to its group."""
    file = tmp_path / "trace.json"
    done = subprocess.run(
        [
            *("timeout", "2.5", *program.COMMAND, "--headless"),
            *("--pid", str(server.pid), "--export", str(file)),
        ],
        capture_output=True,
        text=True,
        env=program.environment(),
        timeout=60,
    )
    assert done.returncode == 124, done.stderr
    assert "Traceback" not in done.stderr
    check_complete(done.stdout, file, "stopped by SIGTERM")


def test_nohup_stays_nohup(server: targets.Running) -> None:
    def ignore_hangup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with program.attached("--pid", server.pid, preexec_fn=ignore_hangup) as hud:
        hud.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert hud.process.poll() is None
        hud.process.terminate()
        assert "stopped by SIGTERM" in hud.end()[0]


def test_a_second_interrupt_ends_at_once(server: targets.Running, tmp_path: Path) -> None:
    """hud is held up (its resolver stands still) while it waits for names."""
    file = tmp_path / "trace.json"
    with program.attached("--pid", server.pid, "--export", file) as hud:
        (resolver,) = children(hud.pid)
        os.kill(resolver, signal.SIGSTOP)
        try:
            time.sleep(3)  # stacks without names have come
            hud.process.send_signal(signal.SIGINT)
            time.sleep(1)
            assert hud.process.poll() is None
            hud.process.send_signal(signal.SIGINT)
            hud.end(code=130, timeout=5)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(resolver, signal.SIGCONT)
    assert list(tmp_path.iterdir()) == []
    assert program.within(2, lambda: not alive(resolver))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_attach(
    server: targets.Running, tmp_path: Path, number: signal.Signals
) -> None:
    """At several moments of the start, the import of Python's own modules left out."""
    for delay in (0.0, 0.03, 0.06, 0.1):
        with subprocess.Popen(
            [
                *(sys.executable, "-c", PROGRAM, "--headless"),
                *("--pid", str(server.pid), "--export", str(tmp_path / "x.json")),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=program.environment(),
        ) as hud:
            assert hud.stdout is not None
            assert hud.stdout.readline() == "begin\n"
            time.sleep(delay)
            hud.send_signal(number)
            out, err = hud.communicate(timeout=20)
        assert "Traceback" not in err
        if hud.returncode == 0:  # it had attached
            assert f"stopped by {number.name}" in out
        else:
            assert (hud.returncode, out) == (130, "")


PROGRAM = """
import sys
from hud import cli
dispatch = cli._dispatch
def _dispatch(arguments):
    print("begin", flush=True)
    return dispatch(arguments)
cli._dispatch = _dispatch
sys.exit(cli.main())
"""


SWALLOWING = """
import contextlib, signal, sys
from hud import cli
dispatch = cli._dispatch
def _dispatch(arguments):
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    return dispatch(arguments)
cli._dispatch = _dispatch
sys.exit(cli.main())
"""


def test_an_interrupt_that_an_import_swallowed_ends_the_start(server: targets.Running) -> None:
    """Python loses the exception in callbacks of its import system: here for sure."""
    command = [sys.executable, "-c", SWALLOWING, "--headless", "--pid", str(server.pid)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, env=program.environment()
    )
    assert (done.returncode, done.stdout) == (130, "")


# --------------------------------------------------------------------------- the target's end


def test_a_target_that_is_killed_ends_the_run(prebuilt_demo: Path, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    with (
        targets.demo_server(prebuilt_demo, "--workers", "2") as server,
        program.load(server.port),
        program.attached("--pid", server.pid, "--export", file) as hud,
    ):
        time.sleep(2)
        server.process.kill()
        out, _ = hud.end(timeout=5)
    check_complete(out, file, "target exited (killed by SIGKILL)")
    written = program.trace(file)["otherData"]
    assert not any(worker["alive"] for worker in written["workers"])


def test_a_target_that_exits_ends_the_run(prebuilt_demo: Path) -> None:
    command = [prebuilt_demo, "--port", "0", "--seconds", "2"]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as server,
        program.attached("--pid", server.pid, "--duration", 60) as hud,
    ):
        assert server.wait(20) == 0
        out, _ = hud.end()
    assert "  ended    target exited (status 0)\n" in out


def test_a_target_that_runs_another_program_stays_in_view(
    prebuilt_demo: Path, tmp_path: Path
) -> None:
    """From one Tokio program to another, by exec, in the same process."""
    file = tmp_path / "trace.json"
    renamed = tmp_path / "next-server"
    shutil.copy2(prebuilt_demo, renamed)
    script = 'read line; exec "$0" --port 0 --workers 2 --dir "$1"'
    with subprocess.Popen(
        ["sh", "-c", script, renamed, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as target:
        try:
            assert target.stdin is not None
            assert target.stdout is not None
            with program.attached("--pid", target.pid, "--export", file) as hud:
                time.sleep(0.7)  # past the change to the process connector
                target.stdin.write("go\n")
                target.stdin.flush()
                port = int(target.stdout.readline().rpartition(":")[2])
                with program.load(port):
                    time.sleep(4)
                hud.process.terminate()
                out, _ = hud.end()
        finally:
            target.kill()
    other = program.trace(file)["otherData"]
    assert other["detection"]["rung"] == "context"
    assert other["target"]["name"] == "next-server"
    assert other["target"]["executable"] == str(renamed)
    assert len([worker for worker in other["workers"] if worker["alive"]]) == 2
    assert " handlers::hash_password" in out
    check_complete(out, file, "stopped by SIGTERM")


# --------------------------------------------------------------------------- streams that close


def test_a_reader_that_goes_away(server: targets.Running, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    command = [
        *(*program.COMMAND, "--headless", "--pid", str(server.pid)),
        *("--duration", "1", "--export", str(file)),
    ]
    line = f"{' '.join(command)} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env=program.environment(), timeout=60
    )
    first, status = done.stdout.splitlines()
    assert first.startswith("demo-server-x86 (pid ")
    assert status == "0"
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert program.begins(program.trace(file))


@pytest.mark.parametrize(
    "streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"]
)
def test_standard_streams_that_are_closed_or_full(
    server: targets.Running, tmp_path: Path, streams: str
) -> None:
    file = tmp_path / "trace.json"
    out = tmp_path / "out"
    command = [
        *(*program.COMMAND, "--headless", "--pid", str(server.pid)),
        *("--duration", "1.5", "--export", str(file)),
    ]
    before = out, out.with_name("err")
    line = f"exec {' '.join(command)} >{before[0]} 2>{before[1]} {streams}"
    done = subprocess.run(["bash", "-c", line], env=program.environment(), timeout=60)
    assert done.returncode == (4 if streams == ">/dev/full" else 0)
    for path in before:
        assert "Traceback" not in path.read_text()
        assert "Exception" not in path.read_text()
    if ">&-" not in streams.split() and streams != ">/dev/full":
        assert "of worker time was blocked" in out.read_text()
    # What hud opens itself never lands in the place of a closed stream.
    assert program.begins(program.trace(file))


def test_help_into_a_closed_pipe() -> None:
    line = f"{' '.join(program.COMMAND)} --help | true; echo ${{PIPESTATUS[0]}}"
    environment = {**program.environment(), "PYTHONUNBUFFERED": ""}
    for unbuffered in ("", "1"):
        done = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            env={**environment, "PYTHONUNBUFFERED": unbuffered},
        )
        assert (done.stdout, done.stderr) == ("0\n", "")


# --------------------------------------------------------------------------- nothing is left


OBJECTS = ("prog", "map", "link")


def objects_of(pid: int) -> set[tuple[str, int]]:
    """(kind, id) of the BPF objects that a process has open."""
    found = set()
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        found |= {(kind, int(fields[f"{kind}_id"])) for kind in OBJECTS if f"{kind}_id" in fields}
    return found


def objects_there() -> set[tuple[str, int]]:
    """Those of all processes, and of the kernel itself."""
    found = set()
    for kind in OBJECTS:
        listed = subprocess.run(["bpftool", "-j", kind, "list"], capture_output=True, check=True)
        found |= {(kind, row["id"]) for row in json.loads(listed.stdout)}
    return found


def test_hud_killed_leaves_nothing_attached(
    server: targets.Running, need: Callable[[object, str], None]
) -> None:
    need(shutil.which("bpftool"), "bpftool")
    with program.attached("--pid", server.pid) as hud:
        (resolver,) = children(hud.pid)
        mine = objects_of(hud.pid)
        assert {kind for kind, _ in mine} >= {"prog", "map"}
        assert mine <= objects_there()
        hud.process.kill()
        hud.process.wait()
    assert program.within(2, lambda: not mine & objects_there())
    assert program.within(2, lambda: not alive(resolver))


def start_demo(place: Path) -> subprocess.Popen[str]:
    """``hud demo``, with its files in a folder that others may enter."""
    place.chmod(0o755)
    return subprocess.Popen(
        [*program.COMMAND, "demo", "--duration", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=program.environment(TMPDIR=str(place)),
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_demo_leaves_no_process(prebuilt_demo: Path, number: signal.Signals) -> None:
    """SIGKILL takes away the chance to remove files; SIGTERM does not."""
    with tempfile.TemporaryDirectory() as place:
        with start_demo(Path(place)) as hud:
            assert hud.stderr is not None
            for line in hud.stderr:
                if program.ATTACHED in line:
                    break
            started = children(hud.pid)
            assert len(started) == 3, "server, load and resolver"
            hud.send_signal(number)
            out, err = hud.communicate(timeout=20)
        assert "Traceback" not in err
        assert program.within(2, lambda: not [pid for pid in started if alive(pid)])
        if number == signal.SIGTERM:
            assert hud.returncode == 0
            assert "stopped by SIGTERM" in out
            assert list(Path(place).iterdir()) == []


def test_the_demo_ended_before_it_attached(prebuilt_demo: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        with start_demo(Path(place)) as hud:
            assert hud.stderr is not None
            assert hud.stderr.readline().startswith("hud demo: demo server: prebuilt")
            hud.send_signal(signal.SIGTERM)
            out, err = hud.communicate(timeout=20)
        assert (hud.returncode, out) == (130, "")
        assert "Traceback" not in err
        assert list(Path(place).iterdir()) == []


# --------------------------------------------------------------------------- the helper's end


def test_a_run_goes_on_without_its_resolver(server: targets.Running, tmp_path: Path) -> None:
    """It dies, as from memory, and is started anew three times; then names are missing, and hud
    does not spin over it."""
    file = tmp_path / "trace.json"
    with program.attached("--pid", server.pid, "--export", file) as hud:
        time.sleep(2)
        for anew in (1, 1, 1, 0):
            (resolver,) = children(hud.pid)
            os.kill(resolver, signal.SIGKILL)
            assert others_are(anew, hud.pid, resolver)
        time.sleep(0.5)
        before = cpu_ticks(hud.pid)
        time.sleep(1)
        assert cpu_ticks(hud.pid) - before < os.sysconf("SC_CLK_TCK") / 2
        hud.process.terminate()
        out, _ = hud.end()
    check_complete(out, file, "stopped by SIGTERM")
    died = "the symbol resolver died: killed by SIGKILL"
    notes = program.trace(file)["otherData"]["notes"]
    assert f"{died}; it was restarted, and some names are missing" in notes
    assert f"{died}; no names from here on" in notes
    assert program.trace(file)["otherData"]["losses"]["symbols_late"] > 0


def others_are(many: int, pid: int, gone: int) -> bool:
    """Does the process have so many children, soon, without the one that is gone?"""
    return program.within(10, lambda: gone not in children(pid) and len(children(pid)) == many)


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
