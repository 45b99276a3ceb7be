"""The ledgers of a worker's dataset: kept beside the forecasts and never in their way.

Keeping and scoring touch the store, which may be slow, full or away. They run in a thread of their own; a forecast
waits for them for a moment, so that its trust rests on the newest scores, and then goes on without. What fails is
told and tried again with the next forecast.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum

import structlog

from forecasting.forecast import QuantileForecast
from forecasting.ledger import Ledger
from forecasting.ledger_scores import LedgerScores
from forecasting.load import LoadMatrix
from forecasting.models.trust import with_naive_verdict

_log = structlog.get_logger("ledger")

WAIT_S = 5.0
"""A forecast waits so long for its ledger: usually milliseconds, seconds for thousands of tenants after a restart."""


class Rows(StrEnum):
    """The two sets of series that a dataset is forecast for."""

    FLEETS = "fleets"
    TENANTS = "tenants"


EVERY_S = {Rows.FLEETS: 3600, Rows.TENANTS: 5 * 3600}
"""How often a forecast is kept. There are many more tenants than fleets; five hours, so that within five days every
hour of the day has its turn."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveScores:
    """How the published forecasts of a dataset did, None until the ledger was read; and why it could not be."""

    fleets: LedgerScores | None = None
    tenants: LedgerScores | None = None
    problem: str | None = None


class KeptForecasts:
    """The ledgers of one dataset, in its folders `NAME-fleets` and `NAME-tenants`."""

    def __init__(self, archive_url: str, name: str) -> None:
        self._archive_url = archive_url
        self._name = name
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._ledgers: dict[Rows, Ledger] = {}
        self._running: dict[Rows, Future[LedgerScores | None]] = {}
        self._scores: dict[Rows, LedgerScores] = {}
        self._problems: dict[Rows, str] = {}

    def judged(self, rows: Rows, forecast: QuantileForecast, history: LoadMatrix) -> QuantileForecast:
        """Publish a forecast; it comes back with trust taken where the weekly naive has been the better one."""
        if rows not in self._running:
            self._running[rows] = self._thread.submit(self._keep, rows, forecast, history)
            wait([self._running[rows]], WAIT_S)
        self._take_over(rows)
        scores = self._scores.get(rows)
        return forecast if scores is None else with_naive_verdict(forecast, scores.beside_naive(forecast.series))

    def scores(self) -> LiveScores:
        """The newest scores."""
        problem = next(iter(self._problems.values()), None)
        return LiveScores(self._scores.get(Rows.FLEETS), self._scores.get(Rows.TENANTS), problem)

    def close(self) -> None:
        """Begin nothing more; what runs is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _keep(self, rows: Rows, forecast: QuantileForecast, history: LoadMatrix) -> LedgerScores | None:
        """In the thread: the new scores, None where nothing has changed."""
        if rows not in self._ledgers:
            self._ledgers[rows] = Ledger(self._archive_url, f"{self._name}-{rows.value}", EVERY_S[rows])
        ledger = self._ledgers[rows]
        kept = ledger.publish(forecast, history)
        return ledger.scores(history) if kept or rows not in self._scores else None

    def _take_over(self, rows: Rows) -> None:
        """Take the result of what has ended. Any fault is told and not raised: a ledger only watches."""
        running = self._running[rows]
        if not running.done():
            self._problems[rows] = f"the ledger of {rows.value} has not answered yet; forecasts go on without it"
            return
        del self._running[rows]
        error = running.exception()
        if error is None:
            self._problems.pop(rows, None)
            if (scores := running.result()) is not None:
                self._scores[rows] = scores
        elif self._problems.get(rows) != str(error):
            self._problems[rows] = str(error)
            _log.warning("published forecasts are not kept", rows=rows.value, reason=str(error))
