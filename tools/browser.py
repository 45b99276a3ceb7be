"""A headless Chromium that is spoken to over a pipe: no port, no driver, no library besides Python's own.

It keeps what a page complains of (errors, refused scripts or styles, requests to other hosts), so that a picture of
a broken page is never taken for a good one.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class BrowserError(Exception):
    """The browser is missing, ended, or did not get to where it was sent."""


@dataclass(frozen=True, slots=True)
class Window:
    """What the picture is taken of: size in pixels, and whether the reader prefers a dark page."""

    width: int = 1280
    height: int = 900
    dark: bool = False


class Browser:
    """One browser with one page. Use it in a `with`: it ends with the block."""

    def __init__(self, window: Window) -> None:
        self.complaints: list[str] = []
        self._window = window
        self._profile = tempfile.TemporaryDirectory(prefix="calltide-browser-", ignore_cleanup_errors=True)
        self._process, self._to, self._from = _launch(Path(self._profile.name))
        self._unread = b""
        self._calls = 0
        self._session: str | None = None
        self._host = ""

    def __enter__(self) -> Self:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        window = self._window
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=window.width,
            height=window.height,
            deviceScaleFactor=1,
            mobile=window.width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if window.dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for descriptor in (self._to, self._from):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._profile.cleanup()

    def open(self, url: str) -> None:
        """Go to this address."""
        self._host = urlsplit(url).netloc
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression!r}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def wait_for(self, expression: str, within_s: float) -> None:
        """Wait until the expression is true.

        Raises:
            BrowserError: it is not true in time; the page's complaints are in the text.
        """
        deadline = time.monotonic() + within_s
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                said = "; ".join(self.complaints) or "the page complained of nothing"
                raise BrowserError(f"{expression!r} did not become true within {within_s:.0f} s: {said}")
            time.sleep(0.1)

    def picture(self, *, whole_page: bool = False) -> bytes:
        """The page as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole_page)
        return base64.b64decode(answer["data"])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the Chrome DevTools protocol and its result."""
        self._calls += 1
        message: dict[str, Any] = {"id": self._calls, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") != self._calls:
                self._listen(answer)
            elif "error" in answer:
                raise BrowserError(f"{method}: {answer['error']['message']}")
            else:
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._from], [], [], 60.0)
            chunk = os.read(self._from, 1 << 20) if ready else b""
            if not chunk:
                raise BrowserError("the browser does not answer; start it by hand to see why")
            self._unread += chunk
        message, _, self._unread = self._unread.partition(b"\0")
        return dict(json.loads(message))

    def _listen(self, event: dict[str, Any]) -> None:
        what = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                detail = what["exceptionDetails"]
                self.complaints.append(detail.get("exception", {}).get("description") or detail["text"])
            case "Runtime.consoleAPICalled" if what["type"] in ("error", "warning", "assert"):
                self.complaints.append(" ".join(str(each.get("value", "")) for each in what["args"]))
            case "Log.entryAdded" if what["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{what['entry']['text']} {what['entry'].get('url', '')}".strip())
            case "Network.requestWillBeSent":
                address = urlsplit(what["request"]["url"])
                if address.scheme in ("http", "https", "ws", "wss") and address.netloc != self._host:
                    self.complaints.append(f"the page asked another host: {address.geturl()}")


def _launch(profile: Path) -> tuple[subprocess.Popen[bytes], int, int]:
    """Start the browser; its commands come on its descriptor 3, its answers on 4."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        raise BrowserError(f"no browser found ({', '.join(NAMES)}); on Debian: apt-get install chromium")
    commands, to = os.pipe()
    from_browser, answers = os.pipe()
    # The shell puts the two pipes where the browser looks for them, and becomes the browser.
    line = ["sh", "-c", f'exec "$@" 3<&{commands} 4>&{answers}', "sh", program, *FLAGS, f"--user-data-dir={profile}"]
    process = subprocess.Popen(line, pass_fds=(commands, answers), stderr=subprocess.DEVNULL)
    os.close(commands)
    os.close(answers)
    return process, to, from_browser
