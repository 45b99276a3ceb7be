"""The example that users copy must be what calltide understands and what keeps calls safe."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from keda_external_scaler.metadata import parse_trigger_metadata

EXAMPLE = Path(__file__).parents[2] / "examples" / "scaledobject.yaml"


@pytest.fixture(scope="module")
def spec() -> dict:
    scaled_object, _ = yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8"))
    return scaled_object["spec"]


def test_its_trigger_is_understood(spec):
    (trigger,) = spec["triggers"]
    assert parse_trigger_metadata(trigger["metadata"]).tenants == ("acme",)
    assert trigger["metricType"] == "AverageValue"


def test_its_hpa_follows_every_rise_exactly_and_never_removes_a_pod(spec):
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleUp"]["tolerance"] == behavior["scaleDown"]["tolerance"] == "0"
    assert behavior["scaleUp"]["policies"] == [{"type": "Pods", "value": 1000, "periodSeconds": 15}]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["selectPolicy"] == "Disabled"
    assert spec["minReplicaCount"] >= 1
    assert "fallback" not in spec
