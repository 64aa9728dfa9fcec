"""What hud refuses: each with its exit code, one line of what and why, and the remedy."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import program
import pytest
import targets

from hud.kernel import denied

pytestmark = pytest.mark.e2e


def refusal(*arguments: object, code: int, **options: object) -> tuple[str, str]:
    """(what and why, remedy) of a run that is refused; nothing on standard output."""
    done = program.run(*arguments, code=code, **options)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("hud: "), done.stderr
    assert all(line.startswith("     ") for line in lines[1:]), done.stderr
    return lines[0].removeprefix("hud: "), "\n".join(line.strip() for line in lines[1:])


@pytest.fixture(scope="module")
def server(prebuilt_demo: Path) -> Iterator[targets.Running]:
    with targets.demo_server(prebuilt_demo, "--workers", "2") as running:
        yield running


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


# --------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("arguments", "what", "remedy"),
    [
        (["--threshold", "0", "x"], "a threshold is 0.1 to 60000 ms", "hud --help"),
        (["--threshold", "nan", "x"], "'nan': a threshold is 0.1 to 60000 ms", "hud --help"),
        (["--max-overhead", "0", "x"], "'0': a limit is 0.1 to 100 %", "hud --help"),
        (["--threshold", "fast", "x"], "'fast': a threshold is 0.1 to 60000 ms", "hud --help"),
        (["--duration", "-1", "x"], "a duration is 0 to 31536000 s", "hud --help"),
        (["--window", "inf", "x"], "'inf': a window is 0 to 31536000 s", "hud --help"),
        (["--pid", "0"], "'0': a process id is 1 to 4194303", "hud --help"),
        (["--pid", "x"], "'x': a process id is 1 to 4194303", "hud --help"),
        (["--pid"], "--pid: expected one argument", "hud --help"),
        (["--no-such-option", "x"], "unrecognized arguments: --no-such-option", "hud --help"),
        (["--thresh", "5", "x"], "unrecognized arguments: --thresh", "hud --help"),
        (["x", "y"], "unrecognized arguments: y", "hud --help"),
        (["x", "--pid", "1"], "both a process name and --pid", "give one of them"),
        (["--headless"], "no process given", "hud PROCESS, or hud --pid PID"),
        (["x", "--format", "trace"], "--format without --export", "add --export FILE"),
        (["x", "--export", "f", "--format", "pdf"], "named 'pdf'", "known formats: trace, summary"),
        (["doctor", "x"], "'x': a process id is 1 to 4194303", "hud doctor --help"),
        (["demo", "--duration", "0"], "a duration is 1 to 3600 s", "hud demo --help"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], what: str, remedy: str) -> None:
    said, hint = refusal(*arguments, code=2)
    assert what in said
    assert remedy in hint


def test_nothing_asked_gives_the_help() -> None:
    done = program.run(code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("usage: hud [options] PROCESS")
    assert done.stderr.endswith("hud --help lists the options; hud help, longer texts\n")


@pytest.mark.parametrize("command", [[], ["demo"], ["doctor"]])
def test_the_help_fits_a_terminal(command: list[str]) -> None:
    done = program.run(*command, "--help", env=program.environment(COLUMNS="80"))
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []


# --------------------------------------------------------------------------- the result's place


def test_an_export_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    places = {
        tmp_path / "absent" / "x.json": "create the directory first",
        tmp_path / "file" / "x.json": "one of the parents is a file",
        tmp_path: "name a file, not a directory",
        Path("/proc/x.json"): "",
    }
    for place, remedy in places.items():
        # No such process either: the export comes first, so that nothing is lost by it.
        said, hint = refusal("--pid", "4194303", "--export", place, code=2)
        assert said.startswith(f"cannot export to {place}: ")
        assert remedy in hint
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def small_disk(tmp_path: Path, need: Callable[[object, str], None]) -> Iterator[Path]:
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", tmp_path]
    need(subprocess.run(mount).returncode == 0, "mounting a tmpfs")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_costs_the_export_and_not_the_summary(
    server: targets.Running, small_disk: Path
) -> None:
    (small_disk / "filler").write_bytes(bytes(8 << 10))
    place = small_disk / "trace.json"
    with program.load(server.port):
        done = program.run(
            *("--headless", "--pid", server.pid, "--duration", 3, "--export", place), code=4
        )
    assert "of worker time was blocked" in done.stdout
    assert "written" not in done.stdout
    *_, what, hint = done.stderr.splitlines()
    assert what == f"hud: write {place}: no space left on device"
    assert hint == "     free some space, or write to another file system"
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_a_full_standard_output_is_an_error(server: targets.Running, tmp_path: Path) -> None:
    place = tmp_path / "trace.json"
    with Path("/dev/full").open("w") as full:
        done = program.run(
            *("--headless", "--pid", server.pid, "--duration", 0.3, "--export", place),
            code=4,
            stdout=full,
        )
    assert done.stderr.splitlines()[-1] == "hud: write standard output: no space left on device"
    assert program.trace(place)["otherData"]["ended"] == "duration over"


# --------------------------------------------------------------------------- the process


def test_no_such_process() -> None:
    assert refusal("--pid", "4194303", code=3)[0] == "no process with pid 4194303"
    assert refusal("doctor", "4194303", code=3)[0] == "no process with pid 4194303"
    said, hint = refusal("no-process-is-called-so", code=3)
    assert said == 'no process named "no-process-is-called-so"'
    assert hint == "ps -e lists the processes"


def test_a_near_miss_is_suggested(server: targets.Running) -> None:
    said, hint = refusal("demo-servre-x86_64", code=3)
    assert said == 'no process named "demo-servre-x86_64"'
    assert hint.startswith("did you mean ")
    assert f"demo-server-x86_64 (pid {server.pid})" in hint


def test_several_matches_are_listed(server: targets.Running, prebuilt_demo: Path) -> None:
    with targets.demo_server(prebuilt_demo) as second:
        said, hint = refusal(prebuilt_demo.name, code=3)
    assert said.endswith(f'processes match "{prebuilt_demo.name}"')
    assert hint.startswith("choose one with --pid:\n")
    listed = {int(line.split()[0]) for line in hint.splitlines()[1:]}
    assert {server.pid, second.pid} <= listed


def test_processes_that_cannot_be_profiled(
    server: targets.Running, need: Callable[[object, str], None]
) -> None:
    kernel_thread = Path("/proc/2/comm")
    need(kernel_thread.exists() and kernel_thread.read_text() == "kthreadd\n", "kthreadd as pid 2")
    assert refusal("--pid", 2, code=3)[0] == "process 2 (kthreadd) is a kernel thread"
    thread = max(int(path.name) for path in Path(f"/proc/{server.pid}/task").iterdir())
    said, hint = refusal("--pid", thread, code=3)
    assert said.startswith(f"{thread} is a thread of process {server.pid}")
    assert hint == f"hud --pid {server.pid}"


def test_a_zombie(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    stat = Path(f"/proc/{sleeper.pid}/stat")
    assert program.within(5, lambda: " Z " in stat.read_text())
    said, hint = refusal("--pid", sleeper.pid, code=3)
    assert said == f"process {sleeper.pid} (sleep) is a zombie: it has ended"
    assert hint == f"its parent, {os.getpid()}, has to reap it"


def test_a_wrong_target_file(server: targets.Running, tmp_path: Path) -> None:
    text = tmp_path / "notes"
    text.write_text("no ELF at all\n")
    truncated = tmp_path / "truncated"
    truncated.write_bytes(Path("/bin/sleep").read_bytes()[:3000])
    for file in ("/bin/sleep", text, truncated, tmp_path / "absent", tmp_path):
        said, hint = refusal(
            *("--headless", "--pid", server.pid, "--duration", 1, "--target", file), code=2
        )
        assert str(file) in said
        assert hint


def test_the_same_build_is_accepted_as_target(
    server: targets.Running, prebuilt_demo: Path, tmp_path: Path
) -> None:
    place = tmp_path / "x.json"
    program.run(
        *("--headless", "--pid", server.pid, "--duration", 0.3, "--export", place),
        *("--target", prebuilt_demo),
    )
    assert program.trace(place)["otherData"]["detection"]["rung"] == "context"


# --------------------------------------------------------------------------- privileges


def as_nobody(command: list[str], *arguments: object, code: int) -> str:
    done = subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd="/",
        env=program.environment(),
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    said = done.stdout + done.stderr
    assert not [word for word in program.CRASHED if word in said], said
    assert done.returncode == code, said
    return said


def test_without_root_the_remedy_is_sudo(
    for_anyone: list[str], server: targets.Running, prebuilt_demo: Path
) -> None:
    said = as_nobody(for_anyone, "--headless", "--pid", server.pid, code=4)
    assert said.startswith(f"hud: process {server.pid} (demo-server-x86): it belongs to user root,")
    assert f"run as root: sudo hud --pid {server.pid}" in said


def test_without_root_even_an_own_process_needs_bpf(for_anyone: list[str]) -> None:
    with subprocess.Popen([*program.NOBODY, "sleep", "60"]) as own:
        try:
            time.sleep(0.2)
            said = as_nobody(for_anyone, "--headless", "--pid", own.pid, code=4)
        finally:
            own.kill()
    first, hint = said.splitlines()
    assert first.startswith("hud: ")
    assert "not permitted: not root" in first
    assert hint == f"     {denied.AS_ROOT}"


def test_doctor_without_root(for_anyone: list[str]) -> None:
    said = as_nobody(for_anyone, "doctor", code=4)
    assert "FAIL  privileges: not root\n      run as root, or grant CAP_BPF" in said
    assert said.endswith("\nhud cannot run here: see FAIL\n")


def test_an_unprivileged_user_cannot_export_anywhere(for_anyone: list[str]) -> None:
    said = as_nobody(for_anyone, "--pid", "1", "--export", "/etc/x.json", code=2)
    assert said.splitlines() == [
        "hud: cannot export to /etc/x.json: permission denied",
        "     choose a directory that you may write to",
    ]


def test_the_demo_needs_root_too(for_anyone: list[str]) -> None:
    before = leftovers()
    said = as_nobody(for_anyone, "demo", "--duration", 1, code=4)
    assert "not root" in said
    assert leftovers() == before


def leftovers() -> set[str]:
    with contextlib.suppress(FileNotFoundError):
        return {path.name for path in Path("/tmp").glob("hud-demo-*")}
    return set()
