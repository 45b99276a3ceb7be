"""Libraries that only peers need: an optional extra, imported when a peer is asked and not before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from forecasting.errors import ForecastingError


class PeerNotInstalledError(ForecastingError):
    """A peer's library is not installed."""


def library(name: str) -> Any:
    """The module of an optional library.

    Raises:
        PeerNotInstalledError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise PeerNotInstalledError(
            f"peer: {name.partition('.')[0]} is not installed; pip install 'calltide[peers]', or leave the peer out"
        ) from error
