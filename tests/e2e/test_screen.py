"""The whole program in a pseudo-terminal: opened, read, driven by keys, and left in every way."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import program
import pyte
import pytest
import targets

from hud.profiler.detection.ladder import CONTEXT_HZ

pytestmark = pytest.mark.e2e

PATIENCE_S = 20.0
ENTER, DOWN = "\r", "\x1b[B"
LEFT_ALTERNATE = b"\x1b[?1049l"


class Session:
    """hud in a terminal of its own, and what its screen shows."""

    def __init__(
        self,
        *arguments: object,
        width: int = 120,
        height: int = 32,
        cwd: Path | None = None,
        **variables: str,
    ) -> None:
        self.controller, self.terminal = pty.openpty()
        self.raw = b""
        self.screen = pyte.Screen(width, height)
        self.stream = pyte.ByteStream(self.screen)
        self.resize(width, height)
        self.modes = termios.tcgetattr(self.terminal)
        self.process = subprocess.Popen(
            [*program.COMMAND, *map(str, arguments)],
            stdin=self.terminal,
            stdout=self.terminal,
            stderr=self.terminal,
            cwd=cwd,
            env=program.environment(TERM="xterm-256color", LC_ALL="C.UTF-8", **variables),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.controller)
        os.close(self.terminal)

    def resize(self, width: int, height: int) -> None:
        size = struct.pack("HHHH", height, width, 0, 0)
        self.screen.resize(height, width)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, size)

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while True:
            while select.select([self.controller], [], [], 0.05)[0]:
                data = os.read(self.controller, 1 << 16)
                self.raw += data
                self.stream.feed(data)
            if condition():
                return
            if time.monotonic() > end:
                pytest.fail(f"never {what}:\n{self.text}")

    def shows(self, text: str) -> None:
        self.until(lambda: text in self.text, f"shown: {text}")

    def press(self, keys: str) -> None:
        os.write(self.controller, keys.encode())

    def ends(self, code: int = 0) -> str:
        """Its end, with the terminal as it was; what was printed after the screen."""
        self.until(lambda: self.process.poll() is not None, "ended")
        self.until(lambda: True, "")
        assert self.process.returncode == code, self.text
        assert termios.tcgetattr(self.terminal) == self.modes
        _, left, after = self.raw.rpartition(LEFT_ALTERNATE)
        assert left, "the screen was never left"
        assert self.raw.rfind(b"\x1b[?25h") > self.raw.rfind(b"\x1b[?25l"), "no cursor"
        said = after.decode()
        assert not [word for word in program.CRASHED if word in said], said
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)


def test_a_visit(server: targets.Running) -> None:
    """Open, see the blockers, look at the stacks of one, resize, look at the workers, leave."""
    with Session("--pid", server.pid) as hud:
        hud.shows(f"pid {server.pid}")
        hud.shows("blocked, all workers")
        hud.shows("handlers::hash_password")
        assert "LIVE" in hud.screen.display[0]
        assert "tokio 1.54.1" in hud.screen.display[0]

        hud.press("/hash_pass" + ENTER)
        hud.shows("/hash_pass ✕")
        hud.shows("── 1 handlers::hash_password")
        hud.press(ENTER)
        named = "demo_server::handlers::hash_password"
        hud.until(lambda: any("◀" in line and named in line for line in hud.screen.display), named)
        assert "bcrypt" in hud.text

        hud.press("\x1b")
        hud.shows("blocked, all workers")
        hud.resize(80, 24)
        hud.until(lambda: "hash_password" in hud.text and "quit" in hud.screen.display[-1], "drawn")
        assert f"pid {server.pid}" in hud.screen.display[0]

        hud.press("c3")
        hud.shows("parked")
        hud.press("?")
        hud.shows("any other key closes")
        hud.press("x")
        hud.press("q")
        said = hud.ends()
    assert re.search(r"watched for [\d.]+ s, quit\r\n  \S.*\r\n  --record FILE.hud", said)


def test_a_recording_is_made_behind_the_screen_and_played_again(
    server: targets.Running, tmp_path: Path
) -> None:
    """Reset and looked at in other ways meanwhile: the export is the same."""
    recording, live, later = tmp_path / "run.hud", tmp_path / "live.json", tmp_path / "later.json"
    with Session("--pid", server.pid, "--record", recording, "--export", live) as hud:
        hud.shows("blocked, all workers")
        hud.press("r")
        hud.until(lambda: "00:00:00" in hud.text, "reset")
        hud.press("t" + 8 * "\x7f" + "8" + ENTER)
        hud.shows("polls of 8 ms and more")
        hud.press("w" + 8 * "\x7f" + "1" + ENTER)
        hud.until(lambda: "whole run" not in hud.text, "seen through a window")
        hud.shows("00:00:02")
        hud.press("q")
        assert "incomplete" not in hud.ends()
    program.run("export", recording, "-o", later)
    assert later.read_bytes() == live.read_bytes()

    with Session("view", recording) as hud:
        hud.shows("REPLAY")
        hud.shows("hold")
        hud.press("w" + 8 * "\x7f" + "0" + ENTER)
        hud.shows("whole run")
        hud.shows("handlers::")
        hud.press(" ")
        hud.shows("play")
        hud.press("q")
        assert hud.ends() == ""

    assert not colours(recording, "none")
    dark, light = (colours(recording, theme) for theme in ("dark", "light"))
    assert dark and light and dark != light


def colours(recording: Path, theme: str) -> set[str]:
    """What the screen is drawn in, whatever the environment says."""
    with Session("view", recording, "--theme", theme, COLORFGBG="15;0") as hud:
        hud.shows("handlers::")
        cells = [cell for row in hud.screen.buffer.values() for cell in row.values()]
        hud.press("q")
        hud.ends()
    return {cell.fg for cell in cells} - {"default"}


def test_all_that_a_screen_can_be_asked(
    server: targets.Running, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Threshold, window, views, yank and export, on a real run."""
    place = {"XDG_RUNTIME_DIR": str(tmp_path)}
    trace = tmp_path_factory.mktemp("elsewhere") / "trace.json"
    asked = ("--pid", server.pid, "--export", trace)
    with Session(*asked, width=140, cwd=tmp_path, **place) as hud:
        hud.shows("handlers::hash_password")
        hud.press("t1\r")
        hud.shows("polls of 1 ms and more (5 ms until")
        hud.press("w\x7f30\r")
        hud.shows("last 30 s")
        hud.press("4")
        hud.until(lambda: re.search(r"^.W1 .*[▁-█]", hud.text, re.MULTILINE), "episodes")
        hud.press("\x1b[D")
        hud.shows("spent  ")
        hud.press("1\r")
        hud.shows("── stacks ")
        hud.press("e\r")
        hud.shows("written to ")
        hud.press("e\r")
        hud.shows("already exists")
        hud.press("y")
        hud.shows("kept in ")
        exported, yanked = sorted(tmp_path.iterdir())
        assert "◀" in exported.read_text()
        assert "◀" in yanked.read_text()
        assert yanked.stat().st_mode & 0o777 == 0o600
        hud.press("1r")
        hud.until(lambda: "00:00:0" in hud.screen.display[0], "started again")
        assert "polls of 1 ms and more" in hud.screen.display[0]
        hud.shows("handlers::")
        hud.press(" ")
        hud.shows("FROZEN")
        clock = hud.screen.display[0]  # names that were still looked up may come in below
        time.sleep(0.6)
        hud.until(lambda: True, "")
        assert hud.screen.display[0] == clock
        hud.press(" ")
        hud.shows("LIVE")
        hud.press("t50\r")
        hud.shows("polls of 50 ms and more")
        hud.press("q")
        hud.ends()
    data = json.loads(trace.read_text())["otherData"]
    assert data["threshold_ms"] == 50
    assert data["sample_period_ms"] == 1_000_000_000 // CONTEXT_HZ / 1e6, "as it was at the end"


def test_in_tmux(
    server: targets.Running, tmp_path: Path, need: Callable[[object, str], None]
) -> None:
    need(shutil.which("tmux"), "tmux")

    def tmux(*words: str) -> str:
        command = ["tmux", "-f", "/dev/null", "-S", str(tmp_path / "socket"), *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment).stdout

    def shows(text: str, attributes: bool = False) -> str:
        words = ("capture-pane", "-p", *(["-e"] if attributes else []))
        found = program.within(PATIENCE_S, lambda: text in tmux(*words))
        assert found, f"never shown: {text}\n{tmux(*words)}"
        return tmux(*words)

    environment = program.environment(LC_ALL="C.UTF-8", TERM="xterm-256color", SHELL="/bin/sh")
    hud = shlex.join([*program.COMMAND, "--pid", str(server.pid)])
    tmux("new-session", "-d", "-x", "110", "-y", "30", f"{hud}; echo left $?; exec sleep 60")
    try:
        shows("handlers::hash_password")
        assert "\x1b[38;5;" in shows("cpu", attributes=True), "causes are coloured"
        tmux("send-keys", "/", "hash_pass", "Enter")
        shows("/hash_pass ✕")
        tmux("send-keys", "Enter")
        assert "◀" in shows("how long")
        tmux("resize-window", "-x", "80", "-y", "24")
        shows("esc back")
        tmux("send-keys", "q")
        shows("latest long polls")
        tmux("send-keys", "6")
        shows("had no CPU")
        tmux("send-keys", "q")
        assert ", quit" in shows("-v prints the whole summary"), "on the normal screen"
        assert (
            tmux("display", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}") == "0 0 1\n"
        )
    finally:
        tmux("kill-server")


def test_an_interrupt_quits_and_writes(server: targets.Running, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    with Session("--pid", server.pid, "--export", file) as hud:
        hud.shows("handlers::")
        hud.press("\x03")
        said = hud.ends()
    assert f"  written: {file} (" in said.replace("\r\n", "\n")
    assert program.begins(program.trace(file))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(
    server: targets.Running, tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "trace.json"
    with Session("--pid", server.pid, "--export", file) as hud:
        hud.shows("blocked, all workers")
        hud.process.send_signal(number)
        said = hud.ends()
    assert f"stopped by {number.name}" in said
    assert program.begins(program.trace(file))


def test_a_duration_ends_the_screen(server: targets.Running) -> None:
    with Session("--pid", server.pid, "--duration", 2) as hud:
        hud.shows("LIVE")
        assert ", duration over" in hud.ends()


def test_the_screen_outlives_its_target(prebuilt_demo: Path, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    with (
        targets.demo_server(prebuilt_demo, "--workers", "2") as server,
        program.load(server.port),
        Session("--pid", server.pid, "--export", file) as hud,
    ):
        hud.shows("handlers::")
        assert "LIVE" in hud.screen.display[0]
        server.process.kill()
        hud.shows("ENDED")
        assert "LIVE" not in hud.screen.display[0]
        assert "handlers::" in hud.text
        time.sleep(1)
        assert hud.process.poll() is None
        hud.press(ENTER)
        hud.shows("◀")
        hud.press("\x1b")
        hud.shows("blocked, all workers")
        hud.press("q")
        said = hud.ends()
    assert "target exited (killed by SIGKILL)" in said
    assert program.begins(program.trace(file))


def test_hud_killed_by_a_hung_up_terminal(server: targets.Running, tmp_path: Path) -> None:
    """The window is closed: no reader, and SIGHUP. What was seen is written all the same."""
    file = tmp_path / "trace.json"
    hud = Session("--pid", server.pid, "--export", file)
    with hud:
        hud.shows("blocked, all workers")
        os.close(hud.controller)
        hud.controller = os.open(os.devnull, os.O_RDWR)
        assert program.within(PATIENCE_S, lambda: hud.process.poll() is not None)
    assert program.begins(program.trace(file))


@pytest.mark.parametrize(
    ("streams", "term", "reason"),
    [
        ("<{tty} >{tty}", "dumb", "TERM is 'dumb'"),
        ("</dev/null >{tty}", "xterm", "stdin is not a terminal"),
        ("<{tty}", "xterm", "stdout is not a terminal"),
    ],
)
def test_without_a_terminal_it_goes_on_without_a_screen(
    server: targets.Running, streams: str, term: str, reason: str
) -> None:
    controller, terminal = pty.openpty()
    try:
        command = " ".join([*program.COMMAND, "--pid", str(server.pid), "--duration", "0.5"])
        done = subprocess.run(
            ["bash", "-c", f"{command} {streams.format(tty=os.ttyname(terminal))}"],
            capture_output=True,
            text=True,
            env=program.environment(TERM=term),
            timeout=60,
        )
        printed = done.stdout
        if ">" in streams:
            printed = os.read(controller, 1 << 16).decode()
    finally:
        os.close(controller)
        os.close(terminal)
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == (
        f"hud: no screen, because {reason}: running as with --headless"
    )
    assert printed.startswith("demo-server-x86 (pid ")
    assert "\x1b" not in printed or term != "dumb"


def test_progress_is_told_on_a_terminal(server: targets.Running) -> None:
    with Session("--headless", "--pid", server.pid, "--duration", 6) as hud:
        told = r"\d s, [0-6] s left: [1-9]\d* blocking polls?, most in demo_server::"
        hud.until(lambda: re.search(told, hud.text), "told")
        hud.until(lambda: hud.process.poll() is not None, "ended")
        hud.until(lambda: True, "")
        assert " s left:" not in hud.text
        assert "duration over" in hud.raw.decode()
        assert "\x1b[3" in hud.raw.decode(), "causes are coloured"
        assert termios.tcgetattr(hud.terminal) == hud.modes
