"""A headless Chromium, driven by its own protocol over two pipes: what a page says and asks for.

Protocol: https://chromedevtools.github.io/devtools-protocol. A message is JSON, ended by a zero
byte; Chromium reads descriptor 3 and writes 4 (``--remote-debugging-pipe``).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

PATIENCE_S = 60.0
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    *("--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu"),
    *("--no-sandbox", "--disable-dev-shm-usage", "--disable-extensions", "--mute-audio"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_KEYS = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39}
_KEYS |= {"ArrowDown": 40}


def installed() -> str:
    """Its path; empty = there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), "")


class Browser:
    """One window. ``with Browser(profile) as browser``."""

    def __init__(self, profile: Path) -> None:
        self.told: list[str] = []
        """Console messages, exceptions and violations of the policy."""
        self.asked: list[str] = []
        """Every address that was asked for."""
        self._loaded = False
        self._number = 0
        self._rest = b""
        to_them, self._out = os.pipe()
        self._in, from_them = os.pipe()
        command = [installed(), *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        # a shell puts the pipes where Chromium wants them, whatever numbers they have here
        script = f'exec "$@" 3<&{to_them} 4>&{from_them}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "chromium", *command],
            pass_fds=(to_them, from_them),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_them)
        os.close(from_them)
        self._session = ""
        self._attach()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._session = ""
        with contextlib.suppress(OSError, AssertionError):
            self.send("Browser.close")
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def _attach(self) -> None:
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in targets if one["type"] == "page")
        found = self.send("Target.attachToTarget", targetId=page, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.send(f"{domain}.enable")

    # ------------------------------------------------------------------ what one does with it

    def open(self, address: str) -> None:
        """Load a page from scratch, and wait until it is there."""
        self.told.clear()
        self.asked.clear()
        self._loaded = False
        self.send("Page.navigate", url="about:blank")
        self._until_loaded()
        self.asked.clear()
        self._loaded = False
        self.send("Page.navigate", url=address)
        self._until_loaded()

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait until it is true."""
        end = time.monotonic() + PATIENCE_S
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}"
        return value

    def size(self, width: int, height: int) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def media(self, kind: str = "", **features: str) -> None:
        """``media("print")``, ``media(prefers_color_scheme="dark")``; nothing moves by itself."""
        wanted = {"prefers_reduced_motion": "reduce", **features}
        named = [{"name": name.replace("_", "-"), "value": wanted[name]} for name in wanted]
        self.send("Emulation.setEmulatedMedia", media=kind, features=named)

    def key(self, key: str, text: str = "") -> None:
        """Press and release; ``text`` is what it types."""
        shared: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": _KEYS.get(key, 0)}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **shared)
        self.send("Input.dispatchKeyEvent", type="keyUp", **shared)

    def click(self, selector: str, part: float = 0.5) -> None:
        """The middle of it, or so far from its left edge."""
        x, y = self._place(selector, part)
        self._mouse("mousePressed", x, y)
        self._mouse("mouseReleased", x, y)

    def drag(self, selector: str, begin: float, end: float) -> None:
        """From a part of its width to another."""
        x, y = self._place(selector, begin)
        self._mouse("mousePressed", x, y)
        x, y = self._place(selector, end)
        self._mouse("mouseMoved", x, y)
        self._mouse("mouseReleased", x, y)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def printed(self) -> bytes:
        """As PDF."""
        return base64.b64decode(self.send("Page.printToPDF", printBackground=True)["data"])

    def tree(self) -> list[tuple[str, str]]:
        """(role, name) of all that a screen reader meets."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        seen = (one for one in nodes if not one.get("ignored"))
        return [(one["role"]["value"], one.get("name", {}).get("value", "")) for one in seen]

    # ------------------------------------------------------------------ the protocol

    def _place(self, selector: str, part: float) -> tuple[float, float]:
        script = f"""(() => {{
            const found = document.querySelector({json.dumps(selector)});
            found.scrollIntoView({{block: "center", behavior: "instant"}});
            const box = found.getBoundingClientRect();
            return [box.left + box.width * {part}, box.top + box.height / 2];
        }})()"""
        x, y = self.run(script)
        return x, y

    def _mouse(self, kind: str, x: float, y: float) -> None:
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def send(self, method: str, **parameters: Any) -> Any:
        """Its answer; what comes before that is taken note of."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _until_loaded(self) -> None:
        while not self._loaded:
            self._next()

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            assert ready, "Chromium says nothing"
            some = os.read(self._in, 1 << 16)
            assert some, "Chromium has gone"
            self._rest += some
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, about: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Network.requestWillBeSent":
            self.asked.append(about["request"]["url"])
        elif event in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.told.append(json.dumps(about)[:2_000])
