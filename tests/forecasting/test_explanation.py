"""What a forecast is made of is told in shares that add up where they should, and in sentences that say of what."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.explanation import Blend, Member, members_of, with_announced_share


def blend(**known) -> Blend:
    of = {"borrowed": [0.0], "recent": [0.0], "boosted": [0.0], "counted": [0.0]} | known
    return Blend(**{name: np.array(values) for name, values in of.items()})


def weights(members) -> dict[str, float]:
    return {member.name: member.weight for member in members}


def test_a_series_of_its_own_weeks_alone_has_one_part():
    assert weights(members_of(blend())[0]) == {"own weeks": 1.0}


def test_each_series_has_its_own_parts_and_what_has_none_is_left_out():
    first, second = members_of(
        blend(borrowed=[0.3, 1.0], recent=[0.1, 0.0], boosted=[0.5, 0.004], counted=[0.0, 1.0], held=[False, True])
    )
    assert weights(first) == {
        "own weeks": 0.7,
        "borrowed weeks": 0.3,
        "recent deviation": 0.1,
        "boosted correction": 0.5,
    }
    assert weights(second) == {"borrowed weeks": 1.0, "count law": 1.0, "outage hold": 1.0}
    assert first[1].sentence.startswith("30 % of the ordinary level is borrowed")


def test_what_is_not_known_or_out_of_range_is_not_made_up():
    (members,) = members_of(blend(borrowed=[0.0], recent=[np.nan], boosted=[1.7], counted=[-0.2], levelled=[0.4]))
    assert weights(members) == {"own weeks": 1.0, "level mode": 0.4, "boosted correction": 1.0}


@pytest.mark.parametrize("share", [0.0, 0.004, 0.08, 0.5, 1.0])
def test_announced_tenants_take_their_share_of_the_level_and_of_nothing_else(share):
    members = members_of(blend(borrowed=[0.25], boosted=[0.5]))[0]
    told = weights(with_announced_share(members, share))
    level = (Member.OWN_WEEKS, Member.BORROWED_WEEKS, Member.ANNOUNCED)
    assert sum(told.get(name, 0.0) for name in level) == pytest.approx(1.0, abs=0.011)
    assert told["boosted correction"] == 0.5
    assert told.get("announced tenants", 0.0) == pytest.approx(share, abs=0.005)


def test_equal_shares_are_one_object_so_that_thousands_of_series_cost_little():
    first, second = members_of(blend(borrowed=[0.3, 0.3], recent=[0, 0], boosted=[0, 0], counted=[0, 0]))
    assert all(one is other for one, other in zip(first, second, strict=True))
