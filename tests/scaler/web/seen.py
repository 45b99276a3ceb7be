"""What a reader sees of a fleet: `python -m tests.scaler.web.seen URL FLEET…` prints it as JSON.

A process of its own, so that the browser inherits nothing of a test's open files.
"""

from __future__ import annotations

import json
import sys

from tools.browser import Browser, Window


def seen(url: str, fleets: list[str]) -> dict[str, object]:
    """The text of the section by fleet, and how many scripts the page's body has got."""
    found: dict[str, object] = {}
    with Browser(Window()) as browser:
        for name in fleets:
            browser.open(f"{url}#/fleet/voice/{name}")
            shown = f"document.querySelector('h1')?.textContent === '{name}'"
            browser.wait_for(f"{shown} && document.getElementById('quality')", 60)
            found[name] = browser.evaluate("document.getElementById('quality').parentElement.innerText")
        found["scripts"] = browser.evaluate("document.querySelectorAll('body script').length")
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(seen(sys.argv[1], sys.argv[2:])))
