"""Errors of this room."""

from __future__ import annotations


class KedaExternalScalerError(Exception):
    """Base of all errors of the KEDA external scaler."""


class BookError(KedaExternalScalerError):
    """The answer book cannot be read or written. A book that was read before stays in use."""


class MetadataError(KedaExternalScalerError):
    """A trigger's metadata cannot be used; the text names the field and the remedy."""


class ServerConfigurationError(KedaExternalScalerError):
    """The server's address or certificates cannot be used."""


class StatsError(KedaExternalScalerError):
    """The statistics file cannot be read or written. Answers go on."""
