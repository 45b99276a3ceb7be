"""What runs in the worker processes: reading history and forecasting it.

Both are too heavy for the process that plans. A worker keeps each dataset's newest matrix in memory between calls,
so that a refresh costs new slots and not the whole look-back; everything it knows can be made again from the archive.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from forecasting.announced import AnnouncedTenant, with_announced
from forecasting.archive import Archive
from forecasting.backtest import BacktestResult, backtest
from forecasting.calendar import CivilCalendar
from forecasting.forecast import Forecaster, QuantileForecast
from forecasting.grid import SlotGrid, floor_to_step
from forecasting.ingest import Ingest, IngestReport
from forecasting.load import LoadMatrix, departed, fleet_sums
from forecasting.models import BASELINE_MODEL, MODELS, default_forecaster
from forecasting.sources.protocol import HistorySource
from scaler.service.datasets import Dataset
from scaler.service.logs import configure_logs
from scaler.service.parent_death import end_with_parent

CHART_LOOK_BACK_S = 8 * 86400
"""History that is handed to the charts: enough to see the same day a week ago."""

SCORED_S = 7 * 86400
"""How much of the newest history the daily backtest replays."""

TRAIN_EVERY_S = 86400
TRAIN_YOUNG_EVERY_S = 3600
"""While a history is younger than `YOUNG_S` every day changes much."""
YOUNG_S = 14 * 86400

READ_AT_MOST_S = 10.0
"""A first backfill is read in portions of this many seconds, since other datasets wait for the same worker."""

FORGET_AFTER_S = 2 * 3600
"""What a worker keeps of a dataset goes when no request has named it for this long: twice the widest step."""


class SourceOpener(Protocol):
    """How to open a named source: a small value that can be sent to a worker."""

    def open(self, name: str) -> HistorySource:
        """Open the source.

        Raises:
            SourceConfigurationError: there is no such source, or its settings are wrong.
        """
        ...


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Which dataset to bring up to date, from where, to where."""

    dataset: Dataset
    look_back_s: int
    archive_url: str
    opener: SourceOpener


@dataclass(frozen=True, slots=True)
class ForecastRequest:
    """What to forecast from a dataset. Fleets are named by their key's text."""

    history: HistoryRequest
    horizon_s: int
    members: Mapping[str, tuple[str, ...]]
    fleet_calendars: Mapping[str, CivilCalendar]
    tenant_calendars: Mapping[str, CivilCalendar]
    announced: Mapping[str, tuple[AnnouncedTenant, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """One dataset's forecasts: of every tenant, of every fleet's own sum, and the sums' recent past.

    `departed` names the tenants that had stopped for good when it was made.
    """

    tenants: QuantileForecast
    fleets: QuantileForecast
    recent: LoadMatrix
    departed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Trained:
    series: tuple[str, ...]
    calendars: tuple[CivilCalendar, ...]
    trained_until_s: int
    model: Forecaster


@dataclass(slots=True)
class _Known:
    """What this worker keeps of a dataset: its open ingest, what was learnt, when it was asked for last."""

    ingest: Ingest
    used_at_s: float
    trained: dict[str, _Trained] = field(default_factory=dict)


_known: dict[tuple[Dataset, str], _Known] = {}


def start_worker(log_level: str, log_format: str) -> None:
    """Initialise a worker process: it ends with its parent and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)
    configure_logs(log_level, log_format)


def _known_of(request: HistoryRequest) -> _Known:
    now_s = time.monotonic()
    name = (request.dataset, request.archive_url)
    known = _known.get(name)
    if known is None or known.ingest.look_back_s != request.look_back_s:
        opened = _Known(_open(request), now_s)
        if known is not None:
            known.ingest.close()
        known = _known[name] = opened
    known.used_at_s = now_s
    _forget_unused(now_s)
    return known


def _open(request: HistoryRequest) -> Ingest:
    dataset = request.dataset
    source = request.opener.open(dataset.source)
    archive = Archive(request.archive_url)
    return Ingest(source, archive, dataset.key, dataset.query, dataset.step_s, request.look_back_s)


def _forget_unused(now_s: float) -> None:
    # A matrix may be hundreds of megabytes, and each change of a query makes a new dataset.
    for name, known in list(_known.items()):
        if now_s - known.used_at_s > FORGET_AFTER_S:
            known.ingest.close()
            del _known[name]


def catch_up(request: HistoryRequest, now_s: float) -> IngestReport:
    """Read what the archive lacks up to now, or as much of it as fits between the work on other datasets.

    Raises:
        SourceError: the source did not answer; what was read is kept.
        ArchiveError: the archive cannot be read or written.
    """
    return _known_of(request).ingest.catch_up(now_s, READ_AT_MOST_S)


def forecast(request: ForecastRequest, now_s: float) -> Forecasts:
    """Forecast all tenants and all fleets of a dataset from what the archive has.

    Raises:
        ArchiveError: the archive cannot be read.
    """
    known = _known_of(request.history)
    history = known.ingest.load(now_s)
    dataset = request.history.dataset
    horizon = SlotGrid(floor_to_step(now_s, dataset.step_s), dataset.step_s, request.horizon_s // dataset.step_s)
    gone = frozenset(name for name, has in zip(history.series, departed(history), strict=True) if has)
    left = fleet_sums(history, _without(request.members, gone))
    # The charts keep the past of who left.
    seen = fleet_sums(history, request.members) if gone else left
    plain = CivilCalendar()
    calendars = [request.tenant_calendars.get(name, plain) for name in history.series]
    fleets = _forecast(known, "fleets", left, [request.fleet_calendars[name] for name in left.series], horizon)
    return Forecasts(
        _forecast(known, "tenants", history, calendars, horizon),
        with_announced(fleets, history, request.members, request.fleet_calendars, request.announced),
        _newest(seen, CHART_LOOK_BACK_S),
        gone,
    )


def _without(members: Mapping[str, tuple[str, ...]], gone: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Each fleet's members who are left, so that nobody's past load is forecast after they departed.

    A fleet that all have left keeps them: what it had is no forecast to shrink by, and then its age tells so.
    """
    return {
        fleet: tuple(tenant for tenant in tenants if tenant not in gone) or tenants
        for fleet, tenants in members.items()
    }


def _forecast(
    dataset: _Known, rows: str, history: LoadMatrix, calendars: Sequence[CivilCalendar], horizon: SlotGrid
) -> QuantileForecast:
    """Forecast by what was learnt within the last day; learn anew when it is older or the rows have changed."""
    known = dataset.trained.get(rows)
    now_s = history.grid.end_s
    fits = known is not None and (known.series, known.calendars) == (history.series, tuple(calendars))
    good_for_s = TRAIN_YOUNG_EVERY_S if _is_young(history) else TRAIN_EVERY_S
    if known is None or not fits or not 0 <= now_s - known.trained_until_s < good_for_s:
        model = default_forecaster().trained(history, calendars)
        known = dataset.trained[rows] = _Trained(history.series, tuple(calendars), now_s, model)
    return known.model.forecast(history, calendars, horizon)


def _is_young(history: LoadMatrix) -> bool:
    seen = history.observed.any(axis=0)
    first = int(np.argmax(seen)) if seen.any() else history.grid.slots
    return (history.grid.slots - first) * history.grid.step_s < YOUNG_S


def score(request: ForecastRequest, now_s: float) -> BacktestResult:
    """How the fleets' forecasts of the last week would have done, beside the seasonal naive.

    Raises:
        ForecastInputError: the history is too short for it.
        ArchiveError: the archive cannot be read.
    """
    history = _known_of(request.history).ingest.load(now_s)
    sums = fleet_sums(history, request.members)
    calendars = [request.fleet_calendars[name] for name in sums.series]
    models = [default_forecaster(), MODELS[BASELINE_MODEL]]
    return backtest(sums, calendars, models, window_s=min(SCORED_S, sums.grid.slots * sums.grid.step_s // 4))


def _newest(load: LoadMatrix, span_s: int) -> LoadMatrix:
    slots = min(load.grid.slots, span_s // load.grid.step_s)
    first = load.grid.slots - slots
    grid = SlotGrid(load.grid.start_s + first * load.grid.step_s, load.grid.step_s, slots)
    return LoadMatrix(load.measure, load.series, grid, load.values[:, first:].copy())
