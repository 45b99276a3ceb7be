"""Take a picture of the page: of a running service, or of a demo that is started for it.

    python -m tools.screenshot OUT.png [--url URL] [--fleet NAMESPACE/NAME | --list]

It waits until the chart is drawn, and fails when the page complains of anything (an error, a refused style or
script, a request to another host), so that it is a check of the page as well.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tools.browser import Browser, BrowserError, Window

READY_WITHIN_S = 120.0
DRAWN_WITHIN_S = 60.0


# The chart library brings a style element for its maps. The page forbids it and draws no maps; once is expected.
EXPECTED = ("Applying inline style violates", "/static/plotly-")


class PictureError(Exception):
    """The page cannot be shown."""


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def demo(play_s: float) -> Iterator[str]:
    """A demo on free ports; gives its address when it is ready and has forecast, and stops it."""
    port, keda_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryDirectory(prefix="calltide-demo-") as folder, (Path(folder) / "log").open("w+b") as log:
        calltide = Path(sys.executable).with_name("calltide")
        line = [str(calltide), "demo", "--web-port", str(port), "--keda-port", str(keda_port)]
        process = subprocess.Popen(line, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(url, process, log.name)
            time.sleep(play_s)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            tail = Path(log).read_text(encoding="utf-8", errors="replace")[-2000:]
            raise PictureError(f"the demo ended with {process.returncode}:\n{tail}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}readyz", timeout=5).is_success and _forecast_fleets(url):
                return
        time.sleep(0.3)
    raise PictureError(f"the demo was not ready within {READY_WITHIN_S:.0f} s; its log is {log}")


def _forecast_fleets(url: str) -> list[str]:
    """Fleets that have a forecast, the one with the steepest climb ahead first."""
    found = httpx.get(f"{url}api/v1/fleets", timeout=10).raise_for_status().json()

    def pods_per_second(fleet: dict[str, Any]) -> float:
        seconds = max(3600.0, float(fleet["peak"]["at_s"]) - float(found["now_s"]))
        return (int(fleet["peak"]["need"]) - int(fleet["serving"])) / seconds

    forecast = [fleet for fleet in found["fleets"] if fleet["peak"] is not None and fleet["trust"] != "cold"]
    forecast.sort(key=pods_per_second, reverse=True)
    return [f"{fleet['namespace']}/{fleet['name']}" for fleet in forecast]


def take(url: str, fleet: str | None, window: Window, *, whole_page: bool) -> tuple[bytes, list[str]]:
    """The picture as PNG, and what the page complained of. Without a fleet it is of the list."""
    address, drawn = f"{url}#/", "document.documentElement?.dataset.view === 'list'"
    if fleet is not None:
        namespace, _, name = fleet.rpartition("/")
        address = f"{url}#/fleet/{quote(namespace, safe='')}/{quote(name, safe='')}"
        drawn = "document.documentElement?.dataset.chart === 'drawn'"
    with Browser(window) as browser:
        browser.open(address)
        browser.wait_for(drawn, DRAWN_WITHIN_S)
        # One frame more, so that what was drawn is also painted.
        browser.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return browser.picture(whole_page=whole_page), _unexpected(browser.complaints)


def _unexpected(complaints: list[str]) -> list[str]:
    """All complaints but the first of the kind that is expected once."""
    rest = list(complaints)
    expected = next((complaint for complaint in rest if all(part in complaint for part in EXPECTED)), None)
    if expected is not None:
        rest.remove(expected)
    return rest


def main() -> int:
    """Read the options, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="PNG file to write")
    parser.add_argument("--url", help="page of a running service; a demo is started when left out")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--fleet", help="NAMESPACE/NAME; the one with the steepest climb ahead when left out")
    which.add_argument("--list", action="store_true", help="show the list of fleets")
    parser.add_argument("--size", default="1280x900", help="WIDTHxHEIGHT in pixels (default 1280x900)")
    parser.add_argument("--play", type=float, default=20.0, help="seconds that a demo plays before (default 20)")
    parser.add_argument("--dark", action="store_true", help="as a reader sees it who prefers dark pages")
    parser.add_argument("--whole", action="store_true", help="the whole page instead of the first screen")
    asked = parser.parse_args()
    width, _, height = asked.size.partition("x")
    if not (width.isdigit() and height.isdigit()):
        parser.error(f"--size {asked.size}: write it like 1280x900")
    window = Window(int(width), int(height), asked.dark)
    try:
        with contextlib.nullcontext(asked.url.rstrip("/") + "/") if asked.url else demo(asked.play) as url:
            fleet = None if asked.list else asked.fleet or next(iter(_forecast_fleets(url)), None)
            png, complaints = take(url, fleet, window, whole_page=asked.whole)
    except (PictureError, BrowserError, httpx.HTTPError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_bytes(png)
    sys.stdout.write(f"{asked.out}: {len(png)} bytes, {fleet or 'the list'}\n")
    for complaint in complaints:
        sys.stderr.write(f"the page complains: {complaint}\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
