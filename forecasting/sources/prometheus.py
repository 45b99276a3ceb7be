"""Load of the past from Prometheus, or from anything that speaks its query API.

The HTTP work is prometheus-api-client's; this module gives it a session that authenticates with secrets read at each
request, repeats what may pass, and turns every fault into one sentence with its remedy.

- A counter that starts again from zero is the query's business: `rate()` and `increase()` know resets, a bare
  counter or `delta()` does not.
- An answer with warnings is partial (a store behind Thanos or Mimir that is away), and half of the data is no data.
- **Age.** An instant query finds samples up to the server's look-back (5 min) old and does not say how old. Where
  the expression is a plain selector, or one aggregation `by (…)` around one, its sample times are asked for with
  `timestamp()`, and a tenant whose oldest sample is stale is left out. Other expressions bound the age by their own
  window and by that look-back; for them completeness is the guard, and the time of evaluation is reported.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from forecasting.errors import SourceError
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix
from forecasting.sources.answers import LabelledSeries, by_tenant, decode_series
from forecasting.sources.offered import read_offered
from forecasting.sources.prometheus_session import PrometheusSession
from forecasting.sources.protocol import CurrentLoad, HistoryQuery
from forecasting.sources.ranges import current_values, read_range
from forecasting.sources.settings import PrometheusSettings

_SELECTOR = r"""[a-zA-Z_:][\w:]*\s*(?:\{(?:[^{}"'`]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)*\})?"""
_PLAIN = re.compile(rf"\s*(?P<selector>{_SELECTOR})\s*", re.ASCII | re.DOTALL)
_AGGREGATION = re.compile(
    rf"\s*(?:sum|max|min|avg)\s*(?P<by>by\s*\([\w\s,]*\))\s*\(\s*(?P<selector>{_SELECTOR})\s*\)\s*",
    re.ASCII | re.DOTALL,
)


def sample_time_query(expression: str) -> str | None:
    """The query for the oldest sample that goes into each series of the expression, None where nothing can tell."""
    if plain := _PLAIN.fullmatch(expression):
        return f"timestamp({plain['selector']})"
    if aggregation := _AGGREGATION.fullmatch(expression):
        return f"min {aggregation['by']} (timestamp({aggregation['selector']}))"
    return None


class PrometheusSource:
    """A `HistorySource` behind the Prometheus query API. Calls block; one instance may serve several threads."""

    def __init__(self, settings: PrometheusSettings, name: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._where = f"source {name!r} ({settings.url})"
        self._staleness_s = settings.staleness_seconds
        self._session = PrometheusSession(settings, name, sleep)
        self._client = PrometheusConnect(
            url=settings.url, session=self._session, timeout=settings.timeout_seconds, method="POST"
        )

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        """Load of every tenant on the grid, whose slots should have ended; a day per request.

        Raises:
            SourceConfigurationError: query, credentials or address are wrong.
            SourceError: Prometheus did not answer, or only in part.
        """

        def read(part: HistoryQuery) -> LoadMatrix:
            return read_range(part, grid, self._range, self._where, silence_is_zero=False)

        return read_offered(query, read, self._where)

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        """Load of every tenant at `now_s`, without tenants that are incomplete or whose samples are stale.

        Raises:
            SourceConfigurationError: query, credentials or address are wrong.
            SourceError: Prometheus did not answer, or only in part.
        """
        known: set[str] = set()

        def fetch(expression: str) -> list[LabelledSeries]:
            answer = self._instant(expression, now_s)
            known.update(one.labels[query.tenant_label] for one in answer if one.labels.get(query.tenant_label))
            return answer

        values = current_values(query, fetch, self._where, silence_is_zero=False)
        ask_times = sample_time_query(query.expression)
        if ask_times is None or not values:
            return CurrentLoad(query.measure, values, now_s, incomplete=frozenset(known - values.keys()))
        times = by_tenant(self._instant(ask_times, now_s), query.tenant_label, self._where)
        measured_s = {tenant: float(times[tenant].values[0]) for tenant in values if tenant in times}
        fresh = {tenant: at_s for tenant, at_s in measured_s.items() if now_s - at_s <= self._staleness_s}
        return CurrentLoad(
            query.measure,
            {tenant: values[tenant] for tenant in fresh},
            min(fresh.values(), default=now_s),
            fresh,
            frozenset(known - fresh.keys()),
        )

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def _range(self, expression: str, grid: SlotGrid) -> list[LabelledSeries]:
        first = datetime.fromtimestamp(grid.start_s + grid.step_s, UTC)
        last = datetime.fromtimestamp(grid.end_s, UTC)
        result = self._ask(lambda: self._client.custom_query_range(expression, first, last, str(grid.step_s)))
        return decode_series(result, instant=False, where=self._where)

    def _instant(self, expression: str, at_s: float) -> list[LabelledSeries]:
        result = self._ask(lambda: self._client.custom_query(expression, params={"time": f"{at_s:.3f}"}))
        return decode_series(result, instant=True, where=self._where)

    def _ask(self, call: Callable[[], object]) -> object:
        try:
            return call()
        except (PrometheusApiClientException, requests.RequestException, ValueError, LookupError, TypeError):
            # The session has already told all faults of the way apart: what is left is an answer in another form.
            raise SourceError(
                f"{self._where}: the answer is not that of a Prometheus query API; check url and its path prefix"
            ) from None
