"""Where load of the past is read: Prometheus, Loki and files, behind one small protocol.

`open_source` turns settings into a `HistorySource`; `ranges` and `samples` hold the rules that all sources share.
"""

from __future__ import annotations

from forecasting.sources.opening import open_source
from forecasting.sources.protocol import CurrentLoad, HistoryQuery, HistorySource, RefusedCalls
from forecasting.sources.settings import FileSettings, LokiSettings, PrometheusSettings, SourceSettings

__all__ = [
    "CurrentLoad",
    "FileSettings",
    "HistoryQuery",
    "HistorySource",
    "LokiSettings",
    "PrometheusSettings",
    "RefusedCalls",
    "SourceSettings",
    "open_source",
]
