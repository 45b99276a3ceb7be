"""The Dask cluster that this process spreads its forecasts over, where one is configured.

A cluster saves time and is nothing that a forecast may hang on: what it does not compute is computed here, with the
same numbers, and for a while nobody waits for it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from forecasting.dask_fan_out import DaskFanOut
from forecasting.fan_out import FanOutError, computed_by

_log = structlog.get_logger("forecasts")

_Result = TypeVar("_Result")

PAUSE_S = 600.0
"""So long everything is computed here after the cluster has failed: each attempt may wait for minutes."""


class Cluster:
    """The cluster whose scheduler listens at this address; None is no cluster. It is connected when first needed."""

    def __init__(self, scheduler: str | None, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._scheduler = scheduler
        self._monotonic_s = monotonic_s
        self._fan_out: DaskFanOut | None = None
        self._not_before_s = -PAUSE_S

    def compute(self, work: Callable[[], _Result]) -> _Result:
        """Do the work, its chunks spread over the cluster; here alone while there is none that works."""
        if self._scheduler is not None and self._monotonic_s() >= self._not_before_s:
            try:
                if self._fan_out is None:
                    self._fan_out = DaskFanOut.connected(self._scheduler)
                with computed_by(self._fan_out):
                    return work()
            except FanOutError as error:
                self.leave()
                self._not_before_s = self._monotonic_s() + PAUSE_S
                _log.warning("forecasts are computed without the cluster", reason=str(error), for_s=PAUSE_S)
        return work()

    def leave(self) -> None:
        """End the connection, if there is one."""
        fan_out, self._fan_out = self._fan_out, None
        if fan_out is not None:
            fan_out.close()
