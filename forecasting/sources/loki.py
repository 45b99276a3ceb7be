"""Load of the past from Loki: metric queries over log lines, such as call events (CEL) or call records.

Ranges, slot ends and completeness work as for Prometheus. One thing differs: a metric query over logs yields nothing
where there were no lines.

**Silence.** For the call rate, no lines means no calls only if somebody vouches that lines would have come: where the
completeness query calls the slot complete, silence is zero. Without a completeness query silence stays a gap, because
a dead log shipper is just as quiet. For channels silence is a gap always: a number of channels is reported, not
counted, and no report tells nothing. Let completeness carry the tenant label: a tenant that is silent throughout a
read is then known by it alone.

One client per reading: its pool serves all chunks, and certificates are read afresh.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import httpx

from forecasting.errors import SourceConfigurationError, SourceError
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.sources.answers import LabelledSeries, decode_series
from forecasting.sources.credentials import authorization
from forecasting.sources.faults import connection_fault, raise_for_status, reject_warnings
from forecasting.sources.offered import read_offered
from forecasting.sources.protocol import CurrentLoad, HistoryQuery
from forecasting.sources.ranges import current_values, read_range
from forecasting.sources.retrying import PassingFaultError, with_retries
from forecasting.sources.settings import LokiSettings
from forecasting.sources.tls import client_context


class LokiSource:
    """A `HistorySource` behind Loki's query API. Calls block; one instance may serve several threads."""

    def __init__(self, settings: LokiSettings, name: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings, self._name, self._sleep = settings, name, sleep
        self._where = f"source {name!r} ({settings.url})"

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        """Load of every tenant on the grid, whose slots should have ended; a day per request.

        Raises:
            SourceConfigurationError: query, credentials or address are wrong.
            SourceError: Loki did not answer, or only in part.
        """
        with self._client() as client:

            def fetch(expression: str, chunk: SlotGrid) -> list[LabelledSeries]:
                return self._range(client, expression, chunk)

            def read(part: HistoryQuery) -> LoadMatrix:
                silence_is_zero = part.measure is Measure.CALL_RATE
                return read_range(part, grid, fetch, self._where, silence_is_zero=silence_is_zero)

            return read_offered(query, read, self._where)

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        """Load of every tenant at `now_s`; how old it may be is the window that the query itself names.

        Raises:
            SourceConfigurationError: query, credentials or address are wrong.
            SourceError: Loki did not answer, or only in part.
        """
        known: set[str] = set()
        with self._client() as client:

            def fetch(expression: str) -> list[LabelledSeries]:
                answer = self._instant(client, expression, now_s)
                known.update(one.labels[query.tenant_label] for one in answer if one.labels.get(query.tenant_label))
                return answer

            values = current_values(query, fetch, self._where, silence_is_zero=query.measure is Measure.CALL_RATE)
        return CurrentLoad(query.measure, values, now_s, incomplete=frozenset(known - values.keys()))

    def close(self) -> None:
        """Nothing to give back: connections end with each reading."""

    def _client(self) -> httpx.Client:
        settings = self._settings
        headers = dict(settings.headers)
        if settings.tenant is not None:
            headers["X-Scope-OrgID"] = settings.tenant
        value = authorization(settings, self._name)
        if value is not None:
            headers["Authorization"] = value
        verify = client_context(settings.tls, self._where) if settings.url.startswith("https:") else True
        return httpx.Client(base_url=settings.url, headers=headers, timeout=settings.timeout_seconds, verify=verify)

    def _range(self, client: httpx.Client, expression: str, grid: SlotGrid) -> list[LabelledSeries]:
        form = {
            "query": expression,
            "start": f"{grid.start_s + grid.step_s}",
            "end": f"{grid.end_s}",
            "step": f"{grid.step_s}",
        }
        return self._ask(client, "/loki/api/v1/query_range", form, instant=False)

    def _instant(self, client: httpx.Client, expression: str, at_s: float) -> list[LabelledSeries]:
        return self._ask(client, "/loki/api/v1/query", {"query": expression, "time": f"{at_s:.3f}"}, instant=True)

    def _ask(self, client: httpx.Client, path: str, form: Mapping[str, str], *, instant: bool) -> list[LabelledSeries]:
        answer = with_retries(
            lambda: self._attempt(client, path, form), self._settings.retries, self._sleep, self._name
        )
        try:
            payload = answer.json()
            data = payload["data"]
            kind, result = data["resultType"], data["result"]
        except (ValueError, KeyError, TypeError):
            raise SourceError(f"{self._where}: the answer is not Loki's; check url and its path prefix") from None
        reject_warnings(payload, self._where)
        if kind == "streams":
            raise SourceConfigurationError(
                f"{self._where}: the query yields log lines; count them, like "
                "'sum by (tenantid) (rate({app=\"asterisk\"} | json [5m]))'"
            )
        return decode_series(result, instant=instant, where=self._where)

    def _attempt(self, client: httpx.Client, path: str, form: Mapping[str, str]) -> httpx.Response:
        try:
            answer = client.post(path, data=dict(form))
        except httpx.TimeoutException:
            seconds = self._settings.timeout_seconds
            raise PassingFaultError(f"{self._where}: no answer within {seconds:g} s") from None
        except httpx.TransportError as error:
            raise connection_fault(error, self._where) from None
        raise_for_status(answer.status_code, answer.headers, answer.content, self._where)
        return answer
