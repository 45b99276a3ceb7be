"""An outage of many tenants is held in the fleets' sums too, though a sum cannot tell it from a tenant that left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.forecast import QUANTILES, Trust
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, LoadMatrix, Measure
from forecasting.sources.protocol import CurrentLoad, HistoryQuery
from scaler.service import worker
from scaler.service.datasets import Dataset
from scaler.service.worker import ForecastRequest, Forecasts, HistoryRequest

STEP_S = 900
NOW_S = 1_790_000_100 // STEP_S * STEP_S + 12 * 3600
TENANTS = tuple(f"tenant {row}" for row in range(12))
OUT_S = 4 * 3600


@dataclass
class Trunk:
    """Twelve tenants with a wave by day for five weeks. With `dead`, all their calls have been gone for four hours."""

    dead: bool

    def open(self, name: str) -> Trunk:
        return self

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        at_s = grid.starts_s
        rate = 30 + 20 * np.sin(2 * np.pi * at_s / 86400)
        # Seeded by the slot, so that whatever span is read tells the same load.
        calls = [np.random.default_rng(slot).poisson(mean, 12) for slot, mean in zip(at_s.tolist(), rate, strict=True)]
        values = np.stack(calls, axis=1) if calls else np.zeros((12, 0))
        if self.dead:
            values[:, at_s >= NOW_S - OUT_S] = 0
        return LoadMatrix(query.measure, TENANTS, grid, values.astype(np.float32))

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        raise AssertionError("nothing is measured here")

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    worker._known.clear()


def forecasts(path: Path, *, dead: bool) -> Forecasts:
    dataset = Dataset("default", HistoryQuery(Measure.CHANNELS, "up", "tenant"), STEP_S)
    history = HistoryRequest(dataset, 35 * 86400, str(path / str(dead)), Trunk(dead))
    worker.catch_up(history, float(NOW_S))
    members = {"north": TENANTS[:6], "south": TENANTS[6:]}
    calendars = {fleet: CivilCalendar("UTC") for fleet in members}
    return worker.forecast(ForecastRequest(history, 86400, members, calendars, {}), float(NOW_S))


def next_hours(outcome: Forecasts) -> Float32Array:
    """Load of each fleet over the next six hours, by the 95 % line."""
    sums: Float32Array = outcome.fleets.values[:, : 6 * 3600 // STEP_S, QUANTILES.index(0.95)].sum(axis=1)
    return sums


def test_fleets_are_forecast_as_if_the_trunk_had_not_died_and_are_not_relied_upon_meanwhile(tmp_path: Path) -> None:
    alive, dead = forecasts(tmp_path, dead=False), forecasts(tmp_path, dead=True)
    assert next_hours(dead) == pytest.approx(next_hours(alive), rel=0.05)
    assert set(alive.fleets.trust) == {Trust.TRUSTED}
    assert set(dead.fleets.trust) == {Trust.DEGRADED}
    assert all("held and not learnt" in reason for reason in dead.fleets.trust_reasons)
    # Nothing is missing: the zeros were seen, and only not believed.
    assert (dead.fleets.newest_observation_s == NOW_S).all()
    assert (dead.recent.values[:, -1] == 0).all()
