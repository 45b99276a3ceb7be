"""From settings to a source."""

from __future__ import annotations

from typing import assert_never

from forecasting.sources.protocol import HistorySource
from forecasting.sources.settings import FileSettings, LokiSettings, PrometheusSettings, SourceSettings


def open_source(settings: SourceSettings, name: str) -> HistorySource:
    """The source that the settings describe. `name` is what errors call it. Nothing is contacted yet.

    Raises:
        SourceConfigurationError: the settings cannot be used.
    """
    # Imported here, so that who reads from Prometheus does not load pandas, and the other way round.
    if isinstance(settings, PrometheusSettings):
        from forecasting.sources.prometheus import PrometheusSource

        return PrometheusSource(settings, name)
    if isinstance(settings, LokiSettings):
        from forecasting.sources.loki import LokiSource

        return LokiSource(settings, name)
    if isinstance(settings, FileSettings):
        from forecasting.sources.file import FileSource

        return FileSource(settings, name)
    assert_never(settings)
