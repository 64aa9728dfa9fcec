"""The screen in a real pseudo-terminal, seen through an emulator."""

from __future__ import annotations

import base64
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyte
import pytest

DRIVER = Path(__file__).with_name("drive_screen.py")
PATIENCE = 20.0
ALTERNATE = 1049


class Session:
    """The driver in a pseudo-terminal of its own, and what its screen shows."""

    def __init__(self, *options: str, width: int = 120, height: int = 32, **env: str) -> None:
        self.controller, self.terminal = pty.openpty()
        self.raw = b""
        self.screen = pyte.Screen(width, height)
        self.stream = pyte.ByteStream(self.screen)
        self.resize(width, height, notify=False)
        self.before = termios.tcgetattr(self.terminal)
        environ = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLORFGBG")}
        environ |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1", **env}
        self.process = subprocess.Popen(
            [sys.executable, str(DRIVER), *options],
            stdin=self.terminal,
            stdout=self.terminal,
            stderr=self.terminal,
            env=environ,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def resize(self, width: int, height: int, notify: bool = True) -> None:
        size = struct.pack("HHHH", height, width, 0, 0)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, size)
        if notify:
            self.screen.resize(height, width)
            self.screen.reset()

    def read(self, seconds: float = 0.05) -> None:
        while select.select([self.controller], [], [], seconds)[0]:
            data = os.read(self.controller, 65536)
            self.raw += data
            self.stream.feed(data)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.read()
            if condition():
                return
        pytest.fail(f"never {what}:\n" + "\n".join(self.screen.display))

    def shows(self, text: str) -> None:
        self.until(lambda: any(text in line for line in self.screen.display), f"shown: {text}")

    def hides(self, text: str) -> None:
        self.until(lambda: not any(text in line for line in self.screen.display), f"gone: {text}")

    def press(self, keys: str) -> None:
        os.write(self.controller, keys.encode())

    def ends(self, status: int) -> None:
        self.until(lambda: self.process.poll() is not None, "ended")
        self.read()
        assert self.process.returncode == status, self.raw[-2000:]

    def assert_restored(self) -> None:
        assert mode_is_off(self.raw, b"\x1b[?1049h", b"\x1b[?1049l"), "alternate screen is on"
        assert mode_is_off(self.raw, b"\x1b[?25l", b"\x1b[?25h"), "cursor is hidden"
        assert mode_is_off(self.raw, b"\x1b[?1000h", b"\x1b[?1000l"), "the mouse is ours"
        assert mode_is_off(self.raw, b"\x1b[?1006h", b"\x1b[?1006l"), "the mouse is ours"
        assert mode_is_off(self.raw, b"\x1b[?2026h", b"\x1b[?2026l"), "updates are held"
        assert termios.tcgetattr(self.terminal) == self.before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.controller)
        os.close(self.terminal)


def mode_is_off(raw: bytes, on: bytes, off: bytes) -> bool:
    return on not in raw or raw.rfind(off) > raw.rfind(on)


@pytest.fixture
def session() -> Iterator[Callable[..., Session]]:
    made: list[Session] = []

    def start(*options: str, width: int = 120, height: int = 32, **env: str) -> Session:
        made.append(Session(*options, width=width, height=height, **env))
        return made[-1]

    yield start
    for one in made:
        one.close()


Start = Callable[..., Session]


def entered(one: Session) -> Session:
    """On the page of the blockers."""
    one.shows("q quit")
    one.press("2")
    one.shows("s sort")
    return one


def test_it_draws_takes_keys_and_quits(session: Start) -> None:
    one = entered(session())
    assert one.screen.display[0].startswith(" hud  demo-server  pid 22967")
    assert one.screen.display[4].startswith(" ▌  2.6% ")
    one.press("\x1b[B")
    one.shows("── 2 store::Index::save")
    one.press("\x1b[F")
    one.shows("── 5 ")
    one.press("\x1b[H")
    one.shows("── 1 ")
    one.press("\x1b[6~")
    one.shows("── 5 ")
    one.press("\x1b[5~\x1b[B")
    one.shows("── 2 ")
    one.press("\x1bOBk")
    one.shows("2 store::Index::save ──")
    one.press("\r")
    one.shows("sync_all")
    one.press("\x1b")
    one.shows("── 2 ")
    one.press("3")
    one.shows("all of its time")
    one.press("q")
    one.ends(0)
    one.assert_restored()
    assert b"quit" in one.raw.rpartition(b"\x1b[?1049l")[2]


def test_the_cause_has_a_colour_and_no_color_takes_it_away(session: Start) -> None:
    def cause_colour(one: Session) -> str:
        line = next(at for at, text in enumerate(one.screen.display) if " fsync " in text)
        column = one.screen.display[line].index("fsync")
        return str(one.screen.buffer[line][column].fg)

    assert cause_colour(entered(session())) == "87afff"
    plain = entered(session(NO_COLOR="1"))
    assert cause_colour(plain) == "default"
    assert b"\x1b[38;5" not in plain.raw
    plain.press("q")
    plain.ends(0)
    plain.assert_restored()


@pytest.mark.parametrize("kind", ["linux", "xterm-16color", "vt100", "tmux-256color"])
def test_other_terminals(session: Start, kind: str) -> None:
    one = entered(session(TERM=kind))
    one.press("q")
    one.ends(0)
    one.assert_restored()


def test_search_as_typed(session: Start) -> None:
    one = entered(session())
    one.press("/dns")
    one.shows("/dns_")
    one.hides("cache::get")
    one.shows("── 1 resolve_peer")
    one.press("\x1b")
    one.shows("cache::get")
    one.press("q")
    one.ends(0)


def test_a_resize_redraws_everything(session: Start) -> None:
    one = entered(session(width=120, height=32))
    one.resize(80, 24)
    one.shows(" 1 Over  2 Block 5 ")
    one.resize(40, 10)
    one.shows("hud needs 60 x 15, this is 40 x 10")
    one.resize(160, 40)
    one.shows(" 1 Overview   2 Blockers 5 ")
    one.press("q")
    one.ends(0)
    one.assert_restored()


BEGIN_UPDATE, END_UPDATE = b"\x1b[?2026h", b"\x1b[?2026l"


def frames(raw: bytes) -> list[bytes]:
    """What each redraw has written; nothing is between two of them."""
    between, *updates = raw.split(BEGIN_UPDATE)
    parts = [update.partition(END_UPDATE) for update in updates]
    assert all(end for _, end, _ in parts), "each update has an end"
    assert not between + b"".join(rest for _, _, rest in parts), "outside of an update"
    return [drawn for drawn, _, _ in parts]


def test_only_changed_cells_are_written_each_redraw_in_one_update(session: Start) -> None:
    """Once a second the clock moves, and nothing else does: a redraw writes that, or nothing."""
    one = entered(session("--grow"))
    one.until(lambda: "00:02:16" in one.screen.display[0], "two seconds later")
    at = len(one.raw)
    one.until(lambda: "00:02:19" in one.screen.display[0], "three seconds later still")
    whole = one.raw[at : one.raw.rindex(END_UPDATE) + len(END_UPDATE)]
    drawn = frames(whole[whole.index(BEGIN_UPDATE) :])
    assert 3 <= len(drawn) <= 6, "the clock, and now and then the run's length"
    assert max(map(len, drawn)) < 200
    one.press("q")
    one.ends(0)


def test_nothing_is_written_where_nothing_changed(session: Start) -> None:
    one = entered(session())
    at = len(one.raw)
    one.press("1")
    one.shows(" next panel")
    changed = len(one.raw)
    one.press("1" * 50)
    one.press("2")
    one.shows("s sort")
    (there,), (back,) = frames(one.raw[at:changed]), frames(one.raw[changed:])
    assert len(back) < 2 * len(there), "fifty keys between them changed nothing"
    one.press("q")
    one.ends(0)


def test_a_storm_of_sizes_leaves_the_right_frame(session: Start) -> None:
    """At any moment: between two frames, in the middle of one, and faster than they are drawn."""
    one = entered(session("--grow"))
    before = one.screen.display[2:]
    for turn in range(100):
        one.resize(40 + turn * 37 % 160, 8 + turn * 23 % 60, notify=False)
        if turn % 3 == 0:
            one.press("123456"[turn % 6])
        if turn % 7 == 0:
            one.read(0.01)
    one.resize(120, 32)
    one.press("2")
    one.until(lambda: one.screen.display[2:] == before, "as it was")
    assert one.screen.display[0].startswith(" hud  demo-server")
    assert b"Traceback" not in one.raw
    one.press("q")
    one.ends(0)
    one.assert_restored()


def test_a_crash_restores_the_terminal_and_shows_the_traceback(session: Start) -> None:
    one = session("--raise-after", "0.5")
    one.ends(1)
    one.assert_restored()
    assert b"RuntimeError: as asked" in one.raw.rpartition(b"\x1b[?1049l")[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_restores_the_terminal(session: Start, number: signal.Signals) -> None:
    one = entered(session())
    one.process.send_signal(number)
    one.ends(3)
    one.assert_restored()
    assert f"ended by {number.name}".encode() in one.raw


def test_ctrl_c_is_a_signal_and_ends_it(session: Start) -> None:
    one = entered(session())
    one.press("\x03")
    one.ends(3)
    one.assert_restored()


def test_stopped_and_continued(session: Start) -> None:
    one = entered(session())
    one.process.send_signal(signal.SIGTSTP)

    def stopped() -> bool:
        status = Path(f"/proc/{one.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return status == "T"

    # An orphaned process group is not stopped by SIGTSTP: it restores and comes right back.
    one.until(lambda: stopped() or one.raw.count(b"\x1b[?1049h") == 2, "stopped")
    if stopped():
        one.assert_restored()
        one.process.send_signal(signal.SIGCONT)
    one.until(lambda: one.raw.count(b"\x1b[?1049h") == 2, "entered again")
    entered(one).press("j")
    one.shows("── 2 store::Index::save")
    one.press("q")
    one.ends(0)
    one.assert_restored()


def test_continued_after_sigstop_is_drawn_again(session: Start) -> None:
    one = entered(session())
    one.process.send_signal(signal.SIGSTOP)
    one.screen.reset()
    one.process.send_signal(signal.SIGCONT)
    entered(one).press("q")
    one.ends(0)
    one.assert_restored()


def test_a_paste_and_unknown_sequences_do_no_harm(session: Start) -> None:
    one = entered(session())
    one.press("\x1b[200~\x1b[1;5Z\x1bOx" + "~" * 3000)

    def answered() -> bool:
        one.press("3")  # again and again: what comes with a paste is dropped
        return "all of its time" in one.screen.display[4]

    one.until(answered, "deaf to keys")
    one.press("q")
    one.ends(0)
    one.assert_restored()


def test_the_terminal_going_away_ends_it(session: Start) -> None:
    one = entered(session("--grow"))
    os.close(one.terminal)
    os.close(one.controller)
    status = one.process.wait(PATIENCE)
    one.controller, one.terminal = pty.openpty()  # for close()
    assert status in (0, -signal.SIGHUP)


def test_a_terminal_that_takes_nothing_cannot_hold_the_end_up(session: Start) -> None:
    one = entered(session("--silent", "--blockers", "500", width=300, height=100))
    for _ in range(20):  # fill its buffer: nobody reads
        one.resize(300, 99, notify=False)
        time.sleep(0.05)
        one.resize(300, 100, notify=False)
        time.sleep(0.05)
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(PATIENCE) == 3


@pytest.mark.parametrize(
    ("env", "reason"),
    [({"TERM": "dumb"}, "TERM is 'dumb'"), ({"TERM": ""}, "TERM is ''")],
)
def test_no_screen_on_a_dumb_terminal(session: Start, env: Mapping[str, str], reason: str) -> None:
    one = session(**env)
    one.ends(4)
    assert f"no screen: {reason}".encode() in one.raw
    one.assert_restored()


def test_no_screen_without_a_terminal() -> None:
    done = subprocess.run(
        [sys.executable, str(DRIVER)], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (4, b"no screen: stdin is not a terminal\n")


def test_ascii_where_the_locale_is(session: Start) -> None:
    one = entered(
        session(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    )
    assert all(line.isascii() for line in one.screen.display)
    one.press("q")
    one.ends(0)


def test_the_mouse_is_asked_for_and_given_back(session: Start) -> None:
    one = entered(session())
    row = next(at for at, line in enumerate(one.screen.display) if "cache::get" in line)
    one.press(f"\x1b[<0;20;{row + 1}M\x1b[<0;20;{row + 1}m")
    one.shows("── 3 cache::get")
    one.press("\x1b[<64;1;1M")
    one.shows("── 1 ")
    one.press("\x1b[<65;1;1M")
    one.shows("── 4 ")
    one.press(f"\x1b[<0;{one.screen.display[2].index('Workers') + 1};3M")
    one.shows("all of its time")
    one.press("q")
    one.ends(0)
    one.assert_restored()
    modes = b"\x1b[?1006;1000"
    assert one.raw.count(modes + b"h") == one.raw.count(modes + b"l") == 1


@pytest.mark.parametrize(
    ("answer", "fsync"),
    [
        ("\x1b]11;rgb:ffff/ffff/dddd\x1b\\\x1b[?62;22c", "5f5faf"),
        ("\x1b]11;rgb:1c/1c/1c\x07\x1b[?6c", "87afff"),
        ("\x1b[?6c", "87afff"),
        ("", "87afff"),
    ],
)
def test_the_background_is_asked_for_and_awaited_no_longer_than_a_moment(
    session: Start, answer: str, fsync: str
) -> None:
    one = session()
    one.until(lambda: b"\x1b]11;?\x1b\\" in one.raw, "asked")
    one.press(answer + "3")
    one.shows("all of its time")
    one.press("1")
    one.shows(" fsync ")
    line = next(at for at, text in enumerate(one.screen.display) if " fsync " in text)
    column = one.screen.display[line].index("fsync")
    assert str(one.screen.buffer[line][column].fg) == fsync
    one.press("q")
    one.ends(0)
    one.assert_restored()


def test_nothing_is_asked_where_the_environment_tells(session: Start) -> None:
    one = entered(session(COLORFGBG="0;15"))
    assert b"\x1b]11" not in one.raw
    one.press("q")
    one.ends(0)


def test_a_yank_goes_to_the_clipboard_and_to_a_private_file(session: Start, tmp_path: Path) -> None:
    one = entered(session(XDG_RUNTIME_DIR=str(tmp_path)))
    one.press("y")
    one.shows("kept in ")
    one.press("jy")
    one.until(lambda: one.raw.count(b"\x1b]52;c;") == 2, "sent")
    (file,) = tmp_path.iterdir()
    sent = one.raw.rpartition(b"\x1b]52;c;")[2].partition(b"\x07")[0]
    assert base64.b64decode(sent) == file.read_bytes()
    assert b"store::Index::save" in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    one.press("q")
    one.ends(0)


def test_the_threshold_typed_live(session: Start) -> None:
    one = entered(session(width=140))
    one.press("t1\r")
    one.shows("polls of 1 ms and more (5 ms until 00:02:14)")
    one.press("t0\r")
    one.shows("only 0.1 to 60000 ms")
    one.press("\x1b")
    one.shows("q quit")
    one.press("q")
    one.ends(0)


def test_a_replay(session: Start) -> None:
    one = session("--replay")
    one.shows("REPLAY")
    one.press(".")
    one.shows("sought 5 s")
    one.shows("play  00:00:05")
    one.press(" ")
    one.shows("hold  00:00:05")
    one.press(">>")
    one.shows("x4")
    one.press("q")
    one.ends(0)


def test_every_view_in_a_terminal_of_any_size(session: Start) -> None:
    one = entered(session())
    for key, said in (("4", "one by one"), ("5", "--exact adds"), ("6", "ran instead")):
        one.press(key)
        one.shows(said)
        for size in ((80, 24), (61, 16), (200, 60)):
            one.resize(*size)
            one.shows(said)
    one.press("q")
    one.ends(0)
    one.assert_restored()
