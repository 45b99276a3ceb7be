"""Simulated calls as a history source: what Prometheus would have recorded of them, and what it would say now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.errors import SourceConfigurationError
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, LoadMatrix, Measure
from forecasting.sources.protocol import CurrentLoad, HistoryQuery
from scaler.clock import Clock
from scaler.demo.days import SimulatedTenant
from scaler.demo.stream import CallStream
from scaler.fleet.simulated.calls import Calls

CHANNELS_MAXIMUM = "simulated_channels_max"
CHANNELS_MEAN = "simulated_channels_mean"
CALL_RATE = "simulated_call_rate"
_MEASURES = {
    CHANNELS_MAXIMUM: Measure.CHANNELS,
    CHANNELS_MEAN: Measure.CHANNELS,
    CALL_RATE: Measure.CALL_RATE,
}


class SimulatedCalls:
    """A `HistorySource` and the `LiveCalls` of a simulated fleet, over the same calls.

    A query's expression is one of the three names above. Nothing is told of slots that are not over yet, as a real
    source could not either.
    """

    def __init__(self, tenants: Sequence[SimulatedTenant], clock: Clock, *, seed: int = 1) -> None:
        self._stream = CallStream(tenants, seed)
        self._clock = clock

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        """Load of every tenant on the grid.

        Raises:
            SourceConfigurationError: the expression is not known, or the grid's step is not of whole minutes.
        """
        _check(query)
        if grid.step_s % 60:
            raise SourceConfigurationError(
                f"a step of {grid.step_s} s: simulated calls are recorded by the minute; use 1m, 5m or more"
            )
        tenants = self._stream.tenants
        values = np.full((len(tenants), grid.slots), np.nan, dtype=np.float32)
        over = min(max(grid.index_of(self._clock.now_s()), 0), grid.slots)
        if over:
            for row, tenant in enumerate(tenants):
                values[row, :over] = self._slots(query, tenant, SlotGrid(grid.start_s, grid.step_s, over))
        return LoadMatrix(query.measure, tuple(tenants), grid, values)

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        """Load of every tenant at `now_s`; a call rate is that of the minute before.

        Raises:
            SourceConfigurationError: the expression is not known.
        """
        _check(query)
        if query.measure is Measure.CHANNELS:
            by_tenant = {name: float(self._stream.channels_at(name, now_s)) for name in self._stream.tenants}
        else:
            by_tenant = {
                name: self._stream.starting([name], now_s - 59, now_s + 1).start_s.size / 60.0
                for name in self._stream.tenants
            }
        return CurrentLoad(query.measure, by_tenant, now_s)

    def starting(self, tenants: Sequence[str], from_s: float, until_s: float) -> Calls:
        """Calls of these tenants that begin in [from_s, until_s), in the order of their starts."""
        return self._stream.starting(tenants, from_s, until_s)

    def in_progress(self, tenants: Sequence[str], at_s: float) -> Calls:
        """Calls of these tenants that are in progress at this instant."""
        return self._stream.in_progress(tenants, at_s)

    def close(self) -> None:
        """There is nothing to give back."""

    def _slots(self, query: HistoryQuery, tenant: str, grid: SlotGrid) -> Float32Array:
        loads = self._stream.minutes(tenant, grid.start_s, grid.end_s)
        shape = (grid.slots, grid.step_s // 60)
        if query.expression == CHANNELS_MAXIMUM:
            values: Float32Array = loads.highest.reshape(shape).max(axis=1)
        elif query.expression == CHANNELS_MEAN:
            values = loads.mean.reshape(shape).mean(axis=1)
        else:
            values = loads.begun.reshape(shape).sum(axis=1) / np.float32(grid.step_s)
        return values


def _check(query: HistoryQuery) -> None:
    measure = _MEASURES.get(query.expression)
    if measure is None:
        known = ", ".join(_MEASURES)
        raise SourceConfigurationError(f"query {query.expression!r}: the simulation has only {known}")
    if measure is not query.measure:
        raise SourceConfigurationError(f"query {query.expression!r} yields {measure}, not {query.measure}")
    if query.refused is not None:
        raise SourceConfigurationError("the simulation knows what was offered already; remove history.refused")
