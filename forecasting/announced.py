"""Tenants that are known before they have a history: announced for a day, with a number of endpoints.

A customer of four hundred telephones that begins on Monday is no surprise to those who signed the contract, only to a
model that waits for calls. What is said of it is little, so the load that it adds to its fleet is the usual week of
those around it at a load per endpoint learnt from tenants of known size, with a width that owns up to the rest. It
goes as the tenant's own history comes, and it goes too when the tenant does not come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from statistics import NormalDist
from zoneinfo import ZoneInfo

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.explanation import BLENDED_S, with_announced_share
from forecasting.forecast import QuantileForecast, Trust
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, LoadMatrix, Measure
from forecasting.models.chunks import chunks_of
from forecasting.models.scale import counts_per_unit
from forecasting.models.shapes import CellSums, learn_shapes
from forecasting.models.special_days import without_special_days
from forecasting.models.week_layout import Float64Array, week_layout

DEFAULT_CHANNELS_PER_ENDPOINT = 0.2
"""Channels in use per endpoint in the busy hour when nothing is known: offices have about half of it."""
USUAL_CALL_S = 180
"""Length of a call by which a stated number of channels becomes a rate of calls."""
STAYS_AWAY_S = 14 * 86400
"""A tenant that is not seen for so long after its day is not expected any more."""

_DAY_S = 86400
_ALONE_FROM_S, _ALONE_S = _DAY_S, 7 * _DAY_S
"""The announced load is whole for the tenant's first day and has gone after its first week: the sum knows it then."""
_WEEKS_LEARNT = 4
_SERIES_LEARNT = 256
_HOURS = 168
_LARGEST = 1e38
_STATED_DEVIATION, _DEFAULT_DEVIATION = 0.5, 0.7
_PRIOR_TENANTS = 2
"""Tenants of known size that the stated deviation is worth beside those that were measured."""


@dataclass(frozen=True, slots=True)
class AnnouncedTenant:
    """A tenant to come, or one that has come and whose size is known.

    `first_day` is local to the fleet; `channels_per_endpoint` is meant for the busy hour, None when nobody said.
    """

    name: str
    first_day: date
    endpoints: int
    channels_per_endpoint: float | None = None


@dataclass(frozen=True, slots=True)
class _PerEndpoint:
    """Busy-hour load of one endpoint, its standard deviation from tenant to tenant as a share, where it comes from."""

    load: float
    deviation: float
    source: str


def with_announced(
    forecast: QuantileForecast,
    history: LoadMatrix,
    members: Mapping[str, Sequence[str]],
    calendars: Mapping[str, CivilCalendar],
    announced: Mapping[str, Sequence[AnnouncedTenant]],
) -> QuantileForecast:
    """The fleets' forecast with the load of tenants that are announced and have no history of their own.

    `forecast` has one row per fleet, `history` one per tenant; the others are by fleet. A fleet's list may name tenants
    of other fleets, and such that began long ago: they are not added, but teach the load per endpoint. Medians add up,
    distances from the median by the root of their squares, since the parts do not depend on each other. A fleet that
    was cold is learning then.
    """
    values, trust, reasons = forecast.values.copy(), list(forecast.trust), list(forecast.trust_reasons)
    members_told = list(forecast.members)
    for row, fleet in enumerate(forecast.series):
        calendar = calendars[fleet]
        coming = [
            (tenant, path)
            for tenant in announced.get(fleet, ())
            if tenant.name in members[fleet]
            and (path := _share_by_slot(tenant, history, calendar, forecast.grid)).any()
        ]
        if not coming:
            continue
        week = _usual_week(history, members[fleet], calendar, forecast.grid)
        told = [_per_endpoint(tenant, announced[fleet], history, calendar) for tenant, _ in coming]
        means = [
            (share * week).astype(np.float64) * (tenant.endpoints * each.load)
            for (tenant, share), each in zip(coming, told, strict=True)
        ]
        values[row] = _added(values[row], means, told, forecast)
        if members_told:
            members_told[row] = with_announced_share(members_told[row], _share(values[row], means, forecast))
        if trust[row] is Trust.COLD:
            trust[row] = Trust.LEARNING
        notes = [_note(tenant, each, history.measure) for (tenant, _), each in zip(coming, told, strict=True)]
        reasons[row] = "; ".join([reasons[row], *notes])
    return replace(
        forecast, values=values, trust=tuple(trust), trust_reasons=tuple(reasons), members=tuple(members_told)
    )


def _share(added: Float32Array, means: Sequence[Float64Array], forecast: QuantileForecast) -> float:
    """What announced means (slots,) are of the next day's load, quantiles (slots, quantiles) with them in it."""
    day = slice(0, BLENDED_S // forecast.grid.step_s)
    median = added[day, int(np.argmin(np.abs(np.array(forecast.quantiles) - 0.5)))]
    return float(np.sum(means, axis=0)[day].sum()) / max(float(median.sum()), 1e-9)


def _note(tenant: AnnouncedTenant, each: _PerEndpoint, measure: Measure) -> str:
    unit = "channels" if measure is Measure.CHANNELS else "calls per second"
    return (
        f"{tenant.name} is announced for {tenant.first_day} with {tenant.endpoints} endpoints and is added with "
        f"{each.load:.2g} {unit} each in the busy hour ({each.source})"
    )


def _share_by_slot(
    tenant: AnnouncedTenant, history: LoadMatrix, calendar: CivilCalendar, grid: SlotGrid
) -> Float32Array:
    """How much of the announced load counts in each slot to come, 0 … 1. Shape (slots,)."""
    first_s = _first_s(tenant, calendar)
    lived_s = _lived_s(tenant, history, first_s)
    if lived_s is None:
        share = 0.0 if history.grid.end_s - first_s > STAYS_AWAY_S else 1.0
    else:
        share = float(np.clip((_ALONE_S - lived_s) / (_ALONE_S - _ALONE_FROM_S), 0.0, 1.0))
    # A slot in which the day begins counts: zones lie half an hour apart, and a load too early harms nobody.
    return np.where(grid.starts_s + grid.step_s > first_s, np.float32(share), np.float32(0.0))


def _first_s(tenant: AnnouncedTenant, calendar: CivilCalendar) -> int:
    first = tenant.first_day
    return int(datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(calendar.time_zone)).timestamp())


def _lived_s(tenant: AnnouncedTenant, history: LoadMatrix, first_s: int) -> int | None:
    """Seconds of the tenant's own history, None without any. Test calls before its day are no history."""
    if tenant.name not in history.series:
        return None
    seen = ~np.isnan(history.row(tenant.name)) & (history.grid.starts_s >= first_s)
    return int(history.grid.end_s - history.grid.starts_s[np.argmax(seen)]) if seen.any() else None


def _usual_week(history: LoadMatrix, members: Sequence[str], calendar: CivilCalendar, grid: SlotGrid) -> Float32Array:
    """The usual week on the slots to come, its busiest hour 1. Shape (slots,).

    Of the fleet's own tenants where one is mature, else of all; without any a busy hour that never ends.
    """
    own = np.flatnonzero(np.isin(history.series, members))
    everyone = np.arange(len(history.series))
    for rows in (own, everyone):
        rows = rows[:: max(1, -(-rows.size // _SERIES_LEARNT))]
        if rows.size == 0 or history.grid.slots == 0:
            continue
        (chunk, *_) = chunks_of([calendar] * rows.size, history.grid)
        counts = history.values[rows[chunk.rows]] * np.float32(counts_per_unit(history.measure, history.grid.step_s))
        shapes = learn_shapes(CellSums.of(without_special_days(chunk.layout.weekly(counts), chunk.kinds)))
        if shapes is not None:
            week: Float32Array = shapes.pooled / np.float32(_busy_hour(shapes.pooled.astype(np.float64)))
            return week[week_layout(calendar.time_zone, grid).cell % week.size]
    return np.ones(grid.slots, dtype=np.float32)


def _busy_hour(week: Float64Array) -> float:
    """The largest hourly mean of a week (slots_per_week,), NaN where nothing is known."""
    hourly = week.reshape(_HOURS, -1) if week.size % _HOURS == 0 else week[:, None]
    known = ~np.isnan(hourly)
    means = np.where(known, hourly, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return float(means.max())


def _per_endpoint(
    tenant: AnnouncedTenant, listed: Sequence[AnnouncedTenant], history: LoadMatrix, calendar: CivilCalendar
) -> _PerEndpoint:
    """Learnt from the tenants of known size that have a week, else as stated, else the default."""
    known = [
        (peer.endpoints, load)
        for peer in listed
        if (lived_s := _lived_s(peer, history, _first_s(peer, calendar))) is not None
        and lived_s >= _ALONE_S
        and (load := _busy_hour(_recent_week(history, peer.name, calendar))) > 0
    ]
    if known:
        endpoints, loads = np.array(known, dtype=np.float64).T
        mean, each = float(loads.sum() / endpoints.sum()), loads / endpoints
        squares = float(((each / mean - 1) ** 2).sum()) + _PRIOR_TENANTS * _STATED_DEVIATION**2
        spread = np.sqrt(squares / (len(known) + _PRIOR_TENANTS) * (1 + 1 / len(known)))
        return _PerEndpoint(mean, float(spread), f"learnt from {len(known)} of known size")
    per_channel = 1.0 if history.measure is Measure.CHANNELS else 1.0 / USUAL_CALL_S
    if tenant.channels_per_endpoint is not None:
        return _PerEndpoint(tenant.channels_per_endpoint * per_channel, _STATED_DEVIATION, "as the policy says")
    return _PerEndpoint(DEFAULT_CHANNELS_PER_ENDPOINT * per_channel, _DEFAULT_DEVIATION, "a cautious default")


def _recent_week(history: LoadMatrix, name: str, calendar: CivilCalendar) -> Float64Array:
    """Mean of the tenant's newest weeks by local slot of week, NaN where nothing was seen."""
    weekly = week_layout(calendar.time_zone, history.grid).weekly(history.row(name)[None])[0, -_WEEKS_LEARNT:]
    known = ~np.isnan(weekly)
    total = np.where(known, weekly, np.float32(0.0)).sum(axis=0, dtype=np.float64)
    mean: Float64Array = np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
    return mean


def _added(
    own: Float32Array, means: Sequence[Float64Array], told: Sequence[_PerEndpoint], forecast: QuantileForecast
) -> Float32Array:
    """One fleet's quantiles (slots, quantiles) with the announced means (slots,) on top."""
    before = np.nan_to_num(own).astype(np.float64)
    median = np.array([np.interp(0.5, forecast.quantiles, slot) for slot in before])[:, None]
    mean = np.sum(means, axis=0)[:, None]
    scores = np.array([NormalDist().inv_cdf(quantile) for quantile in forecast.quantiles])
    # Sizes of tenants scatter by factors, and whoever guesses one too small guesses the others so: they add straight.
    unknown = np.zeros((mean.size, scores.size))
    for part, each in zip(means, told, strict=True):
        log_variance = np.log1p(each.deviation**2)
        unknown += part[:, None] * np.expm1(np.sqrt(log_variance) * scores - log_variance / 2)
    counted = scores * np.sqrt(mean / counts_per_unit(forecast.measure, forecast.grid.step_s))
    away = np.sign(scores) * np.sqrt(
        (before - median) ** 2 + np.maximum(unknown * np.sign(scores), 0) ** 2 + counted**2
    )
    added = np.maximum.accumulate(np.clip(median + mean + away, 0, _LARGEST), axis=1)
    return added.astype(np.float32)
