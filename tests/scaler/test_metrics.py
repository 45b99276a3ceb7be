from __future__ import annotations

import re
from pathlib import Path

import pytest

from scaler.metrics import CATALOGUE, HORIZONS_S, Metric, MetricType
from tools.metrics_page import metrics_page

ROOT = Path(__file__).resolve().parents[2]


def test_each_name_stands_once():
    names = [metric.full_name for metric in CATALOGUE]
    assert len(set(names)) == len(names) > 40
    assert all(name.startswith("calltide_") for name in names)


@pytest.mark.parametrize(
    ("name", "kind", "unit", "text", "labels", "why"),
    [
        ("leadTime", MetricType.GAUGE, "", "A lead.", (), "lower-case"),
        ("lead", MetricType.GAUGE, "seconds", "A lead.", (), "the name says unit"),
        ("lead_seconds", MetricType.GAUGE, "", "A lead.", (), "the name says unit"),
        ("lead_minutes", MetricType.GAUGE, "minutes", "A lead.", (), "is none of"),
        ("runs_total", MetricType.GAUGE, "", "Runs.", (), "_total"),
        ("runs", MetricType.COUNTER, "", "Runs.", (), "_total"),
        ("fleet_held", MetricType.GAUGE, "", "Held.", ("namespace",), "a scrape sets"),
        ("fleet_held", MetricType.GAUGE, "", "Held.", ("fleet", "fleet"), "repeats"),
        ("fleet_held", MetricType.GAUGE, "", "Held", (), "full stop"),
    ],
)
def test_a_name_that_breaks_a_rule_cannot_be_entered(name, kind, unit, text, labels, why):
    with pytest.raises(ValueError, match=re.escape(why)):
        Metric(name, kind, unit, text, labels)


def test_horizons_are_what_their_names_say():
    seconds = {"m": 60, "h": 3600}
    assert {name: int(name[:-1]) * seconds[name[-1]] for name in HORIZONS_S} == dict(HORIZONS_S)


def test_the_page_in_the_docs_is_what_the_catalogue_makes():
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == metrics_page()
