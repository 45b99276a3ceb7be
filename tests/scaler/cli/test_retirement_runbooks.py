"""Whatever holds retirement up, or is reported, has a page that says what to do and what not."""

from __future__ import annotations

import re
from pathlib import Path

from scaler.retirement.reports import Condition

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "runbooks"
SECTIONS = ["## Impact on calls", "## Look at", "## Do", "## Do not"]


def names() -> set[str]:
    """Every condition, and every reason of a standstill that the code gives."""
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "scaler").rglob("*.py"))
    reasons = {reason for text in sources for reason in re.findall(r'Standstill\(\s*"([a-z-]+)"', text)}
    return reasons | {condition.value for condition in Condition}


def test_the_reasons_of_standstills_are_found_in_the_code() -> None:
    assert {"freeze", "way-up", "need-unknown", "off"} <= names()


def test_each_has_its_page_and_each_page_its_reason() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == names()


def test_each_page_says_what_to_do_and_what_not() -> None:
    for name in names():
        text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
        assert re.findall(r"^## .*$", text, re.MULTILINE) == SECTIONS, name
        assert f"[{name}]({name}.md)" in (PAGES / "README.md").read_text(encoding="utf-8")


def test_links_between_pages_lead_somewhere() -> None:
    for path in PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
