"""The need of a fleet: a stated stand-in for the planner.

The planner's forecasts have benchmarks of their own. Here the forecast is the tenant's usual day, from which each real
day differs by 8 %, sized for Poisson traffic. What is up now is sized as a policy's defaults do it, and may raise it.
A tenant without a forecast goes by what it needed within the look ahead, as in production.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from random import Random

from scaler.retirement.outlook import Outlook, OutlookStep
from tools.call_simulator.calls import STEP_S, Calls, Tenant, pods_for
from tools.call_simulator.conditions import LEAD_S, Setting

LULL_S = 300.0
HEADROOM, OCCUPANCY = 0.2, 0.8
"""The defaults of `reactive.headroom` and `capacity.targetOccupancy`."""
FLOOR = 1
"""As `minPods`: a tenant keeps a warm pod, and a fleet of none would never be seen to need one."""
AHEAD_S = 6 * 3600.0


class Need:
    """What a fleet needs from now on, as a leader is told it."""

    def __init__(self, setting: Setting, calls: Calls, rng: Random) -> None:
        self._tenant, self._look_ahead_s = setting.tenant, setting.look_ahead_s
        self._swings = _swings(setting, calls.end_s, rng) if setting.swings_s else None
        self._path = _path(calls, setting.tenant)
        self._starts_s = [step.start_s for step in self._path]
        self._seen: deque[tuple[float, int]] = deque()

    def outlook(self, now_s: float, channels: int) -> Outlook:
        """The need of now and, as far as it is foreseen, to come; `channels` are up now."""
        if self._swings is not None:
            pods = self._swings[bisect_right(self._swings, (now_s, 10**6)) - 1][1]
            return Outlook((OutlookStep(now_s, pods),), now_s + AHEAD_S)
        live = math.ceil(channels * (1.0 + HEADROOM) / (OCCUPANCY * self._tenant.channels_per_pod))
        first = bisect_right(self._starts_s, now_s)
        ahead = self._path[first : bisect_right(self._starts_s, now_s + AHEAD_S)] if self._tenant.foreseen else []
        soon = [step.pods for step in self._path[max(0, first - 1) : first]] if self._tenant.foreseen else []
        soon += [step.pods for step in ahead if step.start_s <= now_s + LEAD_S]
        now_pods = max([FLOOR, live, *soon])
        past = self._most_seen(now_s, now_pods)
        return Outlook((OutlookStep(now_s, now_pods), OutlookStep(now_s, past), *ahead), now_s + AHEAD_S)

    def _most_seen(self, now_s: float, pods: int) -> int:
        """The most that was needed of late. Only rises and falls are kept, the largest first."""
        seen, back_s = self._seen, LULL_S if self._tenant.foreseen else self._look_ahead_s
        while seen and seen[-1][1] <= pods:
            seen.pop()
        seen.append((now_s, pods))
        while seen[0][0] < now_s - back_s:
            seen.popleft()
        return seen[0][1]


def _path(calls: Calls, tenant: Tenant) -> list[OutlookStep]:
    steps: list[OutlookStep] = []
    for i, erlangs in enumerate(calls.forecast):
        pods = pods_for(float(erlangs), tenant.channels_per_pod)
        if not steps or steps[-1].pods != pods:
            steps.append(OutlookStep(i * STEP_S, pods))
    return steps


def _swings(setting: Setting, end_s: float, rng: Random) -> list[tuple[float, int]]:
    """A need that nobody foresees: up to all pods, down to one or a pod less, each for some time."""
    pods, at_s, swings = setting.tenant.pods, 0.0, [(0.0, setting.tenant.pods)]
    while at_s < end_s:
        at_s += rng.expovariate(1.0 / setting.swings_s)
        swings.append((at_s, rng.randint(1, pods)))
    return swings
