"""Tenants without a history: added from their day on, by a size learnt or stated, and gone as their own calls come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest

from forecasting.announced import STAYS_AWAY_S, AnnouncedTenant, with_announced
from forecasting.calendar import CivilCalendar
from forecasting.forecast import QuantileForecast, Trust
from forecasting.load import Float32Array, LoadMatrix, Measure, fleet_sums
from forecasting.models import default_forecaster
from tests.forecasting.histories import DAY_S, HOUR_S, counts, days_before, instant, office_rates

BERLIN = CivilCalendar("Europe/Berlin")
MONDAY = "2026-03-02"
INITECH = AnnouncedTenant("initech", date(2026, 3, 3), 400, 0.25)
FLEET, OTHER = "voice/a", "voice/b"
MEMBERS = {FLEET: ("acme", "globex", "initech"), OTHER: ("hooli",)}
NAMES = ("acme", "globex", "hooli")


def history(days: int = 42, end: str = MONDAY, **rows: Float32Array) -> LoadMatrix:
    """Three offices of about a hundred channels, and the rows given."""
    grid = days_before(end, days, zone="Europe/Berlin")
    offices = counts(office_rates(grid, "Europe/Berlin"), 3)
    values = np.concatenate([offices, *(row[None].astype(np.float32) for row in rows.values())])
    return LoadMatrix(Measure.CHANNELS, (*NAMES, *rows), grid, values)


def forecast_of(load: LoadMatrix, hours: int = 48) -> QuantileForecast:
    sums = fleet_sums(load, MEMBERS)
    return default_forecaster().forecast(sums, [BERLIN] * 2, sums.grid.after(hours))


def added(
    load: LoadMatrix, *announced: AnnouncedTenant, hours: int = 48, before: QuantileForecast | None = None
) -> tuple[QuantileForecast, QuantileForecast]:
    """The forecasts before and with the announced tenants."""
    before = before or forecast_of(load, hours)
    calendars = {FLEET: BERLIN, OTHER: BERLIN}
    return before, with_announced(before, load, MEMBERS, calendars, {FLEET: announced, OTHER: announced})


def difference(forecasts: tuple[QuantileForecast, QuantileForecast], quantile: float = 0.5) -> Float32Array:
    before, after = forecasts
    return after.path(FLEET, quantile) - before.path(FLEET, quantile)


def row_since(load: LoadMatrix, since_s: int, busy: float) -> Float32Array:
    """A row that begins at this instant, like the offices at this busy rate."""
    rates = office_rates(load.grid, "Europe/Berlin", busy=busy, quiet=busy / 25)
    return np.where(load.grid.starts_s >= since_s, rates, np.nan).astype(np.float32)


def test_its_load_begins_on_its_local_day_in_its_fleet_alone():
    before, after = added(history(), INITECH)
    more = difference((before, after))
    assert not more[:24].any(), "Monday is not its day yet"
    busy = more[24 + 9 : 24 + 17]
    np.testing.assert_allclose(busy, 400 * 0.25, rtol=0.12)
    assert (more[24:33] < 15).all(), "its night is as quiet as that of the other offices"
    assert np.array_equal(after.path(OTHER, 0.95), before.path(OTHER, 0.95))


def test_it_is_added_with_a_wide_band():
    _, after = forecasts = added(history(), INITECH)
    noon = 24 + 12
    assert difference(forecasts, 0.95)[noon] > 1.5 * difference(forecasts)[noon]
    assert (np.diff(after.values, axis=2) >= 0).all()


def test_the_reason_says_who_is_added_and_by_what():
    _, after = added(history(), INITECH)
    assert after.trust_reasons[0].endswith(
        "initech is announced for 2026-03-03 with 400 endpoints and is added with 0.25 channels each in the busy hour "
        "(as the policy says)"
    )
    assert "announced" not in after.trust_reasons[1]


def test_load_per_endpoint_is_learnt_from_tenants_of_known_size():
    peers = [AnnouncedTenant(name, date(2025, 1, 1), 1000) for name in ("acme", "globex")]
    learnt = added(history(), INITECH, *peers)
    assert "learnt from 2 of known size" in learnt[1].trust_reasons[0]
    np.testing.assert_allclose(difference(learnt)[24 + 12], 400 * 0.1, rtol=0.15)


def test_the_more_tenants_of_known_size_agree_the_narrower_it_is():
    one, two = ([AnnouncedTenant(name, date(2025, 1, 1), 1000) for name in NAMES[:n]] for n in (1, 3))
    load = history()
    wide, narrow = (difference(added(load, INITECH, *peers), 0.99)[36] for peers in (one, two))
    assert narrow < wide


def test_a_size_that_nobody_stated_is_taken_large_and_said_so():
    unstated = AnnouncedTenant("initech", date(2026, 3, 3), 400)
    _, after = forecasts = added(history(), unstated)
    np.testing.assert_allclose(difference(forecasts)[24 + 12], 400 * 0.2, rtol=0.12)
    assert "a cautious default" in after.trust_reasons[0]


def test_calls_a_second_follow_from_stated_channels():
    load = history()
    rate = LoadMatrix(Measure.CALL_RATE, load.series, load.grid, load.values / np.float32(100))
    forecasts = added(rate, INITECH)
    np.testing.assert_allclose(difference(forecasts)[24 + 12], 400 * 0.25 / 180, rtol=0.12)
    assert "calls per second each" in forecasts[1].trust_reasons[0]


def test_several_that_are_announced_are_as_uncertain_as_one_of_their_size():
    # Whoever guesses one too small guesses all of them so.
    halves = [AnnouncedTenant(name, date(2026, 3, 3), 200, 0.25) for name in ("initech", "umbrella")]
    load, calendars = history(), {FLEET: BERLIN, OTHER: BERLIN}
    before = forecast_of(load)
    members = {**MEMBERS, FLEET: (*MEMBERS[FLEET], "umbrella")}
    both = with_announced(before, load, members, calendars, {FLEET: halves})
    whole = with_announced(before, load, members, calendars, {FLEET: [INITECH]})
    np.testing.assert_allclose(both.values, whole.values, rtol=1e-4)


def share_left(since: str, now: str) -> float:
    """How much of the announced load is added when the tenant was first seen then."""
    grid = history(end=now).grid
    row = row_since(history(end=now), instant(since, "Europe/Berlin"), 100.0)
    assert row.shape == (grid.slots,)
    load = history(end=now, initech=row)
    noon = 36 if now != MONDAY else 12
    nobody = np.full_like(row, np.nan)
    whole = difference(added(history(end=now, initech=nobody), INITECH, before=forecast_of(load)))[noon]
    return float(difference(added(load, INITECH))[noon] / whole)


@pytest.mark.parametrize(
    ("now", "least", "most"), [("2026-03-03 12:00", 1, 1), ("2026-03-07", 0.4, 0.7), ("2026-03-10 01:00", 0, 0)]
)
def test_it_goes_in_its_first_week_as_its_own_calls_come(now: str, least: float, most: float):
    assert least - 0.01 <= share_left("2026-03-03", now) <= most + 0.01


def test_test_calls_before_its_day_do_not_end_the_announcement():
    row = row_since(history(), instant("2026-02-02", "Europe/Berlin"), 1.0)
    np.testing.assert_allclose(difference(added(history(initech=row), INITECH))[36], 100, rtol=0.12)


@pytest.mark.parametrize(("late_s", "is_expected"), [(-HOUR_S, True), (HOUR_S, False)])
def test_a_tenant_that_does_not_come_is_expected_for_two_weeks(late_s: int, is_expected: bool):
    end_s = instant("2026-03-03", "Europe/Berlin") + STAYS_AWAY_S + late_s
    days = 42
    grid = history().grid
    load = history(end="2026-03-17")
    shifted = type(grid)(end_s - days * DAY_S, HOUR_S, days * 24)
    load = LoadMatrix(load.measure, load.series, shifted, load.values)
    assert difference(added(load, INITECH)).any() == is_expected


def test_a_fleet_of_announced_tenants_alone_is_learning_and_nothing_before_their_day():
    load = history()
    members = {"voice/new": ("initech",)}
    sums = fleet_sums(load, members)
    cold = default_forecaster().forecast(sums, [BERLIN], sums.grid.after(48))
    assert cold.trust == (Trust.COLD,)
    after = with_announced(cold, load, members, {"voice/new": BERLIN}, {"voice/new": [INITECH]})
    assert after.trust == (Trust.LEARNING,)
    path = after.path("voice/new", 0.95)
    assert not path[:24].any()
    assert path[24 + 12] > 100


@pytest.mark.parametrize("days", [0, 1])
def test_without_any_mature_tenant_every_hour_is_a_busy_one(days: int):
    load = history(days=days)
    before = forecast_of(load)
    calendars = {FLEET: BERLIN, OTHER: BERLIN}
    after = with_announced(before, load, MEMBERS, calendars, {FLEET: [INITECH]})
    assert (after.path(FLEET, 0.5)[24:] >= 100).all()


def test_without_announced_tenants_the_forecast_is_untouched():
    before, after = added(history())
    assert np.array_equal(after.values, before.values)
    assert after.trust_reasons == before.trust_reasons


def lists() -> Sequence[Sequence[AnnouncedTenant]]:
    return [[AnnouncedTenant("nobody", date(2026, 3, 1), 10)], [AnnouncedTenant("hooli", date(2020, 1, 1), 10)]]


@pytest.mark.parametrize("listed", lists())
def test_those_who_serve_elsewhere_or_began_long_ago_are_not_added(listed: Sequence[AnnouncedTenant]):
    before, after = added(history(), *listed)
    assert np.array_equal(after.values, before.values)


@pytest.mark.parametrize("row", [np.nan, 0.0, 3e38], ids=["nothing", "zero", "huge"])
def test_odd_neighbours_leave_finite_paths(row: float):
    load = history(umbrella=np.full(42 * 24, row))
    members = {FLEET: ("umbrella", "initech")}
    sums = fleet_sums(load, members)
    before = default_forecaster().forecast(sums, [BERLIN], sums.grid.after(48))
    known = AnnouncedTenant("umbrella", date(2020, 1, 1), 10)
    after = with_announced(before, load, members, {FLEET: BERLIN}, {FLEET: [INITECH, known]})
    assert np.isfinite(after.values).all()
    assert (after.path(FLEET, 0.5)[24 + 9 : 24 + 17] >= 90).all()
