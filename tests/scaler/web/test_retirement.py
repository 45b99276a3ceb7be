"""How pods leave, as API and page tell it."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from scaler.errors import StateError
from scaler.retirement.audit import AuditRecord
from scaler.web.app import create_app
from tests.scaler.web.sample_state import FOLLOWS, SampleState

PATH = "/api/v1/fleets/voice/{}/retirement"


def told(fleet: str) -> dict:
    answer = TestClient(create_app(SampleState())).get(PATH.format(fleet))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_pod_that_leaves_is_told_with_what_it_waits_for() -> None:
    acme = told("acme")
    assert acme["mode"] == "on"
    assert [(pod["name"], pod["state"], pod["channels"]) for pod in acme["pods"]] == [
        ("acme-3", "draining", 7),
        ("acme-1", "active", None),
    ]
    assert acme["pods"][0]["why"] == "acme-3 is not proved empty: 7 channels."


def test_what_holds_everything_and_what_did_not_go_through_is_told() -> None:
    acme = told("acme")
    assert [one["name"] for one in acme["standstills"]] == ["inhibit"]
    assert "cannot be counted" in acme["conditions"][0]["sentence"]
    assert acme["failures"] == ["the gate of acme-3 was not set within 4 s"]


def test_a_fleet_without_retirement_says_so() -> None:
    other = next(sample.name for sample in SampleState().samples if sample.name != "acme")
    assert told(other)["mode"] is None


def test_what_was_written_about_a_pod_is_told_by_its_name_and_by_its_uid(ask) -> None:
    told = [ask(f"/api/v1/evidence/{pod}").json()["records"] for pod in ("acme-9", "uid-9")]
    assert told[0] == told[1]
    assert [record["edge"] for record in told[0]] == ["active → draining", "drained → released"]
    assert told[0][1]["evidence"]["ground"]["front_gates"] == ["sip"]
    assert ask("/api/v1/evidence/acme-9?namespace=voice").json()["records"] == told[0]


@pytest.mark.parametrize("path", ["/acme-1", "/acme-9?namespace=other"])
def test_a_pod_of_which_nothing_was_written_is_not_found_with_where_else_to_look(ask, path: str) -> None:
    answer = ask(f"/api/v1/evidence{path}")
    assert answer.status_code == 404
    assert "ask the others" in answer.json()["remedy"]


def test_a_follower_tells_what_it_wrote_itself_and_names_the_leader_for_the_rest(ask_of) -> None:
    ask = ask_of(SampleState(replicas=FOLLOWS))
    assert ask("/api/v1/evidence/acme-9").status_code == 200
    answer = ask("/api/v1/evidence/acme-1")
    assert answer.status_code == 503
    assert "calltide-a" in answer.json()["remedy"]


def test_a_log_that_cannot_be_read_is_told_as_that(ask_of) -> None:
    class Torn(SampleState):
        def evidence(self, pod: str) -> list[AuditRecord]:
            raise StateError(f"the log of {pod} cannot be read")

    answer = ask_of(Torn())("/api/v1/evidence/acme-9")
    assert (answer.status_code, answer.json()["error"]) == (500, "the log of acme-9 cannot be read")
