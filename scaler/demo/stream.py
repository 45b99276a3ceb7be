"""The calls of many tenants as a pure function of time, made a day at a time when they are first asked for.

What is asked for often is kept: the calls of the last days, and of every day looked at the load of each minute. Both
caches hold what can be made again, so threads need no lock and no order of questions changes an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from forecasting.load import Float32Array
from scaler.demo.days import LONGEST_CALL_S, DayCalls, Int32Array, SimulatedTenant, local_day, make_day, midnight_s
from scaler.demo.profiles import Float64Array
from scaler.fleet.simulated.calls import Calls

SAMPLE_S = 5
_DAYS_OF_CALLS_KEPT = 6
_DAYS_OF_MINUTES_KEPT = 120


@dataclass(frozen=True, slots=True, eq=False)
class MinuteLoads:
    """One tenant's load in each minute of a run of minutes, each of shape (minutes,).

    `highest` and `mean` are channels in use, sampled every `SAMPLE_S` seconds as a scrape would; `begun` counts calls.
    """

    highest: Float32Array
    mean: Float32Array
    begun: Float32Array


class CallStream:
    """Offered calls of these tenants. All of it depends on the seed and the question only."""

    def __init__(self, tenants: Sequence[SimulatedTenant], seed: int = 1) -> None:
        self.tenants = {tenant.name: tenant for tenant in tenants}
        count = max(1, len(self.tenants))

        @lru_cache(maxsize=_DAYS_OF_CALLS_KEPT * count)
        def calls_of(name: str, day: date) -> DayCalls:
            return make_day(self.tenants[name], day, seed)

        @lru_cache(maxsize=_DAYS_OF_MINUTES_KEPT * count)
        def loads_of(name: str, day: date) -> MinuteLoads:
            return _minute_loads(calls_of(name, day), calls_of(name, day - timedelta(days=1)))

        self._calls_of, self._loads_of = calls_of, loads_of

    def channels_at(self, tenant: str, at_s: float) -> int:
        """Channels in use at an instant."""
        return int(self.in_progress([tenant], at_s).channels.sum())

    def minutes(self, tenant: str, from_s: int, until_s: int) -> MinuteLoads:
        """The load in each minute of [from_s, until_s), whole minutes."""
        parts, zone = [], self.tenants[tenant].calendar.time_zone
        for day in self._days(tenant, from_s, until_s):
            begin_s, loads = midnight_s(zone, day), self._loads_of(tenant, day)
            first, last = max(0, (from_s - begin_s) // 60), max(0, (until_s - begin_s) // 60)
            parts.append((loads.highest[first:last], loads.mean[first:last], loads.begun[first:last]))
        highest, mean, begun = (np.concatenate(part) for part in zip(*parts, strict=True))
        return MinuteLoads(highest, mean, begun)

    def starting(self, tenants: Sequence[str], from_s: float, until_s: float) -> Calls:
        """Calls that begin in [from_s, until_s), in the order of their starts."""
        return self._calls(tenants, from_s, until_s, in_progress_at_s=None)

    def in_progress(self, tenants: Sequence[str], at_s: float) -> Calls:
        """Calls in progress at an instant, in the order of their starts."""
        return self._calls(tenants, at_s - LONGEST_CALL_S, at_s + 1, in_progress_at_s=at_s)

    def _calls(self, tenants: Sequence[str], from_s: float, until_s: float, *, in_progress_at_s: float | None) -> Calls:
        starts, ends, channels = [], [], []
        for tenant in tenants:
            for day in self._days(tenant, from_s, until_s):
                calls = self._calls_of(tenant, day)
                span = calls.span(from_s, until_s)
                start_s = calls.start_s[span].astype(np.int64) + calls.midnight_s
                end_s = calls.end_s[span].astype(np.int64) + calls.midnight_s
                if in_progress_at_s is None:
                    wanted = (start_s >= from_s) & (start_s < until_s)
                else:
                    wanted = (start_s <= in_progress_at_s) & (end_s > in_progress_at_s)
                starts.append(start_s[wanted])
                ends.append(end_s[wanted])
                channels.append(calls.channels[span][wanted].astype(np.int64))
        if not starts:
            none = np.zeros(0, dtype=np.int64)
            return Calls(none, none, none)
        start_s = np.concatenate(starts)
        order = np.argsort(start_s, kind="stable")
        return Calls(start_s[order], np.concatenate(ends)[order], np.concatenate(channels)[order])

    def _days(self, tenant: str, from_s: float, until_s: float) -> Iterator[date]:
        zone = self.tenants[tenant].calendar.time_zone
        day, last = local_day(zone, from_s), local_day(zone, until_s - 1)
        while day <= last:
            yield day
            day += timedelta(days=1)


def _minute_loads(today: DayCalls, yesterday: DayCalls) -> MinuteLoads:
    samples = today.minutes * 60 // SAMPLE_S
    begun = _first_samples(today.start_s, today.channels, samples)
    ended = _first_samples(today.end_s, today.channels, samples)
    # Of yesterday's calls only the ends matter: all of them have begun before today.
    left_s = yesterday.end_s - np.int32(yesterday.minutes * 60)
    left_s, left_channels = left_s[left_s > 0], yesterday.channels[left_s > 0]
    ended += _first_samples(left_s, left_channels, samples)
    channels = left_channels.sum(dtype=np.int64) + np.cumsum(begun - ended)
    by_minute = channels.reshape(today.minutes, 60 // SAMPLE_S)
    return MinuteLoads(
        highest=by_minute.max(axis=1).astype(np.float32),
        mean=by_minute.mean(axis=1, dtype=np.float32),
        begun=np.diff(today.first_of_minute).astype(np.float32),
    )


def _first_samples(times_s: Int32Array, channels: npt.NDArray[np.int8], samples: int) -> Float64Array:
    # The first sample that sees a change is the one at or after it.
    index = -(-times_s // np.int32(SAMPLE_S))
    return np.asarray(np.bincount(index, weights=channels, minlength=samples)[:samples], dtype=np.float64)
