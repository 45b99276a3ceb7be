"""Rows that no real tenant should show and some day does: each a function of the number of slots and a generator."""

from __future__ import annotations

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.forecast import Trust

CALENDARS = (
    CivilCalendar(),
    CivilCalendar("America/New_York", "US", "NY"),
    CivilCalendar("Asia/Kathmandu", "IL"),
    CivilCalendar("Asia/Jerusalem", "IL"),
    CivilCalendar("Australia/Lord_Howe", "AU"),
    CivilCalendar("Asia/Riyadh", "SA"),
)
"""Whole and odd offsets, clocks that change by an hour or by half of one, weekends of other days."""


def constant(slots, rng):
    return np.full(slots, rng.choice([0.0, 0.3, 7.0, 1e9, 3e38]))


def single_point(slots, rng):
    row = np.full(slots, np.nan)
    if slots:
        row[rng.integers(slots)] = rng.choice([0.0, 5.0, 1e9])
    return row


def spiky(slots, rng):
    row = rng.poisson(2.0, slots).astype(float)
    row[rng.random(slots) < 0.02] = 1e9
    return row


def masked(slots, rng):
    row = rng.poisson(20.0, slots).astype(float)
    row[rng.random(slots) < rng.random()] = np.nan
    return row


def newly_begun(slots, rng):
    row = rng.gamma(2.0, 3.0, slots)
    row[: slots - min(slots, int(rng.integers(1, 60)))] = np.nan
    return row


def fallen_silent(slots, rng):
    row = rng.poisson(9.0, slots).astype(float)
    row[slots // 2 :] = np.nan
    return row


def nothing_then_a_flood(slots, rng):
    row = np.zeros(slots)
    row[slots - min(slots, int(rng.integers(1, 30))) :] = 10.0 ** rng.integers(0, 38)
    return row


def barely_there(slots, rng):
    return rng.random(slots) * 1e-42


def from_one_end_to_the_other(slots, rng):
    row = np.where(np.arange(slots) % 2 == 0, 0.0, 3e38)
    row[rng.random(slots) < 0.1] = np.nan
    return row


def never_seen(slots, rng):
    return np.full(slots, np.nan)


ROWS = (
    constant,
    single_point,
    spiky,
    masked,
    newly_begun,
    fallen_silent,
    nothing_then_a_flood,
    barely_there,
    from_one_end_to_the_other,
    never_seen,
)


def values_of(rows, slots, rng):
    """These rows one above the other, shape (rows, slots)."""
    with np.errstate(under="ignore"):
        return np.array([row(slots, rng) for row in rows], dtype=np.float32).reshape(len(rows), slots)


def check_promises(forecast):
    """Every series that is not cold has a path: finite, not negative, not falling from one line to the next."""
    warm = forecast.values[[trust is not Trust.COLD for trust in forecast.trust]]
    assert np.isfinite(warm).all()
    assert (warm >= 0).all()
    assert (np.diff(warm, axis=2) >= 0).all()
    assert all(forecast.trust_reasons)
