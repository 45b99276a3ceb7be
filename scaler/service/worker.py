"""What runs in the worker processes: reading history and forecasting it.

Both are too heavy for the process that plans. A worker keeps each dataset's newest matrix in memory between calls,
so that a refresh costs new slots and not the whole look-back; everything it knows can be made again from the archive.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import structlog

from forecasting.announced import AnnouncedTenant, with_announced
from forecasting.archive import Archive
from forecasting.backtest import BacktestResult, backtest
from forecasting.calendar import CivilCalendar
from forecasting.checkpoints import Checkpoints, Trained, TrainedOn
from forecasting.errors import ArchiveError
from forecasting.forecast import QuantileForecast
from forecasting.grid import SlotGrid, floor_to_step
from forecasting.ingest import Ingest, IngestReport
from forecasting.load import BoolArray, LoadMatrix, departed, fleet_sums
from forecasting.models import BASELINE_MODEL, MODELS, default_forecaster
from forecasting.models.common_fall import common_falls, falling_now, falls_of_sums, held_forecast, masked
from forecasting.sources.protocol import HistorySource
from scaler.service.cluster import Cluster
from scaler.service.datasets import Dataset
from scaler.service.freed_memory import give_back_freed_memory
from scaler.service.kept_forecasts import KeptForecasts, LiveScores, Rows
from scaler.service.logs import configure_logs
from scaler.service.parent_death import end_with_parent

_log = structlog.get_logger("forecasts")

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

    `departed` names the tenants that had stopped for good when it was made; `live` says how those that were published
    before have done.
    """

    tenants: QuantileForecast
    fleets: QuantileForecast
    recent: LoadMatrix
    departed: frozenset[str] = frozenset()
    live: LiveScores = field(default_factory=LiveScores)


@dataclass(slots=True)
class _Known:
    """What this worker keeps of a dataset: its open ingest, what was learnt, when it was asked for last."""

    ingest: Ingest
    checkpoints: Checkpoints
    kept: KeptForecasts
    used_at_s: float
    trained: dict[str, Trained] = field(default_factory=dict)

    def close(self) -> None:
        """Give back what is open."""
        self.ingest.close()
        self.kept.close()


_known: dict[tuple[Dataset, str], _Known] = {}


_cluster = Cluster(None)


def start_worker(log_level: str, log_format: str, dask_scheduler: str | None = None) -> None:
    """Initialise a worker process: it ends with its parent and leaves Ctrl-C to it."""
    global _cluster
    _cluster = Cluster(dask_scheduler)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)
    configure_logs(log_level, log_format)


def _known_of(request: HistoryRequest) -> _Known:
    now_s = time.monotonic()
    name = (request.dataset, request.archive_url)
    known = _known.get(name)
    if known is None or known.ingest.look_back_s != request.look_back_s:
        checkpoints = Checkpoints(request.archive_url, request.dataset.key)
        kept = KeptForecasts(request.archive_url, request.dataset.name)
        opened = _Known(_open(request), checkpoints, kept, now_s)
        if known is not None:
            known.close()
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
            known.close()
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
    # For a moment the history is there twice: not on top of what the forecast before has left.
    give_back_freed_memory()
    history = known.ingest.load(now_s)
    dataset = request.history.dataset
    horizon = SlotGrid(floor_to_step(now_s, dataset.step_s), dataset.step_s, request.horizon_s // dataset.step_s)
    gone = frozenset(name for name, has in zip(history.series, departed(history), strict=True) if has)
    left = fleet_sums(history, _without(request.members, gone))
    plain = CivilCalendar()
    calendars = [request.tenant_calendars.get(name, plain) for name in history.series]
    fleet_calendars = [request.fleet_calendars[name] for name in left.series]
    held = _without_falls(left, history, calendars, _without(request.members, gone))
    fleets = _forecast(known, "fleets", held.load, fleet_calendars, horizon, list(request.members.values()))
    fleets = held_forecast(fleets, left, held.falling)
    fleets = with_announced(fleets, history, request.members, request.fleet_calendars, request.announced)
    tenants = _forecast(known, "tenants", history, calendars, horizon)
    return Forecasts(
        known.kept.judged(Rows.TENANTS, tenants, history),
        known.kept.judged(Rows.FLEETS, fleets, left),
        _recent(left, history, request.members, gone),
        gone,
        known.kept.scores(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """Fleets' sums with nothing where a fall common to many tenants took them, and which are in one now (fleets,)."""

    load: LoadMatrix
    falling: BoolArray


def _without_falls(
    sums: LoadMatrix,
    history: LoadMatrix,
    calendars: Sequence[CivilCalendar],
    members: Mapping[str, tuple[str, ...]],
) -> _Held:
    # Sums are too few to say what is common: their tenants say it.
    falls = falls_of_sums(common_falls(history, calendars), history, members)
    return _Held(masked(sums, falls), falling_now(sums, falls))


def _without(members: Mapping[str, tuple[str, ...]], gone: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Each fleet's members who are left, so that nobody's past load is forecast after they departed.

    A fleet that all have left keeps them: what it had is no forecast to shrink by, and then its age tells so.
    """
    return {
        fleet: tuple(tenant for tenant in tenants if tenant not in gone) or tenants
        for fleet, tenants in members.items()
    }


def _forecast(
    dataset: _Known,
    rows: str,
    history: LoadMatrix,
    calendars: Sequence[CivilCalendar],
    horizon: SlotGrid,
    members: Sequence[tuple[str, ...]] = (),
) -> QuantileForecast:
    """Forecast by what was learnt within the last day; learn anew when it is older or the rows have changed."""
    wanted = TrainedOn.of(rows, default_forecaster(), history, calendars, members)
    now_s = history.grid.end_s
    not_before_s = now_s + 1 - (TRAIN_YOUNG_EVERY_S if _is_young(history) else TRAIN_EVERY_S)
    known = dataset.trained.get(rows)
    if known is None or known.trained_on != wanted or not not_before_s <= known.trained_until_s <= now_s:
        # A process that ran before this one, here or as another leader, may have learnt it already.
        read = dataset.checkpoints.read(wanted, not_before_s, now_s)
        if read.problem is not None:
            _log.warning("a trained model was not read", rows=rows, reason=read.problem)
        known = dataset.trained[rows] = read.trained or _train(dataset, wanted, history, calendars)
    return _cluster.compute(partial(known.model.forecast, history, calendars, horizon))


def _train(dataset: _Known, wanted: TrainedOn, history: LoadMatrix, calendars: Sequence[CivilCalendar]) -> Trained:
    model = _cluster.compute(partial(default_forecaster().trained, history, calendars))
    trained = Trained(wanted, history.grid.end_s, model)
    try:
        dataset.checkpoints.write(trained)
    except ArchiveError as error:
        # It serves all the same, until the next restart.
        _log.warning("a trained model was not kept", rows=wanted.rows, reason=str(error))
    return trained


def _is_young(history: LoadMatrix) -> bool:
    seen = history.observed_by_any()
    first = int(np.argmax(seen)) if seen.any() else history.grid.slots
    return (history.grid.slots - first) * history.grid.step_s < YOUNG_S


def score(request: ForecastRequest, now_s: float) -> BacktestResult:
    """How the fleets' forecasts of the last week would have done, beside the seasonal naive.

    Raises:
        ForecastInputError: the history is too short for it.
        ArchiveError: the archive cannot be read.
    """
    history = _known_of(request.history).ingest.load(now_s)
    plain = CivilCalendar()
    of_tenants = [request.tenant_calendars.get(name, plain) for name in history.series]
    sums = _without_falls(fleet_sums(history, request.members), history, of_tenants, request.members).load
    calendars = [request.fleet_calendars[name] for name in sums.series]
    models = [default_forecaster(), MODELS[BASELINE_MODEL]]
    return backtest(sums, calendars, models, window_s=min(SCORED_S, sums.grid.slots * sums.grid.step_s // 4))


def _recent(
    left: LoadMatrix, history: LoadMatrix, members: Mapping[str, tuple[str, ...]], gone: frozenset[str]
) -> LoadMatrix:
    """What the charts show of the fleets' sums: `left` are those without who departed, whose past they keep."""
    recent = _newest(left, CHART_LOOK_BACK_S)
    touched = {fleet: tenants for fleet, tenants in members.items() if not gone.isdisjoint(tenants)}
    if touched:
        rows = [row for row, fleet in enumerate(recent.series) if fleet in touched]
        recent.values[rows] = _newest(fleet_sums(history, touched), CHART_LOOK_BACK_S).values
    return recent


def _newest(load: LoadMatrix, span_s: int) -> LoadMatrix:
    slots = min(load.grid.slots, span_s // load.grid.step_s)
    first = load.grid.slots - slots
    grid = SlotGrid(load.grid.start_s + first * load.grid.step_s, load.grid.step_s, slots)
    return LoadMatrix(load.measure, load.series, grid, load.values[:, first:].copy())
