"""What training leaves behind, and how a chunk of series is seen through it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray
from forecasting.models.boosted import BoostedLaw
from forecasting.models.borrowed_week import borrowed_week
from forecasting.models.chunks import Chunk
from forecasting.models.features import Features, features_of
from forecasting.models.recent import UNREST_DAY, Past, past_of, unrest
from forecasting.models.regression import Correction, horizon_class
from forecasting.models.residual_law import ResidualLaw
from forecasting.models.shapes import WeeklyShapes
from forecasting.models.special_days import SpecialDays, place_special_days, without_special_days
from forecasting.models.spread import HORIZON_GROUPS, HOURS, hour_of_day, level_class, noise_of
from forecasting.models.week_layout import FloatArray
from forecasting.models.weekly_profile import learn_profile
from forecasting.quantile_lines import in_order

_RESTLESS = np.float32(3.0)
"""Typical residuals that a day lies off on average, and more, are no guide to other days."""
_OWN_NOISE = np.float32(0.02)
"""What is in common may lower an upper line by so much of its root: that much of it is mere noise of those sampled."""
_RETURNS = 0.25
"""How likely a fall far below what is usual is over in any slot ahead: an outage, a storm, a trunk that failed."""
_KNOTS = 48
"""Leads at which trees are asked: their answers change slowly along a path, and each costs a walk through them all."""


@dataclass(frozen=True, slots=True, eq=False)
class SeriesLearnt:
    """What was learnt of each series.

    `half_width` (series,) smoothing of the profile, slots; `spread` (series, 24) typical residual by local hour, in
    units of `noise_of` its root; `dispersion` (series,) of the count law; `counted` (series,) whether its values are
    whole events.
    """

    half_width: Int64Array
    special: SpecialDays
    spread: FloatArray
    dispersion: FloatArray
    counted: BoolArray

    def rows(self, rows: Int64Array) -> SeriesLearnt:
        """The same for some of the series."""
        return SeriesLearnt(
            self.half_width[rows],
            self.special.rows(rows),
            self.spread[rows],
            self.dispersion[rows],
            self.counted[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """Everything that a forecast needs besides the history itself. A few kilobytes, and a few hundred per series."""

    names: tuple[str, ...]
    grid: SlotGrid
    series: SeriesLearnt
    correction: Correction
    residuals: ResidualLaw
    boosted: BoostedLaw | None
    shapes: WeeklyShapes | None


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A chunk with its profile in place, ready to be read at any origin.

    `doubt` (series, slots) is the standard deviation that special days and borrowed weeks add, None without any;
    `borrowed` (series,) the share of typical weeks of others in the profile.
    """

    chunk: Chunk
    past: Past
    doubt: FloatArray | None
    borrowed: FloatArray


def view(
    chunk: Chunk,
    roots: FloatArray,
    half_width: Int64Array,
    special: SpecialDays,
    shapes: WeeklyShapes | None,
    *,
    first_week: int,
    until_now: bool,
    common: Past | None = None,
) -> View:
    """See a chunk's history: `roots` (series, slots of history), the profile kept from `first_week` on.

    `until_now`: the end of the history is forecast from, and not past origins; see `borrowed_week`. `common` is the
    past of what the series have in common, where they are many.
    """
    layout = chunk.layout
    ordinary = without_special_days(layout.weekly(roots), chunk.kinds)
    profile = learn_profile(ordinary, chunk.weekend, half_width, first_week=first_week)
    borrowed, borrowed_doubt, share = borrowed_week(
        ordinary, profile.level, shapes, chunk.weekend, first_week=first_week, until_now=until_now
    )
    if share.any():
        # Whose level is borrowed has no memories of its own.
        own = np.float32(1.0) - share[:, None, None]
        profile = replace(profile, newer=profile.newer * own, older=profile.older * own)
    level, doubt = place_special_days(borrowed, chunk, first_week, special)
    if borrowed_doubt is not None and borrowed_doubt.any():
        doubt = borrowed_doubt if doubt is None else np.hypot(doubt, borrowed_doubt)
    if doubt is not None:
        doubt = np.where(np.isnan(doubt), np.float32(0.0), doubt)
    is_special = (chunk.kinds > 0)[:, layout.day]
    base = layout.by_slot(level, first_week, np.float32(np.nan))
    past = past_of(layout, profile, chunk.weekend, roots, base, is_special, common)
    return View(chunk, past, None if doubt is None else layout.by_slot(doubt, first_week, np.float32(0.0)), share)


@dataclass(frozen=True, slots=True, eq=False)
class Centre:
    """Forecast roots (series, origins, leads) and their standard spread, with the leads' horizon classes (leads,).

    `features` with the profile, `hour` and `weekday`, each (origins, leads), `leads_s` (leads,), and `unrest` (series,
    origins, windows), how far off the profile the last hours and days were whichever way, are what trees read besides.
    `safe_root` (series, origins, leads) is what upper lines are drawn about: the root, hardly lowered by what befell
    others; the root itself where nothing is in common.
    """

    root: FloatArray
    safe_root: FloatArray
    spread: FloatArray
    horizon: Int64Array
    features: Features
    hour: FloatArray
    weekday: Int64Array
    leads_s: Int64Array
    unrest: FloatArray

    @property
    def base(self) -> FloatArray:
        """The profile, (series, origins, leads)."""
        return self.features.base

    @property
    def calm(self) -> BoolArray:
        """Where trees may learn and speak, (series, origins): the last day was no break that they cannot know of."""
        calm: BoolArray = self.unrest[..., UNREST_DAY] < _RESTLESS * self.spread.mean(axis=2)
        return calm

    def quantiles(
        self,
        residuals: ResidualLaw,
        wanted: tuple[float, ...],
        boosted: BoostedLaw | None = None,
        above: FloatArray | None = None,
    ) -> FloatArray:
        """Root quantiles, shape (series, origins, leads, wanted).

        With trees only where the root lies above `above` (series,): below, something else speaks.
        """
        scaled = residuals.quantiles(self.horizon, level_class(self.safe_root), wanted)
        if boosted is not None and above is not None:
            scaled += self._boosted(residuals, boosted, wanted, above)
            in_order(scaled)
        # The same array all the way: it has as many cells as there are slots and quantiles.
        scaled *= self.spread[..., None]
        scaled += self.root[..., None]
        self._not_lowered_by_others(scaled, wanted)
        self._may_return(scaled, residuals, wanted)
        return scaled

    def _not_lowered_by_others(self, lines: FloatArray, wanted: tuple[float, ...]) -> None:
        """Keep upper lines (series, origins, leads, wanted) where each series' own past draws them, or hardly lower.

        What lowers the mean of all may be a storm, or the failed trunk of some: nobody else may be sized by that.
        """
        if self.safe_root is not self.root:
            lines[..., upper_of(wanted)] += (self.safe_root - self.root)[..., None]

    def _may_return(self, lines: FloatArray, residuals: ResidualLaw, wanted: tuple[float, ...]) -> None:
        """Raise upper lines (series, origins, leads, wanted) where a day lay far below its ways: it may be over.

        With a chance of `_RETURNS` a slot ahead is as if nothing had been, so that a line which is to be crossed less
        often than that has to lie where the usual load crosses it as often as is left. Its noise is that of the load
        seen last: with that of the usual one the lines of tweets and taxis lay too high (pin99 by a hundredth).
        """
        upper = upper_of(wanted)
        restless = ~self.calm
        if not upper or not restless.any():
            return
        at = np.nonzero(restless[:, :, None] & (self.root < self.base))
        levels = tuple(1 - (1 - wanted[index]) / _RETURNS for index in upper)
        usual = residuals.quantiles(self.horizon[at[2]], level_class(self.base[at]), levels)
        usual *= self.spread[at][:, None]
        usual += self.base[at][:, None]
        raised = lines[at]
        raised[:, upper] = np.maximum(raised[:, upper], usual)
        lines[at] = raised

    def context(self, at: tuple[Int64Array, Int64Array, Int64Array]) -> FloatArray:
        """What trees read at cells (series, origin, lead): in units of the spread, so that all sizes are alike."""
        series, origin, lead = at
        root, spread = self.root[at], self.spread[at]
        told = (
            self.leads_s[lead] / 3600,
            self.hour[origin, lead],
            self.weekday[origin, lead],
            root,
            spread,
            (root - self.base[at]) / spread,
        )
        columns = np.stack([np.asarray(column, dtype=np.float32) for column in told], axis=-1)
        in_spreads = [self.features.own_at(at) / spread[:, None], self.unrest[series, origin] / spread[:, None]]
        return np.concatenate([*in_spreads, columns], axis=-1)

    def _boosted(
        self, residuals: ResidualLaw, boosted: BoostedLaw, wanted: tuple[float, ...], above: FloatArray
    ) -> FloatArray:
        """The correction of every cell, from trees asked at some leads: between them it glides."""
        series, origins, leads = self.root.shape
        knots = np.unique(np.linspace(0, leads - 1, min(leads, _KNOTS)).round().astype(np.int64))
        found = np.zeros((series, origins, knots.size, len(wanted)), dtype=np.float32)
        root = self.root[:, :, knots]
        # Nor are they asked where held-out weeks left none of what they say.
        heard = boosted.shares[HORIZON_GROUPS[self.horizon[knots]], level_class(root)] > 0
        which = np.nonzero(heard & (root > above[:, None, None]) & self.calm[:, :, None])
        if which[0].size:
            at = (which[0], which[1], knots[which[2]])
            levels = level_class(self.root[at])
            found[which] = boosted.correction(self.context(at), self.horizon[at[2]], levels, residuals, wanted)
        if knots.size == leads:
            return found
        after = np.clip(np.searchsorted(knots, np.arange(leads)), 1, knots.size - 1)
        share = ((np.arange(leads) - knots[after - 1]) / (knots[after] - knots[after - 1])).astype(np.float32)
        between: FloatArray = found[:, :, after - 1] + share[:, None] * (found[:, :, after] - found[:, :, after - 1])
        return between


def centre(seen: View, correction: Correction, spread: FloatArray, origins: Int64Array, leads: Int64Array) -> Centre:
    """Forecast the slots `leads` (leads,) after each origin (origins,); lead 0 is the first slot ahead."""
    layout = seen.past.layout
    targets = np.minimum(origins[:, None] + leads, layout.day.size - 1)
    leads_s = (leads + 1) * layout.step_s
    features = features_of(seen.past, origins, targets)
    root = safe_root = correction.at(features, leads_s)
    if features.common is not None:
        safe_root = np.maximum(root, (np.float32(1.0) - _OWN_NOISE) * correction.at_alone(features, leads_s))
    hours = hour_of_day(layout.time.slot_of_day[targets], layout.slots_per_day)
    width = spread[:, hours] * noise_of(safe_root)
    if seen.doubt is not None:
        width = np.hypot(width, seen.doubt[:, targets])
    return Centre(
        root=root,
        safe_root=safe_root,
        spread=width,
        horizon=horizon_class(leads_s),
        features=features,
        hour=(layout.time.slot_of_day[targets] * HOURS / layout.slots_per_day).astype(np.float32),
        weekday=layout.time.weekday[targets],
        leads_s=leads_s,
        unrest=unrest(seen.past, origins),
    )


def upper_of(wanted: tuple[float, ...]) -> list[int]:
    """Which of the quantiles wanted are upper lines, that fleets are sized by."""
    return [index for index, level in enumerate(wanted) if 1 - level < _RETURNS]
