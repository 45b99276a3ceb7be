"""What runs in the worker processes: reading history and forecasting it.

Both are too heavy for the process that plans. A worker keeps each dataset's newest matrix in memory between calls,
so that a refresh costs new slots and not the whole look-back; everything it knows can be made again from the archive.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from forecasting.archive import Archive
from forecasting.calendar import CivilCalendar
from forecasting.forecast import QuantileForecast
from forecasting.grid import SlotGrid, floor_to_step
from forecasting.ingest import Ingest, IngestReport
from forecasting.load import LoadMatrix, fleet_sums
from forecasting.models import default_forecaster
from forecasting.sources.protocol import HistorySource
from scaler.service.datasets import Dataset
from scaler.service.logs import configure_logs

CHART_LOOK_BACK_S = 8 * 86400
"""History that is handed to the charts: enough to see the same day a week ago."""

_PR_SET_PDEATHSIG = 1


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


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """One dataset's forecasts: of every tenant, of every fleet's own sum, and the sums' recent past."""

    tenants: QuantileForecast
    fleets: QuantileForecast
    recent: LoadMatrix


_ingests: dict[tuple[Dataset, str], Ingest] = {}


def start_worker(log_level: str, log_format: str) -> None:
    """Initialise a worker process: it ends with its parent and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    configure_logs(log_level, log_format)


def _ingest_of(request: HistoryRequest) -> Ingest:
    known = _ingests.get((request.dataset, request.archive_url))
    if known is None or known.look_back_s < request.look_back_s:
        dataset = request.dataset
        known = Ingest(
            request.opener.open(dataset.source),
            Archive(request.archive_url),
            dataset.key,
            dataset.query,
            step_s=dataset.step_s,
            look_back_s=request.look_back_s,
        )
        _ingests[dataset, request.archive_url] = known
    return known


def catch_up(request: HistoryRequest, now_s: float) -> IngestReport:
    """Read what the archive lacks up to now.

    Raises:
        SourceError: the source did not answer; what was read is kept.
    """
    return _ingest_of(request).catch_up(now_s)


def forecast(request: ForecastRequest, now_s: float) -> Forecasts:
    """Forecast all tenants and all fleets of a dataset from what the archive has."""
    history = _ingest_of(request.history).load(now_s)
    step_s = request.history.dataset.step_s
    horizon = SlotGrid(floor_to_step(now_s, step_s), step_s, request.horizon_s // step_s)
    sums = fleet_sums(history, request.members)
    model = default_forecaster()
    plain = CivilCalendar()
    return Forecasts(
        model.forecast(history, [request.tenant_calendars.get(name, plain) for name in history.series], horizon),
        model.forecast(sums, [request.fleet_calendars[name] for name in sums.series], horizon),
        _newest(sums, CHART_LOOK_BACK_S),
    )


def _newest(load: LoadMatrix, span_s: int) -> LoadMatrix:
    slots = min(load.grid.slots, span_s // load.grid.step_s)
    first = load.grid.slots - slots
    grid = SlotGrid(load.grid.start_s + first * load.grid.step_s, load.grid.step_s, slots)
    return LoadMatrix(load.measure, load.series, grid, load.values[:, first:].copy())


def close_sources(requests: Sequence[HistoryRequest] = ()) -> None:
    """Forget datasets that are not asked for any more."""
    wanted = {(request.dataset, request.archive_url) for request in requests}
    for key in _ingests.keys() - wanted:
        del _ingests[key]
