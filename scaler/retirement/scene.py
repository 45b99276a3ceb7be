"""One look at a fleet, with the questions that every rule asks of it: who serves, who leaves, what is proved."""

from __future__ import annotations

from dataclasses import dataclass

from scaler.core.answer import PodsApart, pods_apart
from scaler.core.fleets import FleetObservation, Pod, PodState
from scaler.retirement.closings import Closing, Closings
from scaler.retirement.evidence import Ground, ProvedEmpty
from scaler.retirement.limits import RetirementLimits
from scaler.retirement.nodes import dead_nodes
from scaler.retirement.observed import ObservedFleet, ObservedPod
from scaler.retirement.outlook import Outlook
from scaler.retirement.proof import Memory, current_reading, is_shut, proved_empty
from scaler.retirement.readings import GatePosition, Reading, Unproved
from scaler.retirement.states import Purpose, RetirementState


@dataclass(frozen=True, slots=True)
class Scene:
    """What is decided on: the observation, and what is remembered of it at `now_s` (the leader's clock)."""

    observed: ObservedFleet
    memory: Memory
    limits: RetirementLimits
    now_s: float
    closings: Closings

    def has(self, closing: Closing) -> bool:
        """Whether a guard is in force; in production all of them are."""
        return closing in self.closings

    @property
    def need(self) -> Outlook | None:
        """The need to come, None while it is not known."""
        need = self.observed.need
        return None if isinstance(need, Unproved) else need

    def staying(self) -> list[ObservedPod]:
        """Pods that take new calls now and are not on their way out. An unproved one that is Ready serves."""
        return [pod for pod in self.observed.pods if self._takes_calls(pod) and pod.state is RetirementState.ACTIVE]

    def relied_on(self) -> list[ObservedPod]:
        """Of those that stay, the ones that answer: nobody is let go on the word of a pod that says nothing."""
        return [pod for pod in self.staying() if isinstance(pod.reading, Reading)]

    def opening(self) -> list[ObservedPod]:
        """Recalled pods that will serve within moments: active, Ready, not read back open, and not given up."""
        return [pod for pod in self.observed.pods if self._waits_to_open(pod) and not self.gave_up_opening(pod)]

    def leaving(self) -> list[ObservedPod]:
        """Standing pods on their way out, released ones not counted."""
        return [pod for pod in self.observed.pods if pod.stands and pod.state.is_recallable]

    def _takes_calls(self, pod: ObservedPod) -> bool:
        return pod.stands and pod.ready and not self._reads_shut(pod)

    def _reads_shut(self, pod: ObservedPod) -> bool:
        return isinstance(pod.reading, Reading) and pod.reading.gate is GatePosition.CLOSED and self.limits.pod_gate

    def _waits_to_open(self, pod: ObservedPod) -> bool:
        return pod.stands and pod.ready and pod.state is RetirementState.ACTIVE and self._reads_shut(pod)

    def gave_up_opening(self, pod: ObservedPod) -> bool:
        """Whether a recalled pod was not read back open in time: it counts as failed."""
        waits_s = self.memory.of(pod.uid).waits_open_s
        return waits_s is not None and self.now_s - waits_s > self.limits.recall_s

    def covers_lead(self) -> bool:
        """Whether those that stay meet the need over the whole lead of a new pod, and the floor."""
        if not self.has(Closing.NEED_WITHOUT_POD):
            return True
        if self.need is None:
            return False
        wanted = max(self.limits.floor, self.need.most(self.now_s, self.limits.lead_s))
        return len(self.relied_on()) >= wanted

    def is_behind_gate(self, pod: ObservedPod) -> bool:
        """Whether no gate lets a new call into the pod."""
        return is_shut(pod.reading, pod.front, self.limits, self.closings)

    def proof(self, pod: ObservedPod) -> ProvedEmpty | Unproved:
        """The proof that a pod is empty, or why there is none."""
        return proved_empty(self.memory.of(pod.uid), pod, self.limits, self.now_s, self.closings)

    def evidence_holds(self, pod: ObservedPod) -> bool | None:
        """Whether a released pod is still what its release says; None while nobody can tell."""
        if not self.has(Closing.PROOF_AT_DELETE):
            return True
        if pod.evidence is None:
            return False
        ground = pod.evidence.ground
        if isinstance(ground, ProvedEmpty):
            reading = current_reading(pod, self.limits, self.now_s, self.closings)
            return ground.still_holds(reading, pod_gate=self.limits.pod_gate)
        return pod.node in self.dead_nodes()

    def dead_nodes(self) -> dict[str, Ground]:
        """Nodes that are gone, and on what ground."""
        observed = self.observed
        return dead_nodes(observed.nodes, observed.cluster_nodes, self.limits, self.closings)

    def apart(self) -> PodsApart:
        """The pods inside the target that do not serve, as the plan counts them."""
        need = self.need
        return pods_apart(as_core_fleet(self), need.now_pods if need else 0, lead_s=self.limits.lead_s)

    def answer(self) -> int | None:
        """What KEDA is to be told; None, which is to hold, while the need is not known."""
        need = self.need
        return None if need is None else need.now_pods + self.apart().not_serving

    def alone(self) -> int | None:
        """What KEDA is to be told once nobody can recall a draining pod."""
        answer = self.answer()
        return None if answer is None else answer + self.apart().recallable


def as_core_fleet(scene: Scene) -> FleetObservation:
    """The fleet in the words in which the plan counts pods."""
    observed = scene.observed
    return FleetObservation(
        key=observed.key,
        policy="",
        tenants=(),
        pool=None,
        workload="",
        spec_replicas=observed.spec_replicas,
        status_replicas=sum(pod.stands for pod in observed.pods),
        pods=tuple(as_core_pod(scene, pod) for pod in observed.pods),
        observed_at_s=observed.wall_s,
    )


def as_core_pod(scene: Scene, pod: ObservedPod) -> Pod:
    """A pod in the words of the plan."""
    return Pod(
        uid=pod.uid,
        name=pod.name,
        state=_core_state(scene, pod),
        created_s=pod.created_s,
        node=pod.node,
        replacing=pod.state.is_recallable and pod.drain is not None and pod.drain.purpose is Purpose.REPLACE,
        current_revision=pod.current_revision,
    )


def _core_state(scene: Scene, pod: ObservedPod) -> PodState:
    if pod.terminal:
        return PodState.TERMINAL
    if pod.terminating:
        return PodState.TERMINATING
    if pod.state is RetirementState.RELEASED:
        return PodState.RELEASED
    if not pod.ready:
        return PodState.FAILED if pod.was_ready else PodState.STARTING
    if scene.gave_up_opening(pod):
        return PodState.FAILED
    recallable = {RetirementState.DRAINING: PodState.DRAINING, RetirementState.DRAINED: PodState.DRAINED}
    return recallable.get(pod.state, PodState.SERVING)
