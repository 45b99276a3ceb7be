"""One simulated fleet: pods that are raised as an HPA raises them, and let go as only this platform does.

Raising follows the answer at once and never lowers. Letting go is a platform's, not calltide's: when every answer of
the last ten minutes was lower than the target, one pod a sync takes no further calls, and it goes when the last call
on it has ended. An answer that rises again takes such pods back before new ones are made.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from scaler.core.fleets import FleetObservation, Pod, PodState
from scaler.fleet.listing import FleetListing
from scaler.fleet.simulated.calls import Calls
from scaler.fleet.simulated.placing import CallPlacer, SimulatedPod

CALM_S = 600.0
LEADS_KEPT = 200
FIRST_OCCUPANCY = 0.6
"""Share of the first pods' channels that is in use when the simulation begins."""


@dataclass(frozen=True, slots=True)
class SimulatedFleetSpec:
    """A fleet to play. Leads are log-normal: median in seconds, sigma of the logarithm."""

    listing: FleetListing
    channels_per_pod: int
    minimum_replicas: int = 1
    maximum_replicas: int = 100
    lead_median_s: float = 85.0
    lead_sigma: float = 0.25


@dataclass(frozen=True, slots=True)
class FleetCalls:
    """What the simulated callers met so far. `on_pods` has the channels in use now by pod name."""

    offered: int
    refused: int
    channels: int
    on_pods: dict[str, int]


class SimulatedFleet:
    """The state of one fleet. Every method is told the time; nothing is random but the leads, which are seeded."""

    def __init__(self, spec: SimulatedFleetSpec, seed: int) -> None:
        self.spec = spec
        key = spec.listing.key
        self._random = np.random.default_rng([seed, *f"{key}".encode()])
        self._pods: list[SimulatedPod] = []
        self._made = 0
        self._placer = CallPlacer(spec.channels_per_pod)
        self._answers: deque[tuple[float, int]] = deque()
        self._leads: deque[float] = deque(maxlen=LEADS_KEPT)

    @property
    def replicas(self) -> int:
        """What `spec.replicas` of the workload would be: every pod that stands or starts."""
        return len(self._pods)

    @property
    def leads_s(self) -> tuple[float, ...]:
        """Seconds from creation to Ready of the newest pods, oldest first, as far as they are Ready."""
        return tuple(self._leads)

    def begin(self, calls: Calls, now_s: float) -> None:
        """Stand as a fleet that was there all along, with pods for the calls in progress."""
        pods = math.ceil(int(calls.channels.sum()) / (FIRST_OCCUPANCY * self.spec.channels_per_pod))
        pods = min(max(pods, self.spec.minimum_replicas), self.spec.maximum_replicas)
        for n in range(pods):
            self._make(now_s - 3600.0 - 60.0 * (pods - n))
        self._note_ready(-math.inf, now_s)
        self._placer.seat(self._pods, calls, now_s)

    def resume(self, calls: Calls, from_s: float, now_s: float) -> None:
        """Go on after a pause of the process: the calls in progress sit on the pods that are there."""
        self._note_ready(from_s, now_s)
        self._placer.seat(self._pods, calls, now_s)
        self._answers.clear()

    def advance(self, calls: Calls, from_s: float, until_s: float) -> None:
        """Let pods become Ready, calls begin and end, and drained pods go."""
        self._note_ready(from_s, until_s)
        self._placer.advance(self._pods, calls, until_s)
        self._pods = [pod for pod in self._pods if not pod.draining or pod.channels]

    def take_answer(self, wanted: int, now_s: float) -> None:
        """What the HPA does with an answer, and what this platform does with one that stays low."""
        wanted = min(max(wanted, self.spec.minimum_replicas), self.spec.maximum_replicas)
        draining = [pod for pod in self._pods if pod.draining]
        missing = wanted - (len(self._pods) - len(draining))
        for pod in draining[: max(missing, 0)]:
            pod.draining = False
        for _ in range(missing - len(draining)):
            self._make(now_s)
        self._let_go(wanted, now_s)

    def observation(self, now_s: float) -> FleetObservation:
        """The fleet in the words of the core."""
        listing = self.spec.listing
        return FleetObservation(
            key=listing.key,
            policy=listing.policy,
            tenants=listing.tenants,
            pool=None,
            workload=f"Deployment/{listing.key.name}",
            spec_replicas=self.replicas,
            status_replicas=self.replicas,
            pods=tuple(_observed(pod, now_s) for pod in self._pods),
            observed_at_s=now_s,
            minimum_replicas=self.spec.minimum_replicas,
            maximum_replicas=self.spec.maximum_replicas,
        )

    def calls(self) -> FleetCalls:
        """The calls so far, and where they are now."""
        on_pods = {pod.name: pod.channels for pod in self._pods}
        return FleetCalls(self._placer.offered, self._placer.refused, sum(on_pods.values()), on_pods)

    def _note_ready(self, after_s: float, now_s: float) -> None:
        became = sorted((p for p in self._pods if after_s < p.ready_s <= now_s), key=lambda pod: pod.ready_s)
        self._leads.extend(pod.ready_s - pod.created_s for pod in became)

    def _make(self, created_s: float) -> None:
        lead_s = self.spec.lead_median_s * math.exp(self.spec.lead_sigma * self._random.standard_normal())
        self._made += 1
        name = f"{self.spec.listing.key.name}-{self._made:04}"
        uid = f"simulated/{self.spec.listing.key}/{self._made}"
        self._pods.append(SimulatedPod(uid, name, created_s, created_s + lead_s))

    def _let_go(self, wanted: int, now_s: float) -> None:
        self._answers.append((now_s, wanted))
        while self._answers[0][0] < now_s - CALM_S:
            self._answers.popleft()
        if now_s - self._answers[0][0] < 0.9 * CALM_S:
            return  # not long enough since the first answer
        serving = [pod for pod in self._pods if pod.takes_calls(now_s)]
        staying = sum(not pod.draining for pod in self._pods)
        if staying > max(answer for _, answer in self._answers) and serving:
            min(serving, key=lambda pod: pod.channels).draining = True


def _observed(pod: SimulatedPod, now_s: float) -> Pod:
    if pod.ready_s > now_s:
        return Pod(pod.uid, pod.name, PodState.STARTING, pod.created_s)
    state = PodState.DRAINING if pod.draining else PodState.SERVING
    return Pod(pod.uid, pod.name, state, pod.created_s, ready_s=pod.ready_s)
