"""Writes as the API server, the pods and the proxies take them: done, refused, or over a version that is past."""

from __future__ import annotations

from scaler.retirement.actions import Action, DeletePod, LowerScale, MovePod, ReleasePod, SetFrontGate, SetPodGate
from scaler.retirement.closings import Closing
from scaler.retirement.evidence import ProvedEmpty
from scaler.retirement.readings import GatePosition, Steering
from scaler.retirement.states import RetirementState
from tools.call_simulator.pods import Pod
from tools.call_simulator.surroundings import Surroundings
from tools.model_check.promises import Promise


class Writes:
    """Carries out what a leader asked for, at whatever moment it arrives, and judges it by what is true then."""

    def __init__(self, around: Surroundings) -> None:
        self.around, self.cluster = around, around.cluster
        self.setting, self.tally = around.setting, around.cluster.tally

    def done(self, action: Action, pod: Pod | None) -> None:
        """A write arrives at the API server."""
        if isinstance(action, LowerScale):
            self._lower(action)
        elif pod is None or pod.gone:
            return
        elif isinstance(action, DeletePod):
            if self._is_of_now(action.version, pod, Closing.DELETE_PRECONDITIONS):
                self.cluster.delete(pod, ours=True)
        elif isinstance(action, MovePod | ReleasePod) and self._is_of_now(
            action.version, pod, Closing.COMPARE_AND_SWAP
        ):
            self._move(action, pod) if isinstance(action, MovePod) else self._release(action, pod)

    def gate_set(self, action: SetPodGate | SetFrontGate, pod: Pod) -> None:
        """A write arrives at a pod or at a proxy."""
        if isinstance(action, SetFrontGate):
            if int(action.proxy) != self.around.unreachable_proxy:
                pod.steered[int(action.proxy)] = action.steering is Steering.TOWARDS
        elif pod.up and str(pod.boot) == action.boot.started:
            pod.shut = action.position is GatePosition.CLOSED

    def _is_of_now(self, version: str, pod: Pod, closing: Closing) -> bool:
        return closing not in self.setting.closings or int(version) == pod.object.version

    def _move(self, action: MovePod, pod: Pod) -> None:
        if pod.object.state is RetirementState.RELEASED:
            self.tally.broken[Promise.CAME_BACK] += 1
        self.tally.drains += action.before is RetirementState.ACTIVE
        self.tally.recalls += action.to is RetirementState.ACTIVE
        pod.write(state=action.to, drain=action.drain, evidence=None)
        if action.to is RetirementState.DRAINED:
            self.around.worst_moment(pod, self.setting.faults.restarts_when_drained)

    def _release(self, action: ReleasePod, pod: Pod) -> None:
        states = (RetirementState.DRAINED, RetirementState.RELEASED)
        ground = action.evidence.ground
        if not isinstance(ground, ProvedEmpty):
            if pod.up:
                self.tally.broken[Promise.NOT_DEAD] += 1
        elif pod.object.state not in states:
            self.tally.broken[Promise.NOT_DRAINED] += 1
        elif not self._is_empty(pod, ground):
            self.tally.broken[Promise.NOT_EMPTY] += 1
        pod.write(state=RetirementState.RELEASED, protected=False, evidence=action.evidence)
        self.around.worst_moment(pod, self.setting.faults.restarts_after_release)

    def _is_empty(self, pod: Pod, ground: ProvedEmpty) -> bool:
        """Whether the pod is what its release says, or has nothing left that could be cut."""
        if self.setting.unseen_restarts and not pod.up:
            return True
        shut = pod.shut if self.setting.pod_gate else not any(pod.steered)
        return pod.up and str(pod.boot) == ground.boot.started and shut and not pod.live and not pod.recordings

    def _lower(self, action: LowerScale) -> None:
        cluster = self.cluster
        unchanged = (str(cluster.scale_version), cluster.target) == (action.version, action.replicas)
        if not unchanged:
            if Closing.SCALE_TEST in self.setting.closings:
                return
            if action.to < cluster.target - (action.replicas - action.to):
                self.tally.broken[Promise.LATE_TARGET] += 1
        cluster.set_target(action.to)
