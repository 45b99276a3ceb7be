from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from scaler.web.app import create_app
from tests.scaler.web.sample_state import NOW_S, SampleState

ACME = "/api/v1/fleets/voice/acme"


@pytest.mark.parametrize(
    ("path", "status", "field", "remedy"),
    [
        ("/api/v1/fleets/voice/acne", 404, "name", "voice/acme"),
        ("/api/v1/fleets/voice/acne/forecast", 404, "name", "voice/acme"),
        ("/api/v1/policies/voice-prmary", 404, "name", "voice-primary"),
        ("/api/v1/fleets/voice/fjord-bank/plan", 404, None, "did you mean 'voice-primary'"),
        ("/api/v1/fleets/voice/fjord-bank/explanation", 404, None, "did you mean 'voice-primary'"),
        ("/api/v2/fleets", 404, None, "/api/v1/openapi.json"),
        ("/static/mian.js", 404, "name", "main.js"),
        ("/static/..%2f..%2fapp.py", 404, None, "/api/v1/openapi.json"),
        ("/api/v1/fleets?limt=3", 422, "limt", "Did you mean 'limit'?"),
        ("/api/v1/fleets?limit=0", 422, "limit", "greater than or equal to 1"),
        ("/api/v1/fleets?limit=many", 422, "limit", "integer"),
        (f"/api/v1/fleets?search={'a' * 254}", 422, "search", "253"),
        (f"/api/v1/fleets/voice/{'a' * 254}", 422, "name", "253"),
        (f"{ACME}/history?from=nan", 422, "from", "openapi.json"),
        (f"{ACME}/history?from=-1", 422, "from", "greater than or equal to 0"),
        (f"{ACME}/history?from=yesterday", 422, "from", "number"),
        (f"{ACME}/history?from=20&to=10", 422, "to", "Swap"),
        (f"{ACME}/history?until=20", 422, "until", "from, to"),
        (f"{ACME}/forecast?quantile=0.2", 422, "quantile", "from 0.5 to 0.99"),
        (f"{ACME}/forecast?quantile=95", 422, "quantile", "less than or equal to 0.999"),
        (f"{ACME}/forecast?{'quantile=0.5&' * 21}", 422, "quantile", "20"),
    ],
)
def test_bad_input_gives_one_error_with_field_and_remedy(ask, path, status, field, remedy):
    answer = ask(path)
    assert answer.status_code == status
    problem = answer.json()
    assert problem.keys() == {"error", "field", "remedy"}
    assert problem["field"] == field
    assert remedy in problem["remedy"]
    assert problem["error"]


def test_a_range_with_too_many_points_is_refused_with_what_is_allowed(ask_of, monkeypatch):
    monkeypatch.setattr("scaler.web.ranges.MOST_SLOTS", 100)
    answer = ask_of(SampleState())(f"{ACME}/history?from={NOW_S - 86400:.0f}")
    assert answer.status_code == 422
    assert answer.json() == {
        "error": "The range holds 288 points, at most 100 are given at once.",
        "field": "from",
        "remedy": "Ask for at most 0.3 days at once.",
    }


def test_where_there_is_nothing_at_all_the_remedy_says_so(ask_of):
    answer = ask_of(SampleState(samples=()))("/api/v1/fleets/voice/acme")
    assert answer.json()["remedy"] == "There is no fleet at all yet."


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/api/v1/fleets", ACME, "/metrics"])
def test_nothing_can_be_written(ask, path, method):
    answer = ask(path, method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert answer.json()["error"] == f"{method} is not offered here."


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/api/v1/fleets", ACME, "/static/main.js"])
def test_head_has_the_headers_of_get_and_no_body(ask, path):
    got, head = ask(path), ask(path, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


def test_head_sends_no_byte_of_a_body():
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    # Asked without a client: clients drop a body that should not be there.
    scope = {"type": "http", "method": "HEAD", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    asyncio.run(create_app(SampleState())(scope, receive, send))
    assert sent[0]["status"] == 200
    assert b"".join(message.get("body", b"") for message in sent[1:]) == b""


def test_options_tells_what_is_offered(ask):
    answer = ask("/api/v1/fleets", "OPTIONS")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


def test_a_fault_of_our_own_tells_nothing_of_its_inside(ask_of):
    class Broken(SampleState):
        def fleets(self):
            raise RuntimeError("the password is swordfish")

    with capture_logs() as logs:
        answer = ask_of(Broken())("/api/v1/fleets")
    assert answer.status_code == 500
    assert [(entry["log_level"], entry["path"]) for entry in logs] == [("error", "/api/v1/fleets")]
    assert answer.json() == {"error": "calltide could not answer.", "field": None, "remedy": "Its log says why."}
