"""Tenants with little history of their own beside mature ones: how good is the next day after hours, days, weeks?

A quarter of a file's series, of all sizes, forget what they were before a given age, and are forecast a day ahead from
each midnight of the newest week, at that age. Before they have a day of their own there is no path; what was announced
of them is all there is: endpoints, learnt against those of the mature ones. The endpoints are made up, from the load
and an error that sizes in contracts have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from bench.cases.clocks import at_midnights
from bench.cases.replaying import CaseRow, Published, Tally, some_of, until_slot
from forecasting.announced import DEFAULT_CHANNELS_PER_ENDPOINT, AnnouncedTenant, with_announced
from forecasting.backtest import QUANTILES
from forecasting.calendar import CivilCalendar
from forecasting.civil_time import civil_time
from forecasting.forecast import Forecaster, TrainableForecaster
from forecasting.grid import Int64Array
from forecasting.load import LoadMatrix
from forecasting.models.seasonal_naive import SeasonalNaive
from forecasting.origins import DAY_S, Origins
from forecasting.scores import Scores

AGES_S: Mapping[str, int] = {
    "1 d": DAY_S,
    "3 d": 3 * DAY_S,
    "7 d": 7 * DAY_S,
    "14 d": 14 * DAY_S,
    "28 d": 28 * DAY_S,
}
ANNOUNCED_AGES_S: Mapping[str, int] = {"0 h": 0, "6 h": DAY_S // 4}
"""Ages at which nothing but what was announced gives a path."""
_EVERY = 4
_FEWEST_SERIES = 12
_LEAST_WEEKS = 6
_SIZE_ERROR = 0.4
"""Standard deviation of the logarithm of a stated size."""
_BUSY_TIMES_MEAN = 2.5
_SEED = 20_150_921
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Nursery:
    """The mature and the newborn series of a file. `newborn` names the latter; `origins` are the midnights."""

    history: LoadMatrix
    calendar: CivilCalendar
    newborn: tuple[str, ...]
    origins: Origins

    @property
    def rows(self) -> Int64Array:
        """The rows of the newborn series in the history."""
        return np.array([self.history.series.index(name) for name in self.newborn], dtype=np.int64)

    def aged(self, slot: int, age_s: int) -> LoadMatrix:
        """What is known at a slot when the newborn ones came into the world so long before."""
        known = until_slot(self.history, slot)
        values = known.values.copy()
        values[self.rows, : max(0, slot - age_s // known.grid.step_s)] = np.nan
        return LoadMatrix(known.measure, known.series, known.grid, values)


def nursery_of(history: LoadMatrix, calendar: CivilCalendar, most_series: int) -> Nursery | None:
    """The newborn ones of a file; None with too few series or too little history to be mature beside them."""
    grid = history.grid
    if len(history.series) < _FEWEST_SERIES or grid.slots * grid.step_s < _LEAST_WEEKS * 7 * DAY_S:
        return None
    kept = some_of(history, _EVERY * most_series)
    total = np.nan_to_num(kept.values).sum(axis=1, dtype=np.float64)
    newborn = tuple(kept.series[row] for row in np.sort(np.argsort(total, kind="stable")[_EVERY // 2 :: _EVERY]))
    last = int(civil_time(calendar.time_zone, grid).local_day[-1])
    days = [_EPOCH + timedelta(last - days) for days in range(7, 0, -1)]
    return Nursery(kept, calendar, newborn, at_midnights(grid, days, calendar.time_zone))


def played(
    history: LoadMatrix, calendar: CivilCalendar, models: Sequence[Forecaster], most_series: int
) -> Iterator[CaseRow]:
    """The newborn series alone by age, each with its WAPE over that of its whole history."""
    nursery = nursery_of(history, calendar, most_series)
    if nursery is None:
        return
    what = f"{len(nursery.newborn)} of {len(nursery.history.series)} series"
    for age, age_s in ANNOUNCED_AGES_S.items():
        yield CaseRow(what, age, "announced", _scores(nursery, by_what_was_said(nursery, age_s)))
    for model in models:
        mature = _scores(nursery, by_age(nursery, model, history.grid.slots * history.grid.step_s))
        for age, age_s in AGES_S.items():
            scores = _scores(nursery, by_age(nursery, model, age_s))
            yield CaseRow(what, age, model.name, scores, scores.wape / mature.wape)
        yield CaseRow(what, "all of it", model.name, mature, 1.0)


def _scores(nursery: Nursery, forecasts: Iterator[Published]) -> Scores:
    slots = nursery.history.grid.slots
    tally = Tally(len(nursery.newborn), np.zeros(slots, dtype=np.int64), nursery.history.grid.step_s)
    actual = nursery.history.values[nursery.rows]
    for forecast in forecasts:
        tally.add(forecast, actual)
    return tally.scores()[0]


def by_age(nursery: Nursery, model: Forecaster, age_s: int) -> Iterator[Published]:
    """The newborn ones' forecasts at each midnight, at this age; learnt at the first, beside the mature ones."""
    calendars = [nursery.calendar] * len(nursery.history.series)
    ready: Forecaster | None = None
    for origin, ahead in zip(nursery.origins.slots.tolist(), nursery.origins.ahead, strict=True):
        known = nursery.aged(origin, age_s)
        if ready is None:
            ready = model.trained(known, calendars) if isinstance(model, TrainableForecaster) else model
        paths = ready.forecast(known, calendars, known.grid.after(ahead.size), QUANTILES).values
        yield Published(origin, ahead, paths[nursery.rows])


def by_what_was_said(nursery: Nursery, age_s: int) -> Iterator[Published]:
    """The same from the endpoints that were announced, each newborn one as a fleet of its own."""
    sizes = _endpoints(nursery.history)
    local_day = civil_time(nursery.calendar.time_zone, nursery.history.grid).local_day
    long_ago = _EPOCH + timedelta(int(local_day[0]))
    mature = [AnnouncedTenant(name, long_ago, size) for name, size in sizes.items() if name not in nursery.newborn]
    members = {name: [name] for name in nursery.newborn}
    calendars = dict.fromkeys(nursery.newborn, nursery.calendar)
    for origin, ahead in zip(nursery.origins.slots.tolist(), nursery.origins.ahead, strict=True):
        known = nursery.aged(origin, age_s)
        born = _EPOCH + timedelta(int(local_day[origin - age_s // known.grid.step_s]))
        announced = {name: [AnnouncedTenant(name, born, sizes[name]), *mature] for name in nursery.newborn}
        own = LoadMatrix(known.measure, nursery.newborn, known.grid, known.values[nursery.rows])
        cold = SeasonalNaive().forecast(own, list(calendars.values()), known.grid.after(ahead.size), QUANTILES)
        said = with_announced(cold, known, members, calendars, announced)
        yield Published(origin, ahead, said.values)


def _endpoints(history: LoadMatrix) -> dict[str, int]:
    """A stated size for each series: what its busy hours need, as a multiple of its mean, and an error.

    Not a high quantile of its own: of a sparse series that is one call or none, and tells no size.
    """
    random = np.random.default_rng(_SEED)
    known = ~np.isnan(history.values)
    mean = np.nan_to_num(history.values).sum(axis=1, dtype=np.float64) / np.maximum(known.sum(axis=1), 1)
    stated = _BUSY_TIMES_MEAN * mean / DEFAULT_CHANNELS_PER_ENDPOINT * random.lognormal(0.0, _SIZE_ERROR, mean.size)
    return {name: max(1, round(float(size))) for name, size in zip(history.series, stated, strict=True)}
