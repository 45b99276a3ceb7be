"""What the deviation ahead is told by: how the last minutes, hours and days were off, and what other memories say.

Most of it is the same for every slot ahead of an origin, or the same share of the profile there. It is kept so, since
an array of all features at all slots ahead would be the largest of a forecast by far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.grid import Int64Array
from forecasting.models.recent import UNREST_S, Past, mean_before
from forecasting.models.week_layout import FloatArray

_DAY_S = 86400
_WINDOWS_S = (900, 3600, 3 * 3600, _DAY_S, 7 * _DAY_S)
_SHARE_WINDOWS_S = (3 * 3600, _DAY_S)
_COMMON_WINDOWS_S, _COMMON_USUAL_S = (900, 3600, 3 * 3600, _DAY_S), 7 * _DAY_S
LONGEST_WINDOW_S = max(*_WINDOWS_S, *_COMMON_WINDOWS_S, _COMMON_USUAL_S, *UNREST_S)
"""No origin looks further back than this for what is off."""
_NEARBY_S = 3600
VARYING = ("day group", "newer weeks", "older weeks", "yesterday")
ALIKE = tuple(f"mean {window_s} s" for window_s in _WINDOWS_S)
SHARES = tuple(f"share {window_s} s" for window_s in _SHARE_WINDOWS_S)
OWN = (*VARYING, *ALIKE, *SHARES)
COMMON = tuple(f"common share {window_s} s" for window_s in _COMMON_WINDOWS_S)
FEATURES = (*OWN, *COMMON)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The profile and all features at some origins and leads, on the root scale, 0 where unknown.

    `base` (series, origins, leads) is the profile. `varying` (series, origins, leads, VARYING) is told slot by slot,
    `alike` (series, origins, ALIKE) is the same at all leads, and of `shares` (series, origins, SHARES) the feature is
    so much of the profile. So it is of `common` (1, origins, COMMON), which is that of all series; None where these are
    too few to have anything in common.
    """

    base: FloatArray
    varying: FloatArray
    alike: FloatArray
    shares: FloatArray
    common: FloatArray | None

    def own_at(self, cells: tuple[Int64Array, Int64Array, Int64Array]) -> FloatArray:
        """What some cells (series, origin, lead) are told by their own past, as (cells, OWN)."""
        series, origin, _ = cells
        parts = (
            self.varying[cells],
            self.alike[series, origin],
            self.shares[series, origin] * self.base[cells][:, None],
        )
        return np.concatenate(parts, axis=1)

    def everywhere(self) -> FloatArray:
        """All features of all cells, (series, origins, leads, FEATURES)."""
        alike = np.broadcast_to(self.alike[:, :, None], (*self.base.shape, len(ALIKE)))
        nothing = np.zeros((1, self.base.shape[1], len(COMMON)), dtype=np.float32)
        common = np.broadcast_to(nothing if self.common is None else self.common, (*self.base.shape[:2], len(COMMON)))
        shares = np.concatenate((self.shares, common), axis=-1)[:, :, None] * self.base[..., None]
        return np.concatenate((self.varying, alike, shares), axis=-1)


def features_of(past: Past, origins: Int64Array, targets: Int64Array) -> Features:
    """Profile and features as known at the origins for the targets.

    `origins` (origins,) and `targets` (origins, leads) are slots; a feature uses nothing at or after its origin.
    """
    layout, profile = past.layout, past.profile
    group = past.weekend[targets].astype(np.int64)
    slot_of_day = layout.time.slot_of_day[targets]
    first_day = profile.first_week * 7
    # At the end of the data an origin has no slot of its own: it is the start of the first slot ahead.
    day = np.clip(layout.day[np.minimum(origins, layout.day.size - 1)] - first_day, 0, profile.daily.shape[1] - 1)
    daily = profile.daily[:, day[:, None], group, slot_of_day]
    base = past.base[:, targets]
    if np.isnan(base).any():
        other = profile.daily[:, day[:, None], 1 - group, slot_of_day]
        fallback = np.where(np.isnan(daily), np.where(np.isnan(other), past.typical()[:, :, None], other), daily)
        base = np.where(np.isnan(base), fallback, base)
    varying = np.empty((*base.shape, len(VARYING)), dtype=np.float32)
    cell = layout.cell[targets] - first_day * layout.slots_per_day
    varying[..., 0] = daily - base
    varying[..., 1] = _at_cells(profile.newer, cell)
    varying[..., 2] = _at_cells(profile.older, cell)
    # On special days the base is no ordinary week, and memories of those say nothing of it.
    varying[..., :3][past.special[:, targets]] = 0.0
    varying[..., 3] = _yesterday(past, origins, targets)
    np.nan_to_num(varying, copy=False, nan=0.0)
    common = None if past.common is None else _common_shares(past.common, origins)
    return Features(base, varying, *_windows(past, origins), common)


def _at_cells(weekly: FloatArray, cell: Int64Array) -> FloatArray:
    found: FloatArray = weekly.reshape(weekly.shape[0], -1)[:, cell]
    return found


def _windows(past: Past, origins: Int64Array) -> tuple[FloatArray, FloatArray]:
    """What is alike at all leads, and what is a share of the profile: (series, origins, …) each."""
    step_s = past.layout.step_s
    means = {
        window_s: mean_before(
            past.deviation if window_s < _DAY_S else past.ordinary_deviation, origins, window_s, step_s
        )
        for window_s in _WINDOWS_S
    }
    shares = [_share(means[window_s], past, origins, window_s) for window_s in _SHARE_WINDOWS_S]
    return np.stack([means[window_s] for window_s in _WINDOWS_S], axis=-1), np.stack(shares, axis=-1)


def _share(mean: FloatArray, past: Past, origins: Int64Array, window_s: int) -> FloatArray:
    """A window's mean deviation as a share of the profile there: (series, origins)."""
    usual = mean_before(past.level, origins, window_s, past.layout.step_s)
    share: FloatArray = np.divide(mean, np.maximum(usual, np.float32(1.0)), dtype=np.float32)
    return share


def _common_shares(common: Past, origins: Int64Array) -> FloatArray:
    """How much more is in common than in the week before: (1, origins, COMMON).

    What has lasted for a week is in each tenant's own deviations, and may be of some of them only.
    """
    step_s = common.layout.step_s

    def share(window_s: int) -> FloatArray:
        return _share(mean_before(common.ordinary_deviation, origins, window_s, step_s), common, origins, window_s)

    usual = share(_COMMON_USUAL_S)
    return np.stack([share(window_s) - usual for window_s in _COMMON_WINDOWS_S], axis=-1)


def _yesterday(past: Past, origins: Int64Array, targets: Int64Array) -> FloatArray:
    """Deviation around the same time on the newest day that was complete at the origin."""
    step_s = past.layout.step_s
    nearby = max(1, round(_NEARBY_S / step_s))
    day = max(1, round(_DAY_S / step_s))
    days_back = -(-(targets - origins[:, None] + nearby + 1) // day)
    same_time = targets - days_back * day
    return past.deviation.mean(same_time - nearby, same_time + nearby + 1)
