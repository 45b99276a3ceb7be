"""The API and the page tell what a forecast is made of, how far it is trusted, and how those before it did."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from tests.scaler.web.sample_state import SAMPLES, SCRIPT, SampleState
from tests.scaler.web.served import served
from tools.browser import NAMES

ACME = "/api/v1/fleets/voice/acme/quality"


def test_the_parts_of_the_level_add_up_and_each_says_what_its_weight_means(ask):
    members = ask(ACME).json()["measures"]["channels"]["members"]
    weights = {member["name"]: member["weight"] for member in members}
    assert list(weights)[:3] == ["own weeks", "borrowed weeks", "announced tenants"]
    assert sum(list(weights.values())[:3]) == pytest.approx(1.0)
    assert all(f"{round(100 * member['weight'])} %" in member["sentence"] for member in members)


def test_published_forecasts_are_told_by_lead_beside_the_naive_and_null_where_nothing_was_scored(ask):
    told = ask(ACME).json()["measures"]["channels"]
    assert [lead["lead"] for lead in told["live"]] == ["1h", "6h", "24h", "48h"]
    assert (told["live"][0]["wape"], told["live"][0]["naive_wape"], told["live"][0]["cells"]) == (0.062, 0.171, 1680)
    assert {told["live"][3][name] for name in ("wape", "bias", "coverage95", "naive_wape")} == {None}
    assert (told["issues"], told["set_aside"], told["problem"]) == (840, 0, None)


def test_trust_comes_with_its_reason(ask):
    told = ask("/api/v1/fleets/voice/harbour/quality").json()["measures"]["channels"]
    assert (told["trust"], told["trust_reason"]) == ("degraded", "Coverage fell to 71 % over the last two days.")
    assert told["set_aside"] == 1


def test_each_measure_is_told_and_none_before_the_first_forecast(ask):
    assert list(ask("/api/v1/fleets/voice/city-hall/quality").json()["measures"]) == ["channels", "call_rate"]
    assert ask("/api/v1/fleets/voice/fjord-bank/quality").json()["measures"] == {}


needs_a_browser = pytest.mark.skipif(not any(map(shutil.which, NAMES)), reason="no browser: apt-get install chromium")


def seen(state: SampleState, *fleets: str) -> dict[str, Any]:
    """What a reader sees under "How good the forecast is", by fleet."""
    with served(state) as url:
        told = subprocess.run(
            [sys.executable, "-m", "tests.scaler.web.seen", url, *fleets], capture_output=True, text=True, timeout=120
        )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


@needs_a_browser
def test_the_page_shows_members_weights_scores_trust_and_why():
    texts = seen(SampleState(), "acme", "harbour")
    text = texts["acme"]
    assert "trusted Coverage of the last two weeks is 94 %" in text
    assert "borrowed weeks\t14 %\t14 % of the ordinary level is borrowed" in text
    assert "Published forecasts: 840 since Mon, Oct 19" in text
    assert "up to\xa01\xa0h\t6.2 %\t17.1 %\t−0.4 %\t95.8 %\t1.1 %\t1,680" in text
    assert "48" not in text.split("up to")[-1].split("Replayed")[0], "nothing was scored so far ahead"
    assert "Weekly naive\t17.0 %\t–\t–\t3.1 %" in text
    assert "1 damaged file was set aside." in texts["harbour"]


@needs_a_browser
def test_what_others_wrote_stays_text_and_a_fault_of_the_ledger_is_told():
    hostile = replace(SAMPLES[0], trust_reason=SCRIPT)
    texts = seen(SampleState(samples=[hostile], ledger_problem=f"{SCRIPT} cannot be written"), "acme")
    assert f"trusted {SCRIPT}." in texts["acme"]
    assert f"Published forecasts cannot be kept or scored: {SCRIPT} cannot be written" in texts["acme"]
    assert texts["scripts"] == 0
