"""What a plan takes of a forecast: one fleet's sum, at the quantile that its policy plans with.

A fleet's own sum is a series of its own, since quantiles of its tenants do not add up. It may have two measures, and
they may have been forecast at different times; what both cover is what can be planned with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from forecasting.forecast import QuantileForecast, Trust
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, Measure
from scaler.errors import CalltideError

_SPREAD_QUANTILE = 0.9
# Far enough from the median to show the width, near enough to rest on many residuals.
_SPREAD_DEVIATIONS = NormalDist().inv_cdf(_SPREAD_QUANTILE)

_LEAST_TRUSTED_FIRST = (Trust.COLD, Trust.DEGRADED, Trust.LEARNING, Trust.TRUSTED)


@dataclass(frozen=True, slots=True, eq=False)
class MeasurePath:
    """One measure to come: median, policy's quantile and standard deviation, each of shape (slots,).

    `source` is the forecast of this series alone that they were read from, None where there was none.
    """

    median: Float32Array
    upper: Float32Array
    deviation: Float32Array
    source: QuantileForecast | None = None

    @property
    def knows_windows(self) -> bool:
        """Whether it can tell how far the largest load of several slots lies above what one slot may carry."""
        return self.source is not None and self.source.window_levels is not None

    def of_windows(self, quantile: float, window_s: float) -> MeasurePath:
        """The path whose `upper` answers for windows: the largest load of one stays under the largest `upper` in it.

        It does so in a share `quantile` of windows of this length. Unchanged where the forecast does not know.
        """
        if self.source is None or self.source.window_levels is None:
            return self
        # Each slot as if it were its window's busiest: the one that sizes a window is.
        levels = self.source.window_levels.level(quantile, window_s, self.median)
        return replace(self, upper=self.source.path(self.source.series[0], levels))


@dataclass(frozen=True, slots=True, eq=False)
class FleetForecast:
    """A fleet's load to come on `grid`. A measure whose forecast is cold has no path.

    `newest_observation_s` is the end of the oldest of the measures' newest slots, None when nothing was observed.
    """

    grid: SlotGrid
    quantile: float
    paths: Mapping[Measure, MeasurePath]
    trust: Trust
    trust_reason: str
    issued_at_s: float
    newest_observation_s: float | None


def fleet_forecasts(forecasts: Sequence[QuantileForecast], quantiles: Mapping[str, float]) -> dict[str, FleetForecast]:
    """Each fleet's forecast, by the name of its series. All at once, so that a name is looked up once.

    `forecasts` has one entry per measure; `quantiles` names the series wanted with their policy's quantile. A series
    that one measure does not have is planned by the others; one that none has is left out.

    Raises:
        CalltideError: the measures have different steps, or no slot in common.
        ForecastInputError: a quantile lies outside those that are carried.
    """
    if not forecasts:
        return {}
    grid = _common_grid(forecasts)
    rows = [{name: row for row, name in enumerate(forecast.series)} for forecast in forecasts]
    found = {}
    for name, quantile in quantiles.items():
        parts = [(forecast, row_of[name]) for forecast, row_of in zip(forecasts, rows, strict=True) if name in row_of]
        if parts:
            found[name] = _fleet_forecast(parts, grid, quantile)
    return found


def _fleet_forecast(parts: Sequence[tuple[QuantileForecast, int]], grid: SlotGrid, quantile: float) -> FleetForecast:
    trust, reason = _joint_trust(parts)
    newest = [int(forecast.newest_observation_s[row]) for forecast, row in parts]
    return FleetForecast(
        grid=grid,
        quantile=quantile,
        paths={
            forecast.measure: _measure_path(forecast, row, grid, quantile)
            for forecast, row in parts
            if forecast.trust[row] is not Trust.COLD
        },
        trust=trust,
        trust_reason=reason,
        issued_at_s=float(min(forecast.issued_at_s for forecast, _ in parts)),
        newest_observation_s=float(min(newest)) if min(newest) > 0 else None,
    )


def _joint_trust(parts: Sequence[tuple[QuantileForecast, int]]) -> tuple[Trust, str]:
    """The least trust of the measures; with one cold measure beside others, learning: they size the fleet alone."""
    told = [(forecast.trust[row], forecast.measure, forecast.trust_reasons[row]) for forecast, row in parts]
    least, measure, reason = min(told, key=lambda entry: _LEAST_TRUSTED_FIRST.index(entry[0]))
    if least is Trust.COLD and any(trust is not Trust.COLD for trust, _, _ in told):
        return Trust.LEARNING, f"{measure}: {reason}"
    return least, reason


def _common_grid(forecasts: Sequence[QuantileForecast]) -> SlotGrid:
    steps = {forecast.grid.step_s for forecast in forecasts}
    start = max(forecast.grid.start_s for forecast in forecasts)
    end = min(forecast.grid.end_s for forecast in forecasts)
    if len(steps) > 1 or end <= start:
        raise CalltideError("the forecasts of a fleet's measures share no slots: issue them on the same grid")
    return SlotGrid.covering(start, end, steps.pop())


def _measure_path(forecast: QuantileForecast, row: int, grid: SlotGrid, quantile: float) -> MeasurePath:
    first = forecast.grid.index_of(grid.start_s)
    paths = forecast.values[row, first : first + grid.slots]
    # A fleet of which nothing was seen yet has announced load alone, and no past window to learn from.
    was_seen = forecast.newest_observation_s[row] > 0
    one = QuantileForecast(
        measure=forecast.measure,
        series=("fleet",),
        grid=grid,
        quantiles=forecast.quantiles,
        values=paths[np.newaxis],
        issued_at_s=forecast.issued_at_s,
        newest_observation_s=forecast.newest_observation_s[row : row + 1],
        trust=forecast.trust[row : row + 1],
        trust_reasons=forecast.trust_reasons[row : row + 1],
        model=forecast.model,
        window_levels=forecast.window_levels if was_seen else None,
    )
    median = one.path("fleet", 0.5)
    deviation = (one.path("fleet", _SPREAD_QUANTILE) - median) / np.float32(_SPREAD_DEVIATIONS)
    return MeasurePath(median, one.path("fleet", quantile), deviation, one)
