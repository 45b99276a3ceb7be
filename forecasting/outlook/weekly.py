"""The outlook itself: mean and busy hour of each series' next weeks, as quantiles, with how far to trust them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.forecast import QUANTILES, Trust
from forecasting.grid import Int64Array
from forecasting.load import Float32Array, LoadMatrix, Measure
from forecasting.models.common_fall import CommonFall, common_falls
from forecasting.models.scale import ZERO, counts_per_unit, to_counts
from forecasting.models.week_layout import Float64Array
from forecasting.outlook.held_out import YEAR_WEEKS
from forecasting.outlook.levels_ahead import levels_ahead
from forecasting.outlook.weekly_levels import WeeklyLevels, weekly_levels

FEWEST_WEEKS = 8
"""Measured weeks that an outlook needs."""
_SILENT_WEEKS = 4
"""Without a measured week among so many newest ones there is nothing to go on from."""
MOST_WEEKS = 104


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """Weekly levels to come.

    `first_day` is the Monday of the first week ahead, in days since 1970-01-01. `mean` and `busy_hour`, both
    (series, weeks, quantiles), are in the load's unit: finite, not negative, not falling along the last axis; NaN
    throughout for a series that is `COLD`. `growth` (series,) is what the mean grows by in the first week ahead, as a
    share of it; 0 where no trend was believed. `past` are the weeks behind it, each at the level that it had.
    """

    measure: Measure
    series: tuple[str, ...]
    first_day: int
    quantiles: tuple[float, ...]
    mean: Float32Array
    busy_hour: Float32Array
    growth: Float64Array
    trust: tuple[Trust, ...]
    trust_reasons: tuple[str, ...]
    past: WeeklyLevels


def weekly_outlook(
    history: LoadMatrix,
    calendars: Sequence[CivilCalendar],
    weeks: int = 13,
    quantiles: tuple[float, ...] = QUANTILES,
    falls: Sequence[CommonFall] | None = None,
) -> Outlook:
    """The next weeks of all series, from the first Monday after the history's end on.

    `falls` are outages that are known already, as for sums; without them they are looked for.

    Raises:
        ForecastInputError: calendars, weeks or quantiles do not fit.
        SmoothingNotInstalledError: statsmodels is not installed.
    """
    if not 1 <= weeks <= MOST_WEEKS:
        raise ForecastInputError(f"an outlook of {weeks} weeks; ask for 1 to {MOST_WEEKS}")
    if list(quantiles) != sorted(set(quantiles)) or not all(0 < q < 1 for q in quantiles):
        raise ForecastInputError(f"quantiles {quantiles} must rise strictly inside (0, 1)")
    outages = common_falls(history, calendars) if falls is None else falls
    levels = weekly_levels(history, calendars, outages)
    trust, reasons = _trust(levels.mean)
    warm = np.array([verdict is not Trust.COLD for verdict in trust], dtype=np.bool_)
    per_unit = counts_per_unit(history.measure, history.grid.step_s)
    mean, busy = np.full((2, len(history.series), weeks, len(quantiles)), np.nan, dtype=np.float32)
    growth = np.zeros(len(history.series))
    if warm.any():
        roots = [2.0 * np.sqrt(level[warm] * per_unit + 0.375) for level in (levels.mean, levels.busy_hour)]
        ahead = levels_ahead(roots[0], roots[1], weeks)
        measured = (~np.isnan(roots[0])).sum(axis=1)
        mean[warm] = _paths(ahead.mean, ahead.mean_spread, measured, quantiles, per_unit)
        busy[warm] = _paths(ahead.busy_hour, ahead.busy_hour_spread, measured, quantiles, per_unit)
        growth[warm] = ahead.growth
    return Outlook(
        history.measure,
        history.series,
        levels.first_day + 7 * levels.mean.shape[1],
        quantiles,
        mean,
        # Each is drawn from its own past; the busy hour is the larger one by its meaning.
        np.maximum(mean, busy),
        growth,
        trust,
        reasons,
        weekly_levels(history, calendars, outages, as_it_came=True),
    )


def _trust(measured: Float64Array) -> tuple[tuple[Trust, ...], tuple[str, ...]]:
    """Of levels (series, weeks): the verdicts and their reasons."""
    verdicts = [_verdict(int(known.sum()), bool(known[-_SILENT_WEEKS:].any())) for known in ~np.isnan(measured)]
    return tuple(trust for trust, _ in verdicts), tuple(reason for _, reason in verdicts)


def _verdict(weeks: int, lately: bool) -> tuple[Trust, str]:
    measured = f"{weeks} weeks were measured"
    if weeks < FEWEST_WEEKS:
        return Trust.COLD, f"{measured}, and an outlook needs {FEWEST_WEEKS}"
    if not lately:
        return Trust.COLD, f"none of the newest {_SILENT_WEEKS} weeks was measured"
    if weeks < YEAR_WEEKS:
        return Trust.LEARNING, f"{measured}: less than a year, of which a season may look like growth"
    return Trust.TRUSTED, measured


def _paths(
    expected: Float64Array, spread: Float64Array, measured: Int64Array, quantiles: tuple[float, ...], per_unit: float
) -> Float32Array:
    """Lines (series, weeks, quantiles) in the load's unit, of series with so many `measured` weeks (series,)."""
    deviations = np.stack([_deviations(quantiles, weeks) for weeks in measured.tolist()])
    # What shrinks ends at no load, and its upper lines stay as far above that as errors were.
    drawn = np.maximum(expected, ZERO)[:, :, None] + spread[:, :, None] * deviations[:, None]
    lines: Float32Array = to_counts(drawn.astype(np.float32)) / np.float32(per_unit)
    return lines


def _deviations(quantiles: tuple[float, ...], weeks: int) -> npt.NDArray[np.float64]:
    """Deviations of Student's law, for a spread that is known from so many weeks only: (quantiles,).

    Source: Abramowitz & Stegun, "Handbook of mathematical functions" (1964), 26.7.5.
    """
    freedom = max(3.0, weeks / 4)
    normal = np.array([NormalDist().inv_cdf(quantile) for quantile in quantiles])
    first = (normal**3 + normal) / 4
    second = (5 * normal**5 + 16 * normal**3 + 3 * normal) / 96
    deviations: npt.NDArray[np.float64] = normal + first / freedom + second / freedom**2
    return deviations
