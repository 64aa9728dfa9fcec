"""The one module that knows the terminal: entering and leaving it, keys in, changed cells out.

Signal handlers only leave a mark and wake the loop; what they ask for is done in ``read_keys``.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import io
import os
import re
import select
import signal
import sys
import termios
import time
import tty
from typing import TYPE_CHECKING, Any

from hud.tui.actions import Click
from hud.tui.diff import diff
from hud.tui.input import CLICK, OPENINGS, key_name
from hud.tui.state import Size
from hud.tui.style import (
    FEWEST_COLOURS,
    THEMES,
    Line,
    Look,
    numbers,
    theme_by_background,
    theme_for,
)
from hud.tui.text import cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType


_ESCAPE_SECONDS = 0.025
"""How long the rest of an escape sequence may take after its ESC (vim's ttimeoutlen is 100 ms)."""
_DRAW_SECONDS = 0.05
"""How long a terminal may take nothing before a frame is given up: the loop has to go on."""
_LEAVE_SECONDS = 1.0
_MOST_KEYS = 256
"""Keys taken at once; a longer burst is a paste, and its rest is dropped."""

_ASK_BACKGROUND = "\x1b]11;?\x1b\\\x1b[c"
"""OSC 11 and then DA1, which every terminal answers: no need to wait longer than that."""
_BACKGROUND = re.compile(rb"\x1b\]11;rgb:([0-9a-fA-F/]+)(?:\x1b\\|\x07)")
_ATTRIBUTES = re.compile(rb"\x1b\[\?[0-9;]*c")
_ANSWER_SECONDS = 0.15
_LONGEST_SEQUENCE = 64
_LONGEST_COPY = 74_994 // 4 * 3
"""Bytes of a text: terminals commonly take 74,994 of base64 in one OSC 52."""


def unavailable(environ: Mapping[str, str] = os.environ) -> str:
    """Why there can be no screen here; empty = there can."""
    for number, name in enumerate(("stdin", "stdout")):
        if not os.isatty(number):
            return f"{name} is not a terminal"
    kind = environ.get("TERM", "")
    return f"TERM is {kind!r}" if kind in ("", "dumb", "unknown") else ""


class Screen:
    """The terminal as a context manager; use it from the main thread (it installs handlers).

    ``fileno()`` becomes readable when ``read_keys`` has something to do: keys, a new size, or
    coming back from being stopped.
    """

    def __init__(self, theme: str = "") -> None:
        self._theme_name = theme or theme_for(dict(os.environ))
        self._theme = THEMES[self._theme_name or "dark"]
        self._input = 0
        self._output = 1
        self._private_output = -1
        self.unicode = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
        self._encoding = "utf-8" if self.unicode else (sys.stdout.encoding or "ascii")
        self._shown: list[Line] | None = None
        self._shown_size = Size(0, 0)
        self._sequences: dict[str, str] = {}
        self._saved_mode: list[Any] | None = None
        self._saved_handlers: dict[signal.Signals, Any] = {}
        self._marks: set[signal.Signals] = set()
        self._entered = False
        self._mouse = False
        self.gone = False
        """The terminal has hung up."""

    @property
    def coloured(self) -> bool:
        """It shows hues; known once it is entered."""
        return self._theme is not THEMES["none"]

    # ----------------------------------------------------------------- in and out

    def __enter__(self) -> Screen:
        # Opened anew, because O_NONBLOCK belongs to the open file, which others share with us.
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
            self._private_output = os.open(os.ttyname(1), flags)
            self._output = self._private_output
        self._pending = _Pending(self._output)
        self._modes = contextlib.ExitStack()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.epoll()
        try:
            self._term = _terminal(self._pending, self._input)
            # As ECMA-48 has it, and nearly every terminal: terminfo's language is slow.
            self._plain_moves = self._term.move_yx(4, 6) == "\x1b[5;7H"
            # What has no alternate screen is too old for the rest too.
            self._mouse = bool(self._term.enter_fullscreen) and self._term.kind != "linux"
            self._poll.register(self._input, select.EPOLLIN)
            self._poll.register(self._wake_read, select.EPOLLIN)
            for number in (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT):
                self._saved_handlers[number] = signal.signal(number, self._on_signal)
            # For the exception that a signal raises while ``__exit__`` is at work.
            atexit.register(self._leave)
            self._enter()
            if self._term.number_of_colors < FEWEST_COLOURS:
                self._theme = THEMES["none"]
            elif not self._theme_name:
                self._theme = THEMES[self._ask_theme()]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        for number, handler in self._saved_handlers.items():
            signal.signal(number, handler)
        self._saved_handlers.clear()
        atexit.unregister(self._leave)
        self._poll.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._private_output >= 0:
            os.close(self._private_output)
        self._private_output, self._output = -1, 1

    def _enter(self) -> None:
        try:
            mode = termios.tcgetattr(self._input)
            if self._saved_mode is None:
                self._saved_mode = mode
            tty.setcbreak(self._input, termios.TCSANOW)
            mode = termios.tcgetattr(self._input)
            mode[0] &= ~termios.IXON  # ctrl-s must not stop the output, and with it the loop
            termios.tcsetattr(self._input, termios.TCSANOW, mode)
        except termios.error:
            self.gone = True
        self._entered = True
        self._shown = None
        self._pending.write(self._term.enter_fullscreen + self._term.hide_cursor + self._term.clear)
        self._modes.close()
        if self._mouse:
            self._modes.enter_context(self._term.mouse_enabled())
        self._send(_LEAVE_SECONDS)

    def _leave(self) -> None:
        if not self._entered:
            return
        # A terminal without an alternate screen is left clean at least.
        away = self._term.exit_fullscreen or self._term.clear
        self._pending.write(self._term.normal)
        with self._term.synchronized_output():
            pass  # a frame that was given up may have left it on
        self._modes.close()
        self._pending.write(away + self._term.normal_cursor)
        self._send(_LEAVE_SECONDS)
        if self._saved_mode is not None:
            try:
                # Not TCSADRAIN: a terminal that takes nothing more would hold up the end.
                termios.tcsetattr(self._input, termios.TCSANOW, self._saved_mode)
            except termios.error:
                self.gone = True
            self._saved_mode = None
        self._entered = False

    # ----------------------------------------------------------------- signals

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._marks.add(signal.Signals(number))
        with contextlib.suppress(BlockingIOError):  # full: the loop is awake already
            os.write(self._wake_write, b"!")

    def _obey(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 512):
                pass
        marks, self._marks = self._marks, set()
        if signal.SIGTSTP in marks:
            self._stop()
        elif signal.SIGCONT in marks:
            # Stopped by SIGSTOP, which cannot be caught: the shell may have changed the modes.
            self._enter()
        return bool(marks)

    def _stop(self) -> None:
        self._leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._on_signal)
        self._marks.discard(signal.SIGCONT)
        self._enter()

    # ----------------------------------------------------------------- input

    def fileno(self) -> int:
        """For a selector; see the class."""
        return self._poll.fileno()

    def read_keys(self) -> tuple[list[str | Click], bool]:
        """Names of the keys pressed, clicks, and whether everything must be drawn again. Waits for
        nothing but the rest of an escape sequence.
        """
        again = self._obey()
        keys: list[str | Click] = []
        try:
            while len(keys) < _MOST_KEYS:
                stroke = self._term.inkey(timeout=0, esc_delay=_ESCAPE_SECONDS)
                if not stroke:
                    break
                text = str(stroke)
                if text in OPENINGS:
                    self._skip(text)
                elif stroke.name == CLICK:
                    keys.append(Click(*stroke.mouse_xy))
                else:
                    keys.append(key_name(text, stroke.name))
            else:
                self._term.flushinp()
        except (EOFError, OSError):
            self.gone = True
        return [key for key in keys if key], again

    def _skip(self, begin: str) -> None:
        """The rest of a sequence that blessed knows only the beginning of; nothing asks for it."""
        ends = OPENINGS[begin]
        for _ in range(_LONGEST_SEQUENCE):
            stroke = str(self._term.inkey(timeout=_ESCAPE_SECONDS, esc_delay=_ESCAPE_SECONDS))
            if not stroke or ends(stroke):
                break

    def _ask_theme(self) -> str:
        """By the terminal's background, if it answers at once; keys typed meanwhile are kept."""
        self._pending.write(_ASK_BACKGROUND)
        self._send(_DRAW_SECONDS)
        data = b""
        end = time.monotonic() + _ANSWER_SECONDS
        with contextlib.suppress(OSError):
            while not _ATTRIBUTES.search(data) and (left := end - time.monotonic()) > 0:
                if not select.select([self._input], [], [], left)[0]:
                    break
                read = os.read(self._input, 256)
                if not read:
                    break
                data += read
        found = _BACKGROUND.search(data)
        typed = _ATTRIBUTES.sub(b"", _BACKGROUND.sub(b"", data))
        if typed:
            self._term.type_ahead(typed)
            os.write(self._wake_write, b"!")
        return theme_by_background(found[1].decode("ascii")) if found else "dark"

    def copy(self, text: str) -> bool:
        """Send ``text`` to the terminal's clipboard by OSC 52; it never says whether it took it.

        False = it was not sent: too long, or the terminal is too simple.
        """
        text = text.encode("utf-8", "replace").decode("utf-8")
        if not self._entered or not self._mouse or len(text.encode()) > _LONGEST_COPY:
            return False
        self._term.clipboard_copy(text)
        return self._send(_LEAVE_SECONDS)

    def size(self) -> Size:
        """The terminal's size now; 80 x 24 where it does not say."""
        try:
            width, height = os.get_terminal_size(self._output)
        except OSError:
            width, height = 0, 0
        return Size(width or 80, height or 24)

    # ----------------------------------------------------------------- output

    def draw(self, lines: Sequence[Line], size: Size) -> None:
        """Shows ``lines``, made for ``size``, writing only what changed, in one go."""
        if self.gone or not self._entered:
            return
        begin = ""
        if self._shown is None or size != self._shown_size:
            self._shown = None
            begin = self._term.normal + self._term.clear
        runs = diff(self._shown, lines, size.width)
        if not runs and not begin:
            return
        parts = [begin]
        for run in runs:
            parts.append(self._move(run.y, run.x))
            for span in run.spans:
                if span.style:
                    parts += [self._sequence(span.style), self._encodable(span.text), self._normal]
                else:
                    parts.append(self._encodable(span.text))
        with self._term.synchronized_output():
            self._pending.write("".join(parts))
        whole = self._send(_DRAW_SECONDS)
        self._shown, self._shown_size = list(lines) if whole else None, size

    def _move(self, y: int, x: int) -> str:
        if self._plain_moves:
            return f"\x1b[{y + 1};{x + 1}H"
        return str(self._term.move_yx(y, x))

    @property
    def _normal(self) -> str:
        return self._sequence("normal")

    def _sequence(self, style: str) -> str:
        known = self._sequences.get(style)
        if known is None:
            known = self._term.normal
            if style != "normal":
                looks = [self._theme.get(name, Look()) for name in style.split()]
                known = "".join(self._look(look) for look in looks)
            self._sequences[style] = known
        return known

    def _look(self, look: Look) -> str:
        made = "".join(str(getattr(self._term, name)) for name in look.attributes)
        ink, ground = numbers(look, self._term.number_of_colors)
        made += str(self._term.color(ink)) if ink >= 0 else ""
        return made + (str(self._term.on_color(ground)) if ground >= 0 else "")

    def _encodable(self, text: str) -> str:
        if self.unicode or text.isascii():
            return text
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            return "".join(char if char.isascii() else "?" * cells(char) for char in text)
        return text

    def _send(self, patience: float) -> bool:
        """What is pending; False = the terminal did not take all of it within ``patience`` seconds
        per piece.
        """
        data = self._pending.take().encode(self._encoding, "replace")
        try:
            while data:
                if not select.select([], [self._output], [], patience)[1]:
                    return False
                with contextlib.suppress(BlockingIOError):
                    data = data[os.write(self._output, data) :]
        except OSError:
            self.gone = True
            return False
        return True


class _Pending(io.StringIO):
    """What blessed and we write until it is sent, so that nothing waits for the terminal."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(newline="")
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The terminal's, to look up what it can do."""
        return self._descriptor

    def take(self) -> str:
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


def _terminal(pending: _Pending, keyboard: int) -> Any:
    """A blessed Terminal that writes to ``pending`` and reads from ``keyboard``.

    It asks the terminal nothing (those queries wait up to a second each for terminals that do not
    answer): with a stream of its own not at start, and every mode counts as known but not set,
    since terminals ignore what they do not know. ``kbhit`` and ``getch`` are the methods that its
    documentation gives to those who read keys from elsewhere.
    """
    from blessed import Terminal
    from blessed.dec_modes import DecModeResponse

    class Keyboard(Terminal):
        _eof = False
        _ahead = b""
        _decoder = codecs.getincrementaldecoder("utf-8")("replace")

        def type_ahead(self, data: bytes) -> None:
            self._ahead += data

        def kbhit(self, timeout: float | None = None, *_: Any, **__: Any) -> bool:
            if self._ahead:
                return True
            return not self._eof and bool(select.select([keyboard], [], [], timeout)[0])

        def get_dec_mode(self, mode: Any, *_: Any, **__: Any) -> DecModeResponse:
            return DecModeResponse(mode, DecModeResponse.RESET)

        def getch(self, decode_latin1: bool = False) -> str:
            byte, self._ahead = self._ahead[:1], self._ahead[1:]
            byte = byte or os.read(keyboard, 1)
            if not byte:
                self._eof = True
                raise EOFError
            return chr(byte[0]) if decode_latin1 else self._decoder.decode(byte)

    # NO_COLOR would take every sequence away, cursor movement too; the theme has no colours then.
    no_color = os.environ.pop("NO_COLOR", None)
    try:
        return Keyboard(stream=pending)
    finally:
        if no_color is not None:
            os.environ["NO_COLOR"] = no_color
