from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from tests.scaler.web.sample_state import NOW_S, SAMPLES, SCRIPT, STEP_S, SampleState

ACME = "/api/v1/fleets/voice/acme"


def test_what_can_cost_calls_now_stands_above_what_may_later_and_that_above_the_calm(ask):
    answer = ask("/api/v1/fleets").json()
    assert [(fleet["name"], fleet["urgency"]) for fleet in answer["fleets"]] == [
        ("harbour", "short"),
        ("fjord-bank", "fault"),
        ("bluebird-clinic", "short-ahead"),
        ("dove-insurance", "held"),
        ("gallery", "pending"),
        ("acme", "growing"),
        ("city-hall", "calm"),
        ("evergreen", "calm"),
    ]
    assert answer["total"] == 8


def test_of_two_equally_urgent_fleets_the_one_that_misses_more_pods_is_first(ask_of):
    few, many = replace(SAMPLES[0], name="a-few", serving=11), replace(SAMPLES[0], name="many", serving=4)
    answer = ask_of(SampleState(samples=[few, many]))("/api/v1/fleets").json()
    assert [(fleet["name"], fleet["urgency"]) for fleet in answer["fleets"]] == [("many", "short"), ("a-few", "short")]


def test_a_fleet_that_grows_stays_in_its_place_among_the_calm(ask_of):
    calm, growing = replace(SAMPLES[0], name="a-calm", serving=20, starting=0), replace(SAMPLES[0], name="b-growing")
    answer = ask_of(SampleState(samples=[growing, calm]))("/api/v1/fleets").json()
    assert [(fleet["name"], fleet["urgency"]) for fleet in answer["fleets"]] == [
        ("a-calm", "calm"),
        ("b-growing", "growing"),
    ]


def test_each_urgent_fleet_says_its_reason_with_the_numbers(ask):
    reasons = {fleet["name"]: fleet["reason"] for fleet in ask("/api/v1/fleets").json()["fleets"]}
    assert reasons["harbour"] == "The load now fills 10 pods; 9 serve."
    assert "did you mean 'voice-primary'" in reasons["fjord-bank"]
    assert reasons["bluebird-clinic"] == "The peak ahead would fill 13 pods; the limits allow 9."
    assert "calltide policy confirm" in reasons["gallery"]
    assert reasons["acme"] == "14 of 16 pods serve, 2 starting."


def test_a_fleet_without_a_plan_has_null_and_not_zero(ask):
    fleet = ask("/api/v1/fleets/voice/fjord-bank").json()
    assert (fleet["need"], fleet["answer"], fleet["peak"], fleet["headroom_pods"]) == (None, None, None, None)
    assert fleet["serving"] == 8


def test_limit_keeps_the_most_urgent_and_tells_how_many_there_are(ask):
    answer = ask("/api/v1/fleets?limit=2").json()
    assert [fleet["name"] for fleet in answer["fleets"]] == ["harbour", "fjord-bank"]
    assert answer["total"] == 8


def test_offset_begins_where_the_page_before_has_ended(ask):
    pages = [ask(f"/api/v1/fleets?limit=3&offset={start}").json()["fleets"] for start in (0, 3, 6, 9)]
    assert [len(page) for page in pages] == [3, 3, 2, 0]
    whole = ask("/api/v1/fleets").json()["fleets"]
    assert [fleet for page in pages for fleet in page] == whole


def test_search_finds_a_fleet_by_its_tenant_in_any_case(ask):
    answer = ask("/api/v1/fleets?search=DOVE-claims").json()
    assert [fleet["name"] for fleet in answer["fleets"]] == ["dove-insurance"]


def test_a_fleet_tells_its_pods_what_one_carries_and_what_sizes_it(ask):
    fleet = ask(ACME).json()
    assert fleet["pods"] == {"serving": 14, "starting": 2}
    assert len(fleet["pod_rows"]) == 16
    assert fleet["pod_capacity"] == {"channels": 50.0}
    assert fleet["quantile"] == 0.95
    assert fleet["data_old_after_s"] == 900
    assert (fleet["minimum_pods"], fleet["maximum_pods"]) == (2, 40)


def test_the_need_ahead_is_the_highest_of_each_half_hour(ask):
    ahead = ask(ACME).json()["need_ahead"]
    path = ask(f"{ACME}/plan").json()["path"]["pods"]
    assert ahead["step_s"] == 1800
    assert ahead["pods"] == [max(path[at : at + 6]) for at in range(0, 288, 6)]


def test_the_explanation_adds_up_to_the_answer(ask):
    why = ask(f"{ACME}/explanation").json()
    assert sum(step["pods"] for step in why["contributions"]) == why["answer"] == 17
    assert why["contributions"][why["need_after"]]["total"] == why["need"] == 16
    assert why["binding"] == "forecast"
    assert why["summary"] == "17 pods: the forecast asks for 16 within the next 94 s."


def test_the_plan_begins_at_the_slot_of_now_and_tells_the_answer_alone(ask):
    plan = ask(f"{ACME}/plan").json()
    assert plan["path"]["start_s"] <= NOW_S < plan["path"]["start_s"] + STEP_S
    assert (plan["need"], plan["answer"], plan["alone"]) == (16, 17, 18)


def test_the_forecast_rises_with_the_quantile_in_every_slot(ask):
    measure = ask(f"{ACME}/forecast").json()["measures"]["channels"]
    paths = [path["values"] for path in measure["paths"]]
    assert [path["quantile"] for path in measure["paths"]] == [0.5, 0.75, 0.9, 0.95, 0.99]
    assert all(a <= b for lower, upper in pairwise(paths) for a, b in zip(lower, upper, strict=True))
    assert len(paths[0]) == 576


def test_a_quantile_between_two_carried_ones_lies_between_them(ask):
    paths = ask(f"{ACME}/forecast?quantile=0.95&quantile=0.96&quantile=0.99").json()["measures"]["channels"]["paths"]
    low, between, high = (path["values"][0] for path in paths)
    assert math.isclose(between, 0.75 * low + 0.25 * high, rel_tol=1e-4)


def test_a_cold_forecast_is_null_throughout(ask):
    paths = ask("/api/v1/fleets/voice/evergreen/forecast").json()["measures"]["channels"]["paths"]
    assert {value for path in paths for value in path["values"]} == {None}


def test_a_range_gives_the_slots_that_it_touches(ask):
    first = int(NOW_S // STEP_S) * STEP_S
    measure = ask(f"{ACME}/forecast?from={first + 1}&to={first + STEP_S + 1}").json()["measures"]["channels"]
    assert (measure["start_s"], len(measure["paths"][0]["values"])) == (first, 2)


def test_history_shows_a_gap_as_null_and_never_as_zero(ask):
    load = ask(f"{ACME}/history").json()["measures"]["channels"]["values"]
    assert len(load) == 288
    assert [at for at, value in enumerate(load) if value is None] == [248, 249, 250]


def test_recorded_pods_are_given_where_they_change_and_at_the_end(ask, state):
    recorded = ask(f"{ACME}/history?from={NOW_S - 14 * 86400:.0f}").json()["recorded"]
    past = state.history(state.samples[0].key).recorded
    rows = list(zip(recorded["need"], recorded["ready"], strict=True))
    assert all(before != after for before, after in pairwise(rows[:-1]))
    assert recorded["at_s"][-1] == past.at_s[-1]
    assert 2 < len(rows) < len(past.at_s)
    # Drawn as steps, what is left says the same as what was recorded.
    at = 0
    for sample, need in zip(past.at_s, past.need, strict=True):
        while at + 1 < len(rows) and recorded["at_s"][at + 1] <= sample:
            at += 1
        assert recorded["need"][at] == need


def test_a_range_in_which_nothing_changed_has_its_first_and_its_last_sample(ask):
    first, last = NOW_S - 5 * 3600, NOW_S - 4 * 3600
    recorded = ask(f"{ACME}/history?from={first:.0f}&to={last:.0f}").json()["recorded"]
    assert recorded["need"] == [2, 2]
    assert recorded["at_s"][0] == first
    assert last - STEP_S <= recorded["at_s"][1] < last


def test_a_step_that_began_before_the_range_still_holds_in_it(ask):
    first = NOW_S - 6 * 3600 + 17
    recorded = ask(f"{ACME}/history?from={first:.0f}").json()["recorded"]
    assert recorded["at_s"][0] == first
    assert recorded["need"][0] == 2


def test_a_tenant_called_like_a_script_comes_as_text_in_json(ask):
    answer = ask("/api/v1/fleets?search=script")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["fleets"][0]["tenants"] == [SCRIPT]


def test_a_list_names_five_tenants_of_a_large_pool_and_the_fleet_all(ask_of):
    tenants = tuple(f"tenant-{index}" for index in range(900))
    ask = ask_of(SampleState(samples=[replace(SAMPLES[0], tenants=tenants)]))
    (listed,) = ask("/api/v1/fleets").json()["fleets"]
    assert (len(listed["tenants"]), listed["tenant_count"]) == (5, 900)
    assert len(ask(ACME).json()["tenants"]) == 900


def test_scores_are_told_by_measure_and_model_and_null_where_nothing_could_be_scored(ask):
    scores = ask(ACME + "/scores").json()["measures"]["channels"]
    assert scores["seasonal-profile"]["coverage95"] == 0.952
    assert scores["seasonal-naive"]["coverage95"] is None
    assert scores["seasonal-naive"]["wape"] > scores["seasonal-profile"]["wape"]
