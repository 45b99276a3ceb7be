"""A business that halves, grows, closes or grows slowly in the middle of four weeks: how soon the lines hold again.

Every forecast of the next day is published four times a day, and learnt anew each day. The promise is that of the
95 % line: over a trailing day, 93 to 98 of 100 slots lie at or below it. Only series with more than two calls a slot
are looked at, before the break and after it: below that, counts are too coarse for any line to cover so exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.cases.laid_over import at_level, made_up, ramp_from, step_at
from bench.cases.replaying import NOT_SCORED, CaseRow, Published, Tally, published, some_of
from forecasting.backtest import QUANTILES
from forecasting.calendar import CivilCalendar
from forecasting.civil_time import civil_time
from forecasting.forecast import Forecaster
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray, Float32Array, LoadMatrix
from forecasting.origins import DAY_S, Origins, origins_of
from forecasting.scores import Float64Array

SOUND = (0.93, 0.98)
"""Where the coverage of the 95 % line should lie."""
WEEKS_TESTED_S = 28 * DAY_S
_LEAST_BEFORE_S = 21 * DAY_S
_BUSY_ABOVE = 4.0
"""Calls per slot on average, so that half of them are still enough for a line to be drawn between counts."""
_MADE_UP_WEEKS = 12
_MADE_UP_SIZES = np.geomspace(6.0, 400.0, 16)
_SEED = 20_191_103

Factors = Callable[[SlotGrid, int], Float64Array]
"""By which every slot is multiplied (slots,), from the grid and the slot where it breaks."""

BREAKS: Mapping[str, Factors] = {
    "x0.5": lambda grid, slot: step_at(grid, slot, 0.5),
    "x1.6": lambda grid, slot: step_at(grid, slot, 1.6),
}
"""The breaks after which the 95 % line has to hold again within days."""
LEVELS: Mapping[str, Factors] = {
    "x1.5": lambda grid, slot: step_at(grid, slot, 1.5),
    "x0, closed": lambda grid, slot: step_at(grid, slot, 0.0),
    "to x1.5 in 7 days": lambda grid, slot: ramp_from(grid, slot, 1.5, 7),
}
"""Other breaks, to be looked at day by day."""


@dataclass(slots=True)
class Coverage:
    """How many slots were looked at and lay at or below the 95 % line, by slot of the history. Each (slots,)."""

    slots: int
    known: Int64Array = field(init=False)
    covered: Int64Array = field(init=False)

    def __post_init__(self) -> None:
        self.known, self.covered = np.zeros((2, self.slots), dtype=np.int64)

    def add(self, forecast: Published, actual: Float32Array) -> None:
        """Add one forecast; `actual` (series, slots) is the whole history."""
        line, came = forecast.paths[..., QUANTILES.index(0.95)], actual[:, forecast.slots]
        known = ~(np.isnan(line) | np.isnan(came))
        self.known[forecast.slots] += known.sum(axis=0)
        self.covered[forecast.slots] += (known & (came <= line)).sum(axis=0)

    def trailing(self, ends: Int64Array, length: int) -> Float64Array:
        """The share that was covered in the `length` slots before each of `ends`; NaN where nothing was scored."""
        known, covered = (np.concatenate([[0], np.cumsum(part)]) for part in (self.known, self.covered))
        firsts = np.maximum(ends - length, 0)
        scored = known[ends] - known[firsts]
        share: Float64Array = np.where(
            scored > 0, (covered[ends] - covered[firsts]) / np.maximum(scored, 1), np.float64(np.nan)
        )
        return share


@dataclass(frozen=True, slots=True)
class Recovery:
    """From when on the trailing day was sound again, days after the break (NaN: never), and how often it was.

    `share_after` counts from then on, `share_before` the days before the break: no line is sound on every single day.
    """

    back_days: float
    share_before: float
    share_after: float

    @property
    def sentence(self) -> str:
        """What a reader is told."""
        after = f"sound again after {self.back_days:.2f} days, then {self.share_after:.0%} of the time"
        return f"{'never sound again' if np.isnan(self.back_days) else after}; before the break {self.share_before:.0%}"


def recovery(coverage: Coverage, origins: Int64Array, slot: int, step_s: int) -> Recovery:
    """How the coverage over a trailing day, looked at whenever a forecast is made, came back after a break at a slot.

    A trailing day that reaches back before the break says nothing of after it, and one that is sound on the way from
    too high to too low is not back: it has to stay sound for a day.
    """
    per_day = DAY_S // step_s
    shares = coverage.trailing(origins, per_day)
    with np.errstate(invalid="ignore"):
        sound = (shares >= SOUND[0]) & (shares <= SOUND[1])
    known = ~np.isnan(shares)
    before, after = known & (origins <= slot), known & (origins >= slot + per_day)
    unsound = np.concatenate([[0], np.cumsum(known & ~sound)])
    a_day_on = np.searchsorted(origins, origins + per_day, side="right")
    back = np.flatnonzero(after & sound & (unsound[a_day_on] == unsound[:-1]))
    # The first day of the test is scored by the forecasts of its own hours alone.
    before &= origins >= origins[0] + per_day
    if back.size == 0:
        return Recovery(float("nan"), _mean(sound[before]), 0.0)
    first = int(origins[back[0]])
    return Recovery((first - slot) * step_s / DAY_S, _mean(sound[before]), _mean(sound[after & (origins >= first)]))


def _mean(values: BoolArray) -> float:
    return float(values.mean()) if values.size else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Four weeks with a break in the middle. `slot` is where it breaks, `plain` what would have come without."""

    plain: LoadMatrix
    calendars: Sequence[CivilCalendar]
    origins: Origins
    slot: int
    laid_over: Callable[[Float64Array], LoadMatrix]

    @property
    def step_s(self) -> int:
        """The width of a slot, seconds."""
        return self.plain.grid.step_s

    def days_after(self) -> Int64Array:
        """The day since the break, 1 for the first, 0 for the two weeks before. Shape (slots,)."""
        slots = np.arange(self.plain.grid.slots)
        days = (slots - self.slot) * self.step_s // DAY_S + 1
        return np.where(slots < int(self.origins.slots[0]), NOT_SCORED, np.maximum(days, 0))


def stage_of(history: LoadMatrix, calendar: CivilCalendar, most_series: int) -> Stage | None:
    """The newest four weeks of a real history; None where it is too short or too quiet for a break to be seen."""
    if history.grid.slots * history.grid.step_s < WEEKS_TESTED_S + _LEAST_BEFORE_S:
        return None
    plain = some_of(history, most_series, above=_BUSY_ABOVE)
    if not plain.series:
        return None
    return _stage(plain, calendar, lambda factors: at_level(plain, factors, _SEED))


def made_up_stage() -> Stage:
    """Poisson counts of known rates, for which no real day's mood can be blamed."""
    slots = _MADE_UP_WEEKS * 7 * 48
    grid = SlotGrid(1_780_272_000 - slots * 1800, 1800, slots)

    def laid_over(factors: Float64Array) -> LoadMatrix:
        return made_up(grid, _MADE_UP_SIZES.tolist(), "UTC", _SEED, factors)

    return _stage(laid_over(np.ones(slots)), CivilCalendar(), laid_over)


def _stage(plain: LoadMatrix, calendar: CivilCalendar, laid_over: Callable[[Float64Array], LoadMatrix]) -> Stage:
    calendars = [calendar] * len(plain.series)
    origins = origins_of(plain, calendars, horizon_s=DAY_S, window_s=WEEKS_TESTED_S, open_time=True)
    middle = plain.grid.slots - WEEKS_TESTED_S // 2 // plain.grid.step_s
    # It breaks where a day begins, so that days before and after it are whole.
    days = civil_time(calendar.time_zone, plain.grid).local_day[origins.slots]
    first_of_day = origins.slots[np.flatnonzero(np.diff(days, prepend=-1))]
    slot = int(first_of_day[np.argmin(np.abs(first_of_day - middle))])
    return Stage(plain, calendars, origins, slot, laid_over)


def played(stage: Stage, models: Sequence[Forecaster], breaks: Mapping[str, Factors]) -> Iterator[CaseRow]:
    """Each model through each break: the two weeks before, each of the first seven days after, and the second week."""
    quiet = stage.origins.where(stage.origins.slots < stage.slot)
    # Before it breaks nobody knows of it: these forecasts are the same for all breaks.
    before = {model.name: list(published(stage.plain, stage.calendars, model, quiet)) for model in models}
    for name, factors in breaks.items():
        load = stage.laid_over(factors(stage.plain.grid, stage.slot))
        for model in models:
            yield from _broken(stage, model, name, load, before[model.name])


def _broken(
    stage: Stage, model: Forecaster, name: str, load: LoadMatrix, before: Sequence[Published]
) -> Iterator[CaseRow]:
    days = stage.days_after()
    tally = Tally(len(load.series), np.where(days > 7, 8, days), stage.step_s)
    coverage = Coverage(load.grid.slots)
    later = stage.origins.where(stage.origins.slots >= stage.slot)
    expected, medians = np.zeros((2, load.grid.slots))
    for forecast in [*before, *published(load, stage.calendars, model, later)]:
        tally.add(forecast, load.values)
        coverage.add(forecast, load.values)
        usual = stage.plain.values[:, forecast.slots]
        expected[forecast.slots] += np.nan_to_num(usual).sum(axis=0)
        median = forecast.paths[..., QUANTILES.index(0.5)]
        medians[forecast.slots] += np.where(np.isnan(usual), 0.0, np.nan_to_num(median)).sum(axis=0)
    found = tally.scores()
    for day, scores in found.items():
        when = {0: "two weeks before", 8: "days 8 to 14"}.get(day, f"day {day}")
        here = tally.group_of == day
        share = medians[here].sum() / max(expected[here].sum(), 1e-9)
        yield CaseRow(
            name, when, model.name, scores, scores.wape / found[0].wape, f"median at {share:.0%} of the old load"
        )
    # Without any load every line covers everything: nothing could be sound again.
    if np.nansum(load.values[:, stage.slot :]) > 0:
        note = recovery(coverage, stage.origins.slots, stage.slot, stage.step_s).sentence
        yield CaseRow(name, "trailing day", model.name, note=note)
