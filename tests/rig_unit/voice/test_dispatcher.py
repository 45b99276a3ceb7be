"""From pods to dispatcher sets, and from what a proxy has to what it should have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rig.voice.dispatcher import Destination, DispatcherError, Rpc, Wanted, known, set_number, steps, wanted


def pod(
    ip: str | None = "127.9.16.1", *, fleet: str | None = "acme", ready: bool = True, **metadata: Any
) -> dict[str, Any]:
    labels = {} if fleet is None else {"calltide.io/fleet": fleet}
    metadata["labels"] = {**labels, **metadata.get("labels", {})}
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": str(ready)}]
    return {"metadata": metadata, "status": {"podIP": ip, "conditions": conditions}}


def state(name: str) -> dict[str, dict[str, str]]:
    return {"annotations": {"calltide.io/state": name}}


def uris(pods: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    return sorted((each.uri, each.disabled) for each in wanted(pods).destinations)


def test_a_ready_pod_of_a_fleet_is_a_destination() -> None:
    assert uris([pod()]) == [("sip:127.9.16.1:5060", False)]


@pytest.mark.parametrize(
    "not_one",
    [
        pytest.param(pod(ready=False), id="not ready"),
        pytest.param(pod(None), id="no address yet"),
        pytest.param(pod(fleet=None), id="of no fleet"),
        pytest.param(pod(deletionTimestamp="2026-01-01T00:00:00Z"), id="terminating"),
        pytest.param({"metadata": {"labels": {"calltide.io/fleet": "acme"}}}, id="without status"),
    ],
)
def test_any_other_pod_is_none(not_one: dict[str, Any]) -> None:
    assert uris([not_one]) == []


@pytest.mark.parametrize("name", ["draining", "drained", "released", "Draining"])
def test_a_pod_that_is_being_retired_is_disabled_and_stays(name: str) -> None:
    assert uris([pod(**state(name))]) == [("sip:127.9.16.1:5060", True)]


@pytest.mark.parametrize("name", ["", "active", "starting"])
def test_in_any_other_state_it_takes_calls(name: str) -> None:
    assert uris([pod(**state(name))]) == [("sip:127.9.16.1:5060", False)]


def test_a_fleet_keeps_its_number_whatever_else_there_is() -> None:
    alone = wanted([pod(fleet="acme")]).fleets["acme"]
    among = wanted([pod(fleet="beta"), pod(fleet="acme"), pod(fleet="zeta")]).fleets

    assert among["acme"] == alone == set_number("acme", None)
    assert len(set(among.values())) == 3


def test_a_label_gives_the_number() -> None:
    assert wanted([pod(labels={"calltide.io/dispatcher-set": "12"})]).fleets == {"acme": 12}


@pytest.mark.parametrize("label", ["", "0", "-1", "twelve", "1.5"])
def test_a_label_that_is_no_number_is_told(label: str) -> None:
    with pytest.raises(DispatcherError, match=r"fleet acme: label calltide\.io/dispatcher-set: .* is not a positive"):
        set_number("acme", label)


def test_two_fleets_in_one_set_would_mix_their_calls() -> None:
    same = {"calltide.io/dispatcher-set": "12"}
    with pytest.raises(DispatcherError, match="fleets acme and beta have the same dispatcher set 12"):
        wanted([pod(fleet="beta", labels=same), pod(fleet="acme", labels=same)])


def test_pods_of_one_fleet_that_name_two_sets_are_told() -> None:
    with pytest.raises(DispatcherError, match=r"fleet acme: its pods say .* 12 and 13"):
        wanted([pod(labels={"calltide.io/dispatcher-set": number}) for number in ("12", "13")])


A, B, C = (f"sip:127.9.16.{host}:5060" for host in (1, 2, 3))


def want(*destinations: Destination) -> Wanted:
    return Wanted({"acme": 7}, frozenset(destinations))


def test_nothing_is_sent_where_nothing_differs() -> None:
    have = [Destination(7, A, False), Destination(7, B, True)]

    assert steps(want(*have), have, {"acme": 7}) == []


def test_new_ones_come_before_old_ones_go() -> None:
    assert steps(want(Destination(7, B, False)), [Destination(7, A, False)], {"acme": 7}) == [
        Rpc("dispatcher.add", (7, B, 0)),
        Rpc("dispatcher.remove", (7, A)),
    ]


def test_one_that_is_born_retired_is_added_disabled() -> None:
    assert steps(want(Destination(7, A, True)), [], {"acme": 7}) == [Rpc("dispatcher.add", (7, A, 4))]


def test_a_drain_and_its_recall_change_the_state_only() -> None:
    active, disabled = Destination(7, A, False), Destination(7, A, True)

    assert steps(want(disabled), [active], {"acme": 7}) == [Rpc("dispatcher.set_state", ("dx", 7, A))]
    assert steps(want(active), [disabled], {"acme": 7}) == [Rpc("dispatcher.set_state", ("ap", 7, A))]


def test_a_fleet_that_the_proxy_does_not_know_is_named_first() -> None:
    assert steps(want(Destination(7, A, False)), [], {"acme": 9, "gone": 3}) == [
        Rpc("htable.sets", ("fleet", "acme", "7")),
        Rpc("dispatcher.add", (7, A, 0)),
    ]


def test_the_last_pod_of_a_fleet_goes_and_the_fleets_name_stays() -> None:
    assert steps(Wanted({}, frozenset()), [Destination(7, A, False)], {"acme": 7}) == [Rpc("dispatcher.remove", (7, A))]


def test_one_that_stands_twice_is_taken_out_to_come_back_once() -> None:
    once = Destination(7, A, False)

    assert steps(want(once), [once, once], {"acme": 7}) == [Rpc("dispatcher.remove", (7, A))]
    assert steps(want(once), [], {"acme": 7}) == [Rpc("dispatcher.add", (7, A, 0))]


def listed(*states: tuple[str, str]) -> dict[str, Any]:
    targets = [{"DEST": {"URI": uri, "FLAGS": flags, "PRIORITY": 0}} for uri, flags in states]
    return {"NRSETS": 1, "RECORDS": [{"SET": {"ID": 7, "TARGETS": targets}}]}


def test_what_a_proxy_found_out_by_pinging_is_left_to_it() -> None:
    have = known(listed((A, "IP"), (B, "TX"), (C, "DX")))

    assert have == [Destination(7, A, False), Destination(7, B, False), Destination(7, C, True)]


@pytest.mark.parametrize(
    "answer", [{}, {"RECORDS": [{}]}, {"RECORDS": 3}, {"RECORDS": [{"SET": {"ID": 7, "TARGETS": [{}]}}]}]
)
def test_an_answer_that_is_no_list_is_told(answer: dict[str, Any]) -> None:
    with pytest.raises(DispatcherError, match=r"dispatcher\.list answered what is no list"):
        known(answer)
