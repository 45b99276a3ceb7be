from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from scaler.web.urgency import Urgency
from tests.scaler.web.sample_state import SampleState

STATIC = files("scaler.web") / "static"
OURS = sorted(entry.name for entry in STATIC.iterdir())
SCRIPTS = [name for name in OURS if name.endswith(".js")]
# Names of XML vocabularies, not places to fetch anything from.
VOCABULARY = "http://www.w3.org/2000/svg"


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_and_all_that_it_names_are_served_from_here(ask):
    page = ask("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    named = [
        attributes.get(key)
        for tag, attributes in Tags(page.text).seen
        for key in ("src", "href", "content")
        if tag in ("script", "link", "a") or attributes.get("name") == "calltide-charts"
    ]
    paths = {path for path in named if path and not path.startswith(("#", "data:"))}
    assert {"static/main.js", "static/base.css", "metrics", "readyz"} <= paths
    assert {path: ask(f"/{path}").status_code for path in paths} == dict.fromkeys(paths, 200)


@pytest.mark.parametrize("name", OURS)
def test_no_file_of_ours_names_another_host(name):
    text = (STATIC / name).read_text(encoding="utf-8").replace(VOCABULARY, "")
    assert re.findall(r"(?:https?:|wss?:)?//[a-z0-9]+\.[a-z.]+", text) == []


def test_the_page_has_no_inline_script_style_or_handler(ask):
    for tag, attributes in Tags(ask("/").text).seen:
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [key for key in attributes if key == "style" or key.startswith("on")]


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_of_ours_makes_markup_or_code_from_text(name):
    text = (STATIC / name).read_text(encoding="utf-8")
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|createContextualFragment"
    )
    assert re.findall(forbidden, text) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_module_that_a_script_imports_is_there(name):
    imported = re.findall(r'from "\./([^"]+)"', (STATIC / name).read_text(encoding="utf-8"))
    assert set(imported) <= set(OURS)


def test_text_from_outside_never_reaches_the_chart_library():
    text = (STATIC / "traces.js").read_text(encoding="utf-8")
    # What the API tells in words: none of it may be drawn, since the library reads tags in its labels.
    words = (
        "tenants",
        "sentence",
        "summary",
        "reason",
        "policy",
        ".name",
        "namespace",
        "held",
        "fault",
        "pending",
        "model",
    )
    assert [word for word in words if word in text] == []
    assert "hovertemplate" not in text
    assert re.findall(r"text: (.+?),", text) == ['"now"']


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/v1/fleets", "/api/v1/nothing", "/metrics", "/healthz"])
def test_every_answer_forbids_inline_code_other_hosts_and_frames(ask, path):
    headers = ask(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_the_chart_library_is_ours_to_serve_and_kept_by_the_browser(ask):
    (path,) = re.findall(r'content="(static/plotly-[^"]+)"', ask("/").text)
    answer = ask(f"/{path}", headers={"Accept-Encoding": "identity"})
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert len(answer.content) > 1_000_000
    assert "content-encoding" not in answer.headers


def test_files_are_compressed_for_who_can_read_it_and_revalidated(ask):
    plain = ask("/static/main.js", headers={"Accept-Encoding": "identity"})
    packed = ask("/static/main.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.text == packed.text == (STATIC / "main.js").read_text(encoding="utf-8")
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, 6, mtime=0))
    again = ask("/static/main.js", headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_version_with_markup_stays_text(ask_of):
    page = ask_of(SampleState(version='1"><script>alert(1)</script>'))("/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_says_what_to_do_without_javascript(ask):
    assert "calltide explain" in re.search(r"<noscript>(.*?)</noscript>", ask("/").text, re.DOTALL)[1]


def test_the_docs_name_every_address_of_the_api(ask):
    text = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    told = {address.split("?")[0] for address in re.findall(r"^\| `(/[^`]*)`", text, re.MULTILINE)}
    assert told == {*ask("/api/v1/openapi.json").json()["paths"], "/metrics"}


def test_the_docs_name_every_urgency_in_its_order(ask):
    text = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE) == [urgency.value for urgency in Urgency]
