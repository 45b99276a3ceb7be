"""The numbers that docs/planning.md shows are those that the code makes."""

import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import yaml

from forecasting.load import Measure
from scaler.core.erlang import hayward_servers_for
from scaler.core.fleets import PodState
from scaler.core.inputs import LastPlan, Measurement, PlanInputs
from scaler.core.lead import Lead
from scaler.core.plan import Part
from scaler.core.planner import plan_fleet
from scaler.policy.model import PolicySpec
from tests.scaler.core.made_up import forecast, observation, pod

PAGE = (Path(__file__).parents[3] / "docs" / "planning.md").read_text(encoding="utf-8")


def example() -> PlanInputs:
    (document,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    first_slot = int(datetime.fromisoformat("2026-06-01T08:55:00+02:00").timestamp())
    seen = (pod("a"), pod("b"), pod("c"), pod("d", PodState.DRAINING), pod("e", PodState.FAILED))
    return PlanInputs(
        now_s=first_slot + 150.0,
        policy=PolicySpec.model_validate(yaml.safe_load(document)),
        observation=observation(5, *seen),
        lead=Lead(190.0, True, "as the page says"),
        measured={Measure.CHANNELS: Measurement(350.0, 5.0)},
        forecast=forecast([640.0, 1010.0], start_s=first_slot),
        last=LastPlan(5, 5, first_slot + 135.0),
    )


def test_the_worked_example_is_the_plan_that_the_code_makes():
    plan = plan_fleet(example())
    for step in plan.explanation.contributions:
        assert f"| {step.part} | {step.pods:+d} | {step.total} | {step.sentence} |" in PAGE
    assert (plan.need, plan.answer, plan.alone) == (7, 8, 9)
    assert (plan.explanation.binding, plan.explanation.cut_by) == (Part.FORECAST, (Part.MAX_STEP,))
    assert [step.part for step in plan.explanation.contributions] == re.findall(
        r"^\| ([a-z-]+) \| [+-]\d", PAGE, re.MULTILINE
    )


@pytest.mark.parametrize("row", re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE))
def test_the_table_of_channels_is_the_one_that_the_code_makes(row):
    load, plain, peaked = (float(number) for number in row)
    channels = [np.ceil(hayward_servers_for(load, 0.001, z)).item() for z in (1.0, 2.0)]
    assert channels == [plain, peaked]


def test_every_part_that_can_move_the_number_is_on_the_page():
    assert [part for part in Part if f"`{part}`" not in PAGE] == []
