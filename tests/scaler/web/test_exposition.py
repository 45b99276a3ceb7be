from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from scaler import metrics
from scaler.metrics import CATALOGUE
from tests.scaler.web.sample_state import NOW_S, SAMPLES, SCRIPT, SampleState
from tools.debian_package import program

ACME = {"fleet_namespace": "voice", "fleet": "acme"}
OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
def samples(ask):
    return [sample for family in parse_text(ask("/metrics").text) for sample in family.samples]


def value(samples, metric, **labels):
    found = [each.value for each in samples if each.name == metric.full_name and labels.items() <= each.labels.items()]
    assert len(found) == 1, f"{metric.full_name} {labels}: {found}"
    return found[0]


def test_everything_exposed_is_in_the_catalogue_and_the_other_way_round(ask):
    families = {
        family.name: family for family in parse_text(ask("/metrics").text) if family.name.startswith("calltide")
    }
    # The parser takes the suffix of a counter off.
    expected = {metric.full_name.removesuffix("_total"): metric for metric in CATALOGUE}
    assert families.keys() == expected.keys()
    for name, metric in expected.items():
        assert families[name].type == metric.type, name
        assert families[name].documentation == metric.help, name


def test_each_metric_has_a_sample_and_exactly_its_labels(samples):
    labels = {metric.full_name: set(metric.labels) for metric in CATALOGUE}
    ours = [sample for sample in samples if sample.name.startswith("calltide_")]
    assert {sample.name for sample in ours} == labels.keys()
    assert [sample for sample in ours if set(sample.labels) != labels[sample.name]] == []


def test_open_metrics_is_spoken_to_who_asks_for_it(ask):
    answer = ask("/metrics", headers=OPEN_METRICS)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    names = {family.name for family in parse_open_metrics(answer.text)}
    assert "calltide_keda_answers" in names


def test_promtool_finds_nothing_to_mend(ask):
    check = subprocess.run(
        [program("promtool", "prometheus"), "check", "metrics"], input=ask("/metrics").content, capture_output=True
    )
    # A forecast has quantiles like a summary and is none: this one complaint is known and accepted.
    complaints = [line for line in check.stderr.decode().splitlines() if '"quantile" label' not in line]
    assert complaints == []
    assert check.stdout == b""


def test_a_fleet_shows_need_answer_and_what_stands(samples):
    assert value(samples, metrics.FLEET_NEED, **ACME) == 16
    assert value(samples, metrics.FLEET_ANSWER, **ACME) == 17
    assert value(samples, metrics.FLEET_ALONE, **ACME) == 18
    assert value(samples, metrics.FLEET_PODS, **ACME, state="serving") == 14
    assert value(samples, metrics.FLEET_PODS, **ACME, state="starting") == 2
    assert value(samples, metrics.FLEET_PODS, **ACME, state="failed") == 0


def test_the_contributions_add_up_to_the_answer(samples):
    parts = [each for each in samples if each.name == metrics.FLEET_CONTRIBUTION.full_name]
    assert sum(each.value for each in parts if ACME.items() <= each.labels.items()) == 17
    assert {each.labels["part"] for each in parts if ACME.items() <= each.labels.items()} == {
        "measured",
        "forecast",
        "not-serving",
    }
    binding = [each for each in samples if each.name == metrics.FLEET_BINDING.full_name]
    assert [each.labels["part"] for each in binding if ACME.items() <= each.labels.items()] == ["forecast"]


def test_what_keeps_pods_from_leaving_is_told_by_reason(samples):
    assert value(samples, metrics.FLEET_STANDSTILL, **ACME, reason="inhibit") == 1
    assert value(samples, metrics.FLEET_RETIREMENT_CONDITION, **ACME, condition="unproved") == 1
    assert value(samples, metrics.FLEET_UNPROVED, **ACME) == 1
    assert value(samples, metrics.FLEET_DRAIN_BEGAN, **ACME) == NOW_S - 1500


def test_a_state_is_one_for_what_holds_and_zero_for_the_rest(samples):
    harbour = {"fleet": "harbour"}
    trusts = {
        t: value(samples, metrics.FLEET_TRUST, **harbour, trust=t) for t in ("cold", "learning", "trusted", "degraded")
    }
    assert trusts == {"cold": 0, "learning": 0, "trusted": 0, "degraded": 1}
    assert value(samples, metrics.FLEET_MODE, **harbour, mode="primary") == 1
    assert value(samples, metrics.FLEET_EFFECTIVE_MODE, **harbour, mode="assist") == 1
    assert value(samples, metrics.FLEET_HELD, fleet="dove-insurance") == 1
    assert value(samples, metrics.FLEET_FAULT, fleet="fjord-bank") == 1
    assert value(samples, metrics.FLEET_UNCONFIRMED, fleet="gallery") == 1


def test_what_is_not_known_has_no_sample(samples):
    need = {each.labels["fleet"] for each in samples if each.name == metrics.FLEET_NEED.full_name}
    load = {each.labels["fleet"] for each in samples if each.name == metrics.LOAD_CHANNELS.full_name}
    forecast = {each.labels["fleet"] for each in samples if each.name == metrics.FORECAST_CHANNELS.full_name}
    assert "fjord-bank" not in need
    assert "dove-insurance" not in load
    assert not {"fjord-bank", "evergreen"} & forecast, "a fault has no forecast, and a cold one is only a guess"


def test_the_forecast_gauge_is_the_slot_of_now_plus_its_horizon(samples, state):
    forecast = state.forecast(SAMPLES[0].key)["channels"]
    shown = value(samples, metrics.FORECAST_CHANNELS, **ACME, quantile="0.95", horizon="2h")
    assert shown == pytest.approx(float(forecast.values[forecast.grid.index_of(NOW_S + 7200), 3]), rel=1e-6)


def test_horizons_beyond_the_forecast_are_left_out(samples):
    horizons = {each.labels["horizon"] for each in samples if each.name == metrics.FORECAST_CHANNELS.full_name}
    # 48 hours from now lie in the slot after the last one of a 48 hour forecast.
    assert horizons == set(metrics.HORIZONS_S) - {"48h"}


def test_ages_are_the_difference_of_two_timestamps(samples):
    now_s = value(samples, metrics.CLOCK_TIMESTAMP)
    assert now_s - value(samples, metrics.FORECAST_ISSUED, **ACME) == 140
    assert now_s - value(samples, metrics.NEWEST_OBSERVATION, fleet="dove-insurance") == 340


def test_keda_is_told_by_outcome(samples):
    outcomes = {o: value(samples, metrics.KEDA_ANSWERS, outcome=o) for o in ("planned", "alone", "refused")}
    assert outcomes == {"planned": 4199, "alone": 12, "refused": 1}


def test_a_fleet_that_is_gone_leaves_no_series(state, ask):
    assert 'fleet="acme"' in ask("/metrics").text
    state.samples = SAMPLES[1:]
    assert 'fleet="acme"' not in ask("/metrics").text


def test_a_label_with_quotes_and_line_feeds_stays_one_label(ask_of):
    odd = 'a"b\\c\n' + SCRIPT
    state = SampleState(samples=[replace(SAMPLES[0], tenants=(odd,))])
    samples = [each for family in parse_text(ask_of(state)("/metrics").text) for each in family.samples]
    assert [each.labels["tenant"] for each in samples if each.name == metrics.FLEET_INFO.full_name] == [odd]


def test_beyond_a_bound_fleets_keep_their_gauges_but_for_the_forecast(ask_of, monkeypatch):
    monkeypatch.setattr("scaler.web.exposition.MOST_FORECAST_FLEETS", 1)
    samples = [each for family in parse_text(ask_of(SampleState())("/metrics").text) for each in family.samples]
    forecast = {each.labels["fleet"] for each in samples if each.name == metrics.FORECAST_CHANNELS.full_name}
    assert forecast == {"acme"}
    assert value(samples, metrics.FORECAST_FLEETS_LEFT_OUT) == 7
    assert value(samples, metrics.FLEET_NEED, fleet="harbour") == 10
