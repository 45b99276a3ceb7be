"""The stretch of time that a request asks for: checked, bounded, and cut out of an array."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from forecasting.grid import SlotGrid
from scaler.web import models
from scaler.web.problems import ProblemError
from scaler.web.state import MeasureForecast, RecordedPods
from scaler.web.views import numbers

MOST_SLOTS = 25_000
"""14 days of minutes fit; a browser draws that, and it is made in a few milliseconds."""

# The year 9999 is the last that any date library can write.
Instant = Annotated[float, Field(ge=0, le=253_402_300_799, description="Epoch seconds.")]


class TimeRange(BaseModel):
    """From when to when."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    start_s: Instant | None = Field(None, alias="from")
    """Epoch seconds of the first instant."""
    end_s: Instant | None = Field(None, alias="to")
    """Epoch seconds of the instant after the last."""


class ForecastQuery(TimeRange):
    """Which part of a forecast."""

    quantile: list[Annotated[float, Field(ge=0.01, le=0.999)]] = Field([], max_length=20)
    """Quantiles to give, each inside those that the forecast carries; all that it carries when left out."""


def resolve(asked: TimeRange, start_s: float, end_s: float) -> tuple[float, float]:
    """The range that is meant, with these defaults.

    Raises:
        ProblemError: it ends before it begins.
    """
    first = start_s if asked.start_s is None else asked.start_s
    last = end_s if asked.end_s is None else asked.end_s
    if asked.start_s is not None and asked.end_s is not None and last <= first:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"'to' {last:.0f} is not after 'from' {first:.0f}.", "to", "Swap them?"
        )
    return first, max(first, last)


def cut(grid: SlotGrid, start_s: float, end_s: float) -> tuple[SlotGrid, slice]:
    """The slots of the grid that touch [start_s, end_s), and where they lie in its arrays.

    Raises:
        ProblemError: they are too many for one answer.
    """
    first = min(max(0, grid.index_of(start_s)), grid.slots)
    last = min(max(first, -int(-(end_s - grid.start_s) // grid.step_s)), grid.slots)
    _bound(last - first, MOST_SLOTS * grid.step_s)
    return SlotGrid(grid.start_s + first * grid.step_s, grid.step_s, last - first), slice(first, last)


def _bound(points: int, seconds: float) -> None:
    if points > MOST_SLOTS:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"The range holds {points} points, at most {MOST_SLOTS} are given at once.",
            "from",
            f"Ask for at most {seconds / 86400:.1f} days at once.",
        )


def forecast_answer(forecast: MeasureForecast, asked: ForecastQuery, now_s: float) -> models.MeasureForecast:
    """The forecast's slots in the range, at the quantiles asked for, linear between those that are carried.

    Raises:
        ProblemError: the range is upside down or too long, or a quantile lies outside those that are carried.
    """
    grid, where = cut(forecast.grid, *resolve(asked, now_s, forecast.grid.end_s))
    carried = forecast.quantiles
    wanted = sorted(set(asked.quantile)) or list(carried)
    for quantile in wanted:
        if not carried[0] <= quantile <= carried[-1]:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"Quantile {quantile:g} lies outside those that the forecast carries.",
                "quantile",
                f"Ask for one from {carried[0]:g} to {carried[-1]:g}.",
            )
    values = forecast.values[where]
    return models.MeasureForecast(
        start_s=grid.start_s,
        step_s=grid.step_s,
        paths=[models.QuantilePath(quantile=q, values=numbers(_at_quantile(values, carried, q))) for q in wanted],
        issued_at_s=forecast.issued_at_s,
        newest_observation_s=forecast.newest_observation_s,
        trust=forecast.trust,
        trust_reason=forecast.trust_reason,
        model=forecast.model,
    )


def _at_quantile(
    values: npt.NDArray[np.float32], carried: tuple[float, ...], quantile: float
) -> npt.NDArray[np.float32]:
    """Shape (slots,), linear between the neighbouring quantiles of `values` (slots, quantiles)."""
    upper = int(np.searchsorted(carried, quantile))
    if carried[upper] == quantile:
        return values[:, upper]
    share = np.float32((quantile - carried[upper - 1]) / (carried[upper] - carried[upper - 1]))
    between: npt.NDArray[np.float32] = (1 - share) * values[:, upper - 1] + share * values[:, upper]
    return between


def recorded_answer(recorded: RecordedPods, start_s: float, end_s: float) -> models.Recorded:
    """The samples in the range at which something changed, and the last one.

    The sample before the range is given too, moved to its start: a step that began earlier still holds.

    Raises:
        ProblemError: they are too many for one answer.
    """
    first = max(0, int(np.searchsorted(recorded.at_s, start_s, side="right")) - 1)
    last = int(np.searchsorted(recorded.at_s, end_s))
    series = np.stack([recorded.need[first:last], recorded.answer[first:last], recorded.ready[first:last]])
    count = series.shape[1]
    changed = np.ones(count, dtype=np.bool_)
    if count > 1:
        before, after = series[:, :-1], series[:, 1:]
        same = (before == after) | (np.isnan(before) & np.isnan(after))
        changed[1:] = ~same.all(axis=0)
        changed[-1] = True
    _bound(int(changed.sum()), end_s - start_s)
    at_s = np.maximum(recorded.at_s[first:last], start_s)[changed]
    need, answer, ready = series[:, changed]
    return models.Recorded(at_s=at_s.tolist(), need=numbers(need), answer=numbers(answer), ready=numbers(ready))
