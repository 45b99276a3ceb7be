"""Forecasts published as a service would: learnt anew each day, made from nothing but what had been seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from forecasting.backtest import QUANTILES
from forecasting.calendar import CivilCalendar
from forecasting.forecast import Forecaster, TrainableForecaster
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import Float32Array, LoadMatrix
from forecasting.origins import DAY_S, Origins
from forecasting.scores import Scores, ScoreSums

NOT_SCORED = -1


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """A forecast made at slot `origin` of the leads `ahead` (leads,): `paths` (series, leads, quantiles)."""

    origin: int
    ahead: Int64Array
    paths: Float32Array

    @property
    def slots(self) -> Int64Array:
        """The slots that are forecast. Shape (leads,)."""
        return self.origin + self.ahead


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One line of the report: what was scored, when, by which model.

    `ratio` is the WAPE over that of what the case is compared with, NaN without; `note` is what else there is to say,
    or all there is where nothing is scored.
    """

    what: str
    when: str
    model: str
    scores: Scores | None = None
    ratio: float = float("nan")
    note: str = ""


def published(
    history: LoadMatrix,
    calendars: Sequence[CivilCalendar],
    model: Forecaster,
    origins: Origins,
    *,
    refit_s: int = DAY_S,
) -> Iterator[Published]:
    """The forecasts made at the origins, one after the other. A model that can be trained is, every `refit_s`."""
    ready, trained_at = model, None
    for origin, ahead in zip(origins.slots.tolist(), origins.ahead, strict=True):
        known = until_slot(history, origin)
        if isinstance(model, TrainableForecaster) and (
            trained_at is None or (origin - trained_at) * history.grid.step_s >= refit_s
        ):
            ready, trained_at = model.trained(known, calendars), origin
        horizon = known.grid.after(int(ahead[-1]) + 1)
        yield Published(origin, ahead, ready.forecast(known, calendars, horizon, QUANTILES).values[:, ahead])


def until_slot(history: LoadMatrix, slot: int) -> LoadMatrix:
    """The history before a slot."""
    grid = SlotGrid(history.grid.start_s, history.grid.step_s, slot)
    return LoadMatrix(history.measure, history.series, grid, history.values[:, :slot])


def some_of(history: LoadMatrix, most: int, *, above: float = 0.0) -> LoadMatrix:
    """At most so many series of all sizes, of those with a mean load above the one given."""
    known = ~np.isnan(history.values)
    total = np.nan_to_num(history.values).sum(axis=1, dtype=np.float64)
    mean = total / np.maximum(known.sum(axis=1), 1)
    by_size = np.argsort(mean, kind="stable")
    by_size = by_size[mean[by_size] > above]
    wanted = min(by_size.size, most)
    rows = np.sort(by_size[((np.arange(wanted) + 0.5) * by_size.size / max(wanted, 1)).astype(np.int64)])
    names = tuple(history.series[row] for row in rows)
    return LoadMatrix(history.measure, names, history.grid, history.values[rows])


@dataclass(slots=True)
class Tally:
    """Scores by group of slots. `group_of` (slots,) numbers each slot of the history, `NOT_SCORED` leaves it out."""

    series: int
    group_of: Int64Array
    step_s: int
    _sums: dict[int, ScoreSums] = field(default_factory=dict)

    def add(self, forecast: Published, actual: Float32Array) -> None:
        """Add one forecast; `actual` (series, slots) is the whole history."""
        slots = forecast.slots
        groups, came = self.group_of[slots], actual[:, slots]
        ends_s = (forecast.ahead + 1) * self.step_s
        for group in np.unique(groups[groups != NOT_SCORED]).tolist():
            scored = np.where(groups == group, came, np.float32(np.nan))
            sums = self._sums.setdefault(group, ScoreSums(self.series, QUANTILES))
            sums.add(scored, forecast.paths, ends_s)

    def scores(self) -> Mapping[int, Scores]:
        """The pooled scores of each group with anything scored, groups rising."""
        pooled = {group: self._sums[group].pooled() for group in sorted(self._sums)}
        return {group: scores for group, scores in pooled.items() if scores.slots}
