"""From the policy to the plan: a tenant without a history has its pods on the morning it begins, and no ghost stays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from forecasting.forecast import Trust
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.sources.protocol import CurrentLoad, HistoryQuery
from scaler.core.fleet_forecast import fleet_forecasts
from scaler.core.fleets import FleetKey
from scaler.core.inputs import Measurement
from scaler.core.plan import Plan
from scaler.core.planner import plan_fleet
from scaler.policy.model import PolicySpec
from scaler.service import worker
from scaler.service.datasets import dataset_uses
from scaler.service.histories import Histories
from scaler.service.worker import Forecasts
from tests.scaler.core.made_up import inputs, observation, policy

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
OLD, NEW = FleetKey("voice", "old"), FleetKey("voice", "new")
BUSY = {"acme": 100.0, "globex": 300.0}


@dataclass
class Offices:
    """Offices from nine to five on working days; `globex` stops for good at `globex_until_s`."""

    globex_until_s: float = np.inf

    def open(self, name: str) -> Offices:
        return self

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        hour, day = grid.starts_s // 3600 % 24, (grid.starts_s // 86400 + 3) % 7
        is_open = (day < 5) & (hour >= 9) & (hour < 17)
        values = np.stack([np.where(is_open, busy, busy / 20) for busy in BUSY.values()]).astype(np.float32)
        values[1, grid.starts_s >= self.globex_until_s] = np.nan
        return LoadMatrix(query.measure, tuple(BUSY), grid, values)

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        raise AssertionError("the main process measures")

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _no_worker_knows_anything():
    worker._known.clear()


def announcing(*entries: dict[str, object]) -> PolicySpec:
    return policy(
        history={"channels": "channels", "step": "1h", "lookBack": "6w"},
        capacity={"channelsPerPod": 100, "targetOccupancy": 1.0},
        reactive={"headroom": 0.0},
        announced=list(entries),
    )


INITECH = {"tenant": "initech", "from": "2026-03-03", "endpoints": 2000, "channelsPerEndpoint": 0.25}


def forecast(path: Path, spec: PolicySpec, source: Offices | None = None, now: datetime = MONDAY) -> Forecasts:
    """What a worker makes of the policy, for one fleet of two offices and one that only initech will be served by."""
    fleets = [(OLD, ("acme", "globex"), spec), (NEW, ("initech",), spec)]
    ((_, use),) = dataset_uses(fleets).items()
    histories = Histories(None, None, str(path), source or Offices())  # type: ignore[arg-type]  # nothing runs in it
    request = histories._forecast_request(use)
    now_s = now.timestamp()
    while worker.catch_up(request.history, now_s).left_slots:
        pass
    return worker.forecast(request, now_s)


def plan_at(made: Forecasts, key: FleetKey, spec: PolicySpec, at: datetime) -> Plan:
    found = fleet_forecasts([made.fleets], {str(key): spec.forecast.quantile})[str(key)]
    given = inputs(policy=spec, observation=observation(1, key=key), forecast=found)
    return plan_fleet(replace(given, now_s=at.timestamp(), measured={Measure.CHANNELS: Measurement(0.0, 5.0)}))


def at(days: int, hour: int) -> datetime:
    return MONDAY + timedelta(days=days, hours=hour)


def test_an_announced_tenant_has_its_pods_on_the_morning_it_begins(tmp_path: Path):
    spec = announcing(INITECH)
    made = forecast(tmp_path, spec)
    assert plan_at(made, NEW, spec, at(0, 11)).need == 1, "Monday is not its day yet"
    plan = plan_at(made, NEW, spec, at(1, 11))
    # 2000 endpoints at a quarter of a channel are 500 channels, and the 95 % line of a size that is only stated more.
    assert 5 < plan.need <= 11
    assert plan.explanation.trust is Trust.LEARNING
    assert "initech is announced for 2026-03-03 with 2000 endpoints" in plan.explanation.trust_reason


def test_without_the_announcement_there_are_none(tmp_path: Path):
    spec = announcing()
    made = forecast(tmp_path, spec)
    assert plan_at(made, NEW, spec, at(1, 11)).need == 1
    assert made.fleets.trust[made.fleets.series.index(str(NEW))] is Trust.COLD


def test_the_size_of_those_who_are_there_tells_what_an_endpoint_needs(tmp_path: Path):
    acme = {"tenant": "acme", "from": "2020-01-01", "endpoints": 1000}
    globex = {"tenant": "globex", "from": "2020-01-01", "endpoints": 3000}
    made = forecast(tmp_path, announcing(INITECH, acme, globex))
    noon = made.fleets.path(str(NEW), 0.5)[24 + 12]
    assert noon == pytest.approx(2000 * 0.1, rel=0.05)


def test_other_fleets_of_the_policy_are_not_touched(tmp_path: Path):
    with_it, without = (
        forecast(tmp_path / name, spec) for name, spec in (("a", announcing(INITECH)), ("b", announcing()))
    )
    assert np.array_equal(with_it.fleets.path(str(OLD), 0.95), without.fleets.path(str(OLD), 0.95))


def noon_of_old(path: Path, silent_h: float) -> float:
    """The old fleet's 95 % line at noon on Monday, when globex was silent for so long before midnight."""
    source = Offices(globex_until_s=MONDAY.timestamp() - silent_h * 3600)
    return float(forecast(path, announcing(), source).fleets.path(str(OLD), 0.95)[12])


def test_a_departed_tenants_load_is_forecast_no_more(tmp_path: Path):
    assert noon_of_old(tmp_path, 30) == pytest.approx(100, rel=0.35)


def test_a_day_without_its_metrics_takes_no_pod(tmp_path: Path):
    assert noon_of_old(tmp_path, 24) > 0.95 * 400


def test_the_chart_still_shows_what_the_departed_had(tmp_path: Path):
    source = Offices(globex_until_s=MONDAY.timestamp() - 30 * 3600)
    recent = forecast(tmp_path, announcing(), source).recent
    assert np.nanmax(recent.row(str(OLD))) == pytest.approx(400)
