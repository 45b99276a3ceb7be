from dataclasses import replace

import numpy as np
import pytest

from scaler.core.plan import Contribution, Part
from scaler.core.planner import plan_fleet
from scaler.errors import CalltideError
from tests.scaler.core.made_up import inputs

PLAN = plan_fleet(inputs(channels=320))


def test_an_explanation_that_does_not_add_up_cannot_be_built():
    wrong = (Contribution(Part.MEASURED, 4, 4, "four"), Contribution(Part.HEADROOM, 1, 6, "and one is six"))
    with pytest.raises(CalltideError, match=r"headroom: \+1 pods give 5, not 6"):
        replace(PLAN.explanation, contributions=wrong)


def test_a_need_that_no_contribution_gives_cannot_be_explained():
    with pytest.raises(CalltideError, match="need_after 2"):
        replace(PLAN.explanation, need_after=2)


@pytest.mark.parametrize("field", ["need", "answer"])
def test_a_plan_whose_number_is_not_the_explained_one_cannot_be_built(field):
    with pytest.raises(CalltideError, match="default/acme: need and answer"):
        replace(PLAN, **{field: 99})


def test_a_path_that_does_not_fit_its_grid_cannot_be_built():
    with pytest.raises(CalltideError, match="not int32 per slot"):
        replace(PLAN, path=np.zeros(3, dtype=np.int32))
