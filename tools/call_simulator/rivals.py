"""Two other ways to scale in, on the same calls: a stock HPA, and the best that stock parts can do.

*stock*: an HPA on channels per pod (target 70 %, tolerance 10 %, 300 s of stabilization); the ReplicaSet takes pods
that are not Ready, then the youngest; what still talks after 30 s is cut. *cron*: KEDA's cron trigger for the tenant's
day beside the same HPA, and a preStop hook that waits for zero, for eight hours at most. In both a pod that terminates
takes no new calls, costs until it is gone, and cannot come back.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from random import Random

from tools.call_simulator.calls import STEP_S, Calls, Tenant, pods_for
from tools.call_simulator.conditions import LEAD_S, Faults
from tools.call_simulator.lack import Lack
from tools.call_simulator.pods import Pod, PodObject
from tools.call_simulator.switchboard import Switchboard
from tools.call_simulator.tally import Tally
from tools.call_simulator.timeline import Timeline

SYNC_S, STABILIZATION_S = 15.0, 300.0
TARGET, TOLERANCE = 0.7, 0.1
EARLIER_S = 900.0
"""So long before the day the cron trigger begins: whoever sets it knows the lead."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A way to scale: how long a terminating pod is waited for, and whether a schedule keeps pods for the day."""

    name: str
    grace_s: float
    scheduled: bool


STOCK = Rival("stock HPA, 30 s grace", 30.0, scheduled=False)
CRON = Rival("KEDA cron, preStop waits 8 h", 8 * 3600.0, scheduled=True)


def run_rival(rival: Rival, tenant: Tenant, calls: Calls, seed: int) -> Tally:
    """Run one fleet without any fault."""
    timeline, tally = Timeline(), Tally()
    rng = Random(seed)  # noqa: S311 - calls, no secrets
    board = Switchboard(timeline, calls, tally, rng, Faults(), channels_per_pod=tenant.channels_per_pod)
    _Scaled(rival, board, tenant)
    timeline.run(calls.starts_s, board.arrive, calls.end_s)
    return tally


class _Scaled:
    """A fleet that a rival scales. A pod that terminates is taken off the switchboard, with its calls still on it."""

    def __init__(self, rival: Rival, board: Switchboard, tenant: Tenant) -> None:
        self.rival, self.board, self.tenant = rival, board, tenant
        self.timeline, self.tally = board.timeline, board.tally
        self._terminating: list[Pod] = []
        self._wanted: deque[tuple[float, int]] = deque()
        self._made, self._lack = 0, Lack(board)
        self._schedule = _schedule(tenant, board.calls) if rival.scheduled else []
        for _ in range(self._scheduled_pods(0.0)):
            self._make().up = True
        self.timeline.after(SYNC_S, self._sync)

    def _sync(self) -> None:
        self.timeline.after(SYNC_S, self._sync)
        now_s, pods = self.timeline.now_s, self.board.pods
        self._end_empty()
        self.tally.pod_s += SYNC_S * (len(pods) + len(self._terminating))
        self._lack.sampled(sum(pod.up for pod in pods), SYNC_S)
        self._wanted.append((now_s, max(self._by_channels(), self._scheduled_pods(now_s))))
        while self._wanted[0][0] < now_s - STABILIZATION_S:
            self._wanted.popleft()
        for _ in range(self._wanted[-1][1] - len(pods)):
            self.timeline.after(LEAD_S, setattr, self._make(), "up", True)
        most = max(wanted for _, wanted in self._wanted)
        if most < len(pods):
            youngest = sorted(pods, key=lambda pod: (pod.up, pod.ordinal))
            for pod in youngest[: len(pods) - most]:
                self._terminate(pod)

    def _by_channels(self) -> int:
        """The HPA's proposal: no pod is added or taken while the mean is within the tolerance of its target."""
        ready = [pod for pod in self.board.pods if pod.up]
        if not ready:
            return len(self.board.pods)
        share = sum(pod.live for pod in ready) / (len(ready) * self.board.channels_per_pod * TARGET)
        if abs(share - 1.0) <= TOLERANCE:
            return len(self.board.pods)
        return min(max(1, math.ceil(share * len(ready))), 2 * self.tenant.pods + 4)

    def _scheduled_pods(self, now_s: float) -> int:
        return self._schedule[min(int(now_s // STEP_S), len(self._schedule) - 1)] if self._schedule else 1

    def _make(self) -> Pod:
        self._made += 1
        pod = Pod(self._made, -self._made, 0, born=PodObject(self.board.timeline.now_s))
        self.board.pods.append(pod)
        return pod

    def _terminate(self, pod: Pod) -> None:
        pod.shut = True
        self.board.pods.remove(pod)
        self._terminating.append(pod)
        self.timeline.after(self.rival.grace_s, self._killed, pod)

    def _killed(self, pod: Pod) -> None:
        if not pod.gone:
            self.tally.cut += self.board.lose(pod)

    def _end_empty(self) -> None:
        for pod in self._terminating:
            pod.gone = pod.live == 0
        self.tally.pods_gone += sum(pod.gone for pod in self._terminating)
        self._terminating = [pod for pod in self._terminating if not pod.gone]


def _schedule(tenant: Tenant, calls: Calls) -> list[int]:
    """Pods by steps of 300 s: those of the peak for the hours that need more than 40 % of it, the night's otherwise."""
    needed = [pods_for(float(erlangs), tenant.channels_per_pod) for erlangs in calls.forecast]
    by_day = [pods > 0.4 * max(needed) for pods in needed]
    night = max((pods for pods, day in zip(needed, by_day, strict=True) if not day), default=1)
    early = int(EARLIER_S // STEP_S)
    return [max(needed) if any(by_day[i : i + early + 1]) else night for i in range(len(needed))]
