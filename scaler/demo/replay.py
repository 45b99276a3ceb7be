"""A recorded history played on: its last part becomes what is live, at the same weekday and hour of the wall clock.

Shown time lies whole weeks of civil time after recorded time. Where the recording would end, its last weeks begin
again, and so on. The recording holds levels and not calls, so calls are drawn under it: channel number k is in use
wherever the level is above k, and its caller changes every three minutes. Their sum is the recording again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.errors import SourceConfigurationError
from forecasting.grid import Int64Array, SlotGrid, floor_to_step
from forecasting.load import Float32Array, LoadMatrix
from forecasting.sources.protocol import CurrentLoad, HistoryQuery
from scaler.clock import Clock
from scaler.errors import ConfigurationError
from scaler.fleet.simulated.calls import Calls

WEEK_S = 7 * 86400
HOLDING_S = 180
SHORTEST_RECORDING_S = 3 * WEEK_S
"""A week to play on, and two before it."""
_BLOCK_S = 6 * 3600


class ReplayedHistory:
    """A `HistorySource` and the `LiveCalls` of a simulated fleet, out of one recording of channels in use.

    `live_from_s` is the shown instant at which the demo begins. The expression of a query is not looked at.

    Raises:
        ConfigurationError: the recording is too short to have both a past and a future.
    """

    def __init__(self, recorded: LoadMatrix, time_zone: str, clock: Clock, live_from_s: float) -> None:
        grid = recorded.grid
        length_s = grid.end_s - grid.start_s
        if length_s < SHORTEST_RECORDING_S:
            raise ConfigurationError(
                f"the history covers {length_s / 86400:.1f} days; a demo needs {SHORTEST_RECORDING_S // 86400} or more"
            )
        self._recorded, self._zone, self._clock = recorded, time_zone, clock
        weeks = max(1, length_s // WEEK_S // 4)
        # The shown beginning falls into the week before the recording's last weeks, which are then played in a loop.
        # Two hours to spare: civil weeks are an hour longer or shorter where the clock changes.
        self._weeks_back = int(-(-(live_from_s - (grid.end_s - 7200 - weeks * WEEK_S)) // WEEK_S))
        self._loop_ends_s = int(live_from_s) - self._weeks_back * WEEK_S + weeks * WEEK_S
        self._loop_weeks = int(weeks)
        self._row_of = {name: row for row, name in enumerate(recorded.series)}
        self._block = lru_cache(maxsize=16)(self._make_block)

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        """Load of every series on the grid.

        Raises:
            SourceConfigurationError: the measure or the step is not the recording's.
        """
        self._check(query)
        if grid.step_s != self._recorded.grid.step_s:
            raise SourceConfigurationError(
                f"a step of {grid.step_s} s: the history was recorded every {self._recorded.grid.step_s} s; use that"
            )
        values = self._shown(grid.starts_s)
        over = min(max(grid.index_of(self._clock.now_s()), 0), grid.slots)
        values[:, over:] = np.nan
        return LoadMatrix(query.measure, self._recorded.series, grid, values)

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        """Load of every series at `now_s`; a series with a gap in the recording here is left out.

        Raises:
            SourceConfigurationError: the measure is not the recording's.
        """
        self._check(query)
        gap = np.isnan(self._shown(np.array([int(now_s)])))[:, 0]
        levels = self._levels(self._recorded.series, int(now_s), 1)[:, 0]
        by_tenant = {
            name: float(level)
            for name, level, missing in zip(self._recorded.series, levels, gap, strict=True)
            if not missing
        }
        return CurrentLoad(query.measure, by_tenant, now_s)

    def starting(self, tenants: Sequence[str], from_s: float, until_s: float) -> Calls:
        """Calls of these tenants that begin in [from_s, until_s), in the order of their starts."""
        first_s, seconds = -int(-from_s // 1), int(-(-until_s // 1)) - -int(-from_s // 1)
        parts = []
        for levels in self._levels(tenants, first_s - 1, max(seconds, 0) + HOLDING_S + 1):
            channel = np.arange(levels.max(initial=0))[:, None]
            busy = levels[None, : seconds + 1] > channel
            at_s = first_s + np.arange(seconds)
            changes = (at_s - _phase(channel)) % HOLDING_S == 0
            which, when = np.nonzero(busy[:, 1:] & (~busy[:, :-1] | changes))
            parts.append(self._ends(levels, first_s, which, when))
        return _sorted(parts)

    def in_progress(self, tenants: Sequence[str], at_s: float) -> Calls:
        """Calls of these tenants that are in progress at this instant, as if all had begun at it."""
        first_s = int(at_s)
        parts = []
        for levels in self._levels(tenants, first_s - 1, HOLDING_S + 2):
            which = np.arange(levels[1])
            parts.append(self._ends(levels, first_s, which, np.zeros_like(which)))
        return _sorted(parts)

    def close(self) -> None:
        """There is nothing to give back."""

    def _check(self, query: HistoryQuery) -> None:
        if query.measure is not self._recorded.measure:
            raise SourceConfigurationError(f"the history holds {self._recorded.measure}, not {query.measure}")
        if query.refused is not None:
            raise SourceConfigurationError("the recorded history counts no refused calls; remove history.refused")

    def _shown(self, at_s: Int64Array) -> Float32Array:
        """What was recorded at the instants that are shown as these. Shape (series, instants), NaN for nothing."""
        grid = self._recorded.grid
        slot = (self._recorded_s(at_s) - grid.start_s) // grid.step_s
        inside = (slot >= 0) & (slot < grid.slots)
        values = np.full((len(self._recorded.series), at_s.size), np.nan, dtype=np.float32)
        values[:, inside] = self._recorded.values[:, slot[inside]]
        return values

    def _recorded_s(self, at_s: Int64Array) -> Int64Array:
        recorded_s = self._weeks_earlier(at_s, np.full(at_s.shape, self._weeks_back))
        beyond = recorded_s - self._loop_ends_s
        rounds = np.where(beyond >= 0, beyond // (self._loop_weeks * WEEK_S) + 1, 0)
        return self._weeks_earlier(at_s, self._weeks_back + rounds * self._loop_weeks)

    def _weeks_earlier(self, at_s: Int64Array, weeks: npt.NDArray[np.int_]) -> Int64Array:
        shown = pd.DatetimeIndex(at_s.astype("datetime64[s]"), tz="UTC").tz_convert(self._zone).tz_localize(None)
        wall = shown - pd.to_timedelta(weeks * 7, unit="D")
        # An hour that the recorded week did not have, or had twice, is one of its neighbours.
        recorded = wall.tz_localize(self._zone, ambiguous=np.zeros(wall.size, bool), nonexistent="shift_forward")
        return recorded.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)

    def _levels(self, tenants: Sequence[str], first_s: int, seconds: int) -> Int64Array:
        """Channels in use in whole numbers at each second from `first_s` on. Shape (tenants, seconds)."""
        rows = [self._row_of[tenant] for tenant in tenants]
        at_s = first_s + np.arange(seconds)
        levels = np.zeros((len(rows), seconds), dtype=np.int64)
        begin_s = floor_to_step(first_s, _BLOCK_S)
        while begin_s < first_s + seconds:
            inside = (at_s >= begin_s) & (at_s < begin_s + _BLOCK_S)
            known_s, values = self._block(begin_s)
            for row, source_row in enumerate(rows):
                observed = ~np.isnan(values[source_row])
                if observed.any():
                    between = np.interp(at_s[inside], known_s[observed], values[source_row][observed])
                    levels[row, inside] = np.rint(between)
            begin_s += _BLOCK_S
        return levels

    def _make_block(self, begin_s: int) -> tuple[Int64Array, Float32Array]:
        """Middles of the slots around six hours, and what was recorded in them: levels run straight between these."""
        step_s = self._recorded.grid.step_s
        middles_s = np.arange(begin_s - 2 * step_s, begin_s + _BLOCK_S + 2 * step_s, step_s) + step_s // 2
        return middles_s, self._shown(middles_s)

    def _ends(self, levels: Int64Array, first_s: int, which: Int64Array, when: Int64Array) -> Calls:
        # levels[0] is the second before first_s. A call ends when its caller changes or the level falls to it.
        start_s = first_s + when
        longest = HOLDING_S - (start_s - _phase(which)) % HOLDING_S
        end_s = start_s + longest
        for n, (channel, since, most) in enumerate(zip(which.tolist(), when.tolist(), longest.tolist(), strict=True)):
            fallen = levels[since + 2 : since + 1 + most] <= channel
            if fallen.any():
                end_s[n] = start_s[n] + 1 + int(fallen.argmax())
        return Calls(start_s, end_s, np.ones_like(start_s))


def _phase(channel: Int64Array) -> Int64Array:
    # Neighbouring channels change callers far apart.
    return channel * 113 % HOLDING_S


def _sorted(parts: Sequence[Calls]) -> Calls:
    none = np.zeros(0, dtype=np.int64)
    start_s, end_s, channels = (
        np.concatenate([none, *(getattr(part, name) for part in parts)]) for name in ("start_s", "end_s", "channels")
    )
    order = np.argsort(start_s, kind="stable")
    return Calls(start_s[order], end_s[order], channels[order])
