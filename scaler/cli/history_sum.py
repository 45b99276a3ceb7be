"""The sum of a history's tenants, forecast as the service forecasts a fleet: as a series of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.forecast import Forecaster, QuantileForecast
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, departed, fleet_sums
from forecasting.models import default_forecaster
from forecasting.models.common_fall import common_falls, falling_now, falls_of_sums, held_forecast, masked
from forecasting.models.from_calls import ConcurrencyFromCalls
from forecasting.sources.events import Calls


def name_of_sum(load: LoadMatrix, tenants: int) -> str:
    """What the sum is called, unlike any tenant."""
    name = f"sum of {tenants} tenants"
    while name in load.series:
        name = f"the {name}"
    return name


def sum_of(load: LoadMatrix, names: Sequence[str]) -> LoadMatrix:
    """The sum of these tenants, without who has departed: as long as one is left, nobody's past is forecast on."""
    gone = {name for name, has in zip(load.series, departed(load), strict=True) if has}
    left = [name for name in names if name not in gone] or list(names)
    return fleet_sums(load, {name_of_sum(load, len(names)): left})


def forecaster_of(calls: Calls | None) -> Forecaster:
    """The model of a history: where the calls are known, they say more about the next hour than the load alone."""
    return default_forecaster() if calls is None else ConcurrencyFromCalls(calls, default_forecaster())


def forecast_sum(
    load: LoadMatrix,
    calls: Calls | None,
    calendars: Sequence[CivilCalendar],
    names: Sequence[str],
    total: LoadMatrix,
    ahead: SlotGrid,
) -> QuantileForecast:
    """Forecast `total`, the sum of the tenants `names` of the load."""
    # A single sum is too little to say what is an outage: its tenants say it.
    falls = falls_of_sums(common_falls(load, calendars), load, {total.series[0]: names})
    model = forecaster_of(None if calls is None else _as_one(calls, load, names))
    outcome = model.forecast(masked(total, falls), calendars[:1], ahead)
    return held_forecast(outcome, total, falling_now(total, falls))


def _as_one(calls: Calls, load: LoadMatrix, names: Sequence[str]) -> Calls:
    """The calls of some tenants as those of a single series."""
    wanted = np.isin(calls.series, [load.series.index(name) for name in names])
    return Calls(np.zeros_like(calls.series[wanted]), calls.starts_s[wanted], calls.ends_s[wanted])
