"""Which datasets a set of fleets needs, and what is asked of each."""

from __future__ import annotations

import pytest

from forecasting.load import Measure
from forecasting.sources.protocol import RefusedCalls, SlotStatistic
from scaler.core.fleets import FleetKey
from scaler.policy.histories import HistorySpec
from scaler.service import datasets
from scaler.service.datasets import DatasetUse, dataset_uses, datasets_of
from tests.scaler.core.made_up import policy

A, B = FleetKey("voice", "a"), FleetKey("voice", "b")


def history(**fields: object) -> dict[str, object]:
    return {"channels": "channels", **fields}


def test_the_policys_statistic_reaches_the_query():
    spec = HistorySpec.model_validate(history(statistic="mean"))
    assert datasets_of(spec)[Measure.CHANNELS].query.statistic is SlotStatistic.MEAN


def test_refused_calls_reach_the_query_of_each_measure_with_what_it_needs():
    refused = {"query": "refused", "holdingTime": "3m", "retryShare": 0.4}
    both = datasets_of(HistorySpec.model_validate(history(callRate="rate", refused=refused)))
    assert both[Measure.CHANNELS].query.refused == RefusedCalls("refused", 180, None, 0.4)
    assert both[Measure.CALL_RATE].query.refused == RefusedCalls("refused", retry_share=0.4)
    alone = datasets_of(HistorySpec.model_validate({"callRate": "rate", "refused": {"query": "refused"}}))
    assert alone[Measure.CALL_RATE].query.refused == RefusedCalls("refused")


def test_counting_refused_calls_begins_a_history_of_its_own():
    refused = {"query": "refused", "holdingTime": "3m"}
    uses = dataset_uses([(A, ("t",), policy(history=history())), (B, ("t",), policy(history=history(refused=refused)))])
    assert [sorted(use.members) for use in uses.values()] == [[A], [B]]
    assert len({dataset.name for dataset in uses}) == 2


def test_fleets_that_ask_the_same_share_a_dataset_with_the_widest_wishes():
    narrow = policy(history=history(lookBack="14d"), forecast={"horizon": "2d"})
    wide = policy(history=history(lookBack="28d"), forecast={"horizon": "1d"})
    uses = dataset_uses([(A, ("t1",), narrow), (B, ("t2", "t3"), wide)])
    assert [(use.look_back_s, use.horizon_s, use.members) for use in uses.values()] == [
        (28 * 86400, 2 * 86400, {A: ("t1",), B: ("t2", "t3")})
    ]
    assert set(*(use.tenant_calendars() for use in uses.values())) == {"t1", "t2", "t3"}


def test_fleets_that_ask_otherwise_have_datasets_of_their_own():
    uses = dataset_uses([(A, ("t",), policy(history=history())), (B, ("t",), policy(history=history(step="10m")))])
    assert sorted((dataset.step_s, *use.members) for dataset, use in uses.items()) == [(300, A), (600, B)]


def test_a_thousand_fleets_are_put_together_once_and_not_copied_for_each(monkeypatch: pytest.MonkeyPatch):
    made = []

    def counted(*parts: object) -> DatasetUse:
        made.append(parts)
        return DatasetUse(*parts)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(datasets, "DatasetUse", counted)
    spec = policy(history=history())
    (use,) = dataset_uses((FleetKey("voice", f"f{n}"), (f"t{n}",), spec) for n in range(1000)).values()
    assert len(use.members) == 1000
    assert len(made) == 1
