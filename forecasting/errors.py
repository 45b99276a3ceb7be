"""Every error that this room raises, with the remedy in its text.

One base class, so that a caller who only wants to go on can catch one thing; one class per kind of remedy.
"""

from __future__ import annotations


class ForecastingError(Exception):
    """Base of all errors of the forecasting room."""


class SourceError(ForecastingError):
    """A history source could not be read. What was read before stays valid."""


class SourceConfigurationError(SourceError):
    """A source's settings or query are wrong: retrying the same call cannot help."""


class ArchiveError(ForecastingError):
    """The archive could not be written or read."""


class HistoryFormatError(SourceError):
    """A history file does not have the columns, types or time zone that were named."""


class MissingColumnError(HistoryFormatError):
    """A history file has no column of the name that was given.

    `told` says so without the remedy: whoever took the names by other means than a configuration has another one.
    """

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.told = told

    def __str__(self) -> str:
        return f"{self.told}. Name them by seriesColumn, timeColumn and the query"


class ForecastInputError(ForecastingError, ValueError):
    """Shapes, grids or quantiles that do not fit together: a fault in the calling code."""
