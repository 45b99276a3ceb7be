"""From quantile paths to a forecast that keeps its promises: what every model does before and after its own work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.explanation import MemberShare
from forecasting.forecast import QuantileForecast
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray, LoadMatrix
from forecasting.models.trust import (
    OLD_AFTER_S,
    OLD_AFTER_SLOTS,
    SEEN_AGAIN_S,
    BesideNaive,
    Evidence,
    assess,
    is_cold,
)
from forecasting.models.week_layout import FloatArray
from forecasting.quantile_lines import in_order
from forecasting.window_levels import WindowLevels

_WEEK_S = 7 * 86400
_LARGEST = np.float32(1e38)
_ROWS_AT_ONCE = 64


def check_inputs(history: LoadMatrix, calendars: Sequence[CivilCalendar], horizon: SlotGrid) -> None:
    """Whether history, calendars and horizon belong together.

    Raises:
        ForecastInputError: they do not.
    """
    if len(calendars) != len(history.series):
        raise ForecastInputError(f"{len(calendars)} calendars for {len(history.series)} series: one for each is needed")
    if horizon.step_s != history.grid.step_s:
        raise ForecastInputError(
            f"horizon has a step of {horizon.step_s} s, the history one of {history.grid.step_s} s"
        )
    if horizon.start_s < history.grid.end_s:
        raise ForecastInputError(
            f"horizon starts at {horizon.start_s}, before the history ends at {history.grid.end_s}"
        )


def joined(history: SlotGrid, horizon: SlotGrid) -> SlotGrid:
    """The grid of history, horizon and what may lie between."""
    return SlotGrid(history.start_s, history.step_s, (horizon.end_s - history.start_s) // history.step_s)


def finish(
    history: LoadMatrix,
    horizon: SlotGrid,
    quantiles: tuple[float, ...],
    values: FloatArray,
    model: str,
    scored: tuple[Int64Array, Int64Array, Int64Array] | None = None,
    *,
    beside_naive: BesideNaive | None = None,
    falling: BoolArray | None = None,
    members: tuple[tuple[MemberShare, ...], ...] = (),
    window_levels: WindowLevels | None = None,
) -> QuantileForecast:
    """Make the forecast: paths (series, slots, quantiles) in order, cold series without one, trust with its reasons.

    `scored` are the slots that were compared with forecasts made before, and how many of them lay above and below the
    band: each of shape (series, hours) as from `CheckedDays`, or (series,) of the last day alone; without it the band
    is not judged. `beside_naive` are past losses beside those of the weekly naive; `falling` (series,) says who is in
    a fall common to many that is held; `members` what each series' forecast is made of.
    """
    span_s, slots = _observed_span(history)
    known, above, below = (_by_hours(counts, len(history.series)) for counts in scored or (None, None, None))
    evidence = Evidence(
        span_s, slots, _missed_slots(history), _missed_lately(history), known, above, below, beside_naive, falling
    )
    trust, reasons = assess(evidence, history.grid.step_s)
    for start in range(0, len(history.series), _ROWS_AT_ONCE):
        paths = values[start : start + _ROWS_AT_ONCE]
        in_order(np.clip(paths, np.float32(0.0), _LARGEST, out=paths))
    values[is_cold(span_s, slots)] = np.nan
    newest = history.last_observed_s()
    return QuantileForecast(
        history.measure,
        history.series,
        horizon,
        quantiles,
        values,
        history.grid.end_s,
        newest,
        trust,
        reasons,
        model,
        members,
        window_levels,
    )


def _by_hours(counts: Int64Array | None, series: int) -> Int64Array:
    """Counts as (series, columns), with at least one."""
    if counts is None or counts.size == 0:
        return np.zeros((series, 1), dtype=np.int64)
    return counts if counts.ndim == 2 else counts[:, None]


def _observed_span(history: LoadMatrix) -> tuple[Int64Array, Int64Array]:
    """Seconds from the first observed slot to the issue, and the number of observed slots. Each (series,)."""
    span, slots = np.zeros((2, len(history.series)), dtype=np.int64)
    # By blocks of rows: a mask of the whole would be a quarter of the matrix on top of it.
    for start in range(0, slots.size if history.grid.slots else 0, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        observed = ~np.isnan(history.values[rows])
        slots[rows] = np.count_nonzero(observed, axis=1)
        span[rows] = np.where(slots[rows] > 0, history.grid.slots - np.argmax(observed, axis=1), 0)
    return span * history.grid.step_s, slots


def _missed_slots(history: LoadMatrix) -> npt.NDArray[np.int64]:
    """Slots since the newest observation that were observed a week earlier, or that have no earlier week. (series,)."""
    week = _WEEK_S // history.grid.step_s
    recent = min(history.grid.slots, week)
    if recent == 0:
        return np.zeros(len(history.series), dtype=np.int64)
    observed = ~np.isnan(history.values[:, -recent:])
    silent = ~np.logical_or.accumulate(observed[:, ::-1], axis=1)[:, ::-1]
    usual = np.ones_like(observed)
    before = history.values[:, max(0, history.grid.slots - 2 * week) : history.grid.slots - week]
    if before.shape[1] > 0:
        usual[:, -before.shape[1] :] = ~np.isnan(before)
    # Silent for a whole week: then the week before says nothing about what is usual.
    missed = np.where(silent.all(axis=1), recent, (silent & usual).sum(axis=1))
    return missed.astype(np.int64)


def _missed_lately(history: LoadMatrix) -> npt.NDArray[np.int64]:
    """The most slots in a row that were missed at any time of the last hours, like `_missed_slots`. Shape (series,).

    It looks back just far enough to tell a silence that counts; one that began before is told as too short.
    """
    step_s, week = history.grid.step_s, _WEEK_S // history.grid.step_s
    shortest = max(OLD_AFTER_S // step_s, OLD_AFTER_SLOTS) + 1
    recent = min(history.grid.slots, SEEN_AGAIN_S // step_s + shortest - 1)
    if recent == 0:
        return np.zeros(len(history.series), dtype=np.int64)
    observed = ~np.isnan(history.values[:, -recent:])
    usual = np.ones_like(observed)
    end = history.grid.slots - week
    if end > 0:
        before = history.values[:, max(0, end - recent) : end]
        usual[:, -before.shape[1] :] = ~np.isnan(before)
    missed = np.cumsum(usual & ~observed, axis=1, dtype=np.int64)
    # How many had been missed when it was last seen: what came before does not count.
    until_seen = np.maximum.accumulate(np.where(observed, missed, 0), axis=1)
    longest: npt.NDArray[np.int64] = (missed - until_seen).max(axis=1)
    return longest
