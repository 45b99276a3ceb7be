"""The cluster around one fleet: objects with versions, admission, the pods' controller, the HPA, kubelets.

It does what the real ones were seen to do: a controller makes what is missing and deletes what is too many by its own
ranking, an HPA raises the target to what it was told last, and admission refuses what the policies forbid.
"""

from __future__ import annotations

from collections import deque

from scaler.retirement.observed import Workload
from scaler.retirement.states import RetirementState
from tools.call_simulator.conditions import LEAD_S, Setting
from tools.call_simulator.pods import Pod, PodObject
from tools.call_simulator.switchboard import Switchboard
from tools.model_check.promises import Promise
from tools.model_check.scenarios import Outside

HPA_EVERY_S = 15.0
TOLD_FOR_S = 45.0
"""So long KEDA and the HPA may still go by an answer."""
MOST_WRONG_PICKS = 2


class Cluster:
    """The API server's side of one fleet, and the controllers that live on it."""

    def __init__(self, switchboard: Switchboard, setting: Setting, pods: int) -> None:
        self.switchboard, self.setting, self.outside = switchboard, setting, setting.outside
        self.timeline, self.tally, self.rng = switchboard.timeline, switchboard.tally, switchboard.rng
        self.pods = switchboard.pods
        self.target, self.scale_version = pods, 0
        self.most_pods = 2 * setting.tenant.pods + 4
        self.answers: deque[tuple[float, int]] = deque([(0.0, pods)])
        self.way_up_broken = self.frozen = False
        self._made, self._wrong_picks, self._woken = 0, 0, False
        self._counted_s = 0.0
        for _ in range(pods):
            self._serve(self._make())
        self.timeline.after(self.rng.uniform(0.0, HPA_EVERY_S), self._hpa)

    # What the objects say

    def refuses_delete(self, pod: Pod) -> bool:
        """Whether the admission policies refuse to let anybody but calltide delete the pod."""
        protected = pod.object.protected and Outside.DELETE_ADMISSION in self.outside
        return pod.object.started and (protected or self._is_reserved(pod))

    def refuses_eviction(self, pod: Pod) -> bool:
        """Whether the disruption budget or the policy on released pods refuses to evict it."""
        kept = pod.object.protected or self._is_reserved(pod)
        return kept and pod.object.started and Outside.DISRUPTION_BUDGET in self.outside

    def _is_reserved(self, pod: Pod) -> bool:
        return pod.object.state is RetirementState.RELEASED and Outside.RELEASED_ADMISSION in self.outside

    def told(self) -> int:
        """The largest number that the HPA may still go by."""
        oldest_s = self.timeline.now_s - TOLD_FOR_S
        while len(self.answers) > 1 and self.answers[1][0] <= oldest_s:
            self.answers.popleft()
        return max(answer for _, answer in self.answers)

    def delete(self, pod: Pod, *, ours: bool) -> None:
        """A deletion that was accepted: whatever lives on the pod is cut, though a long grace might yet save it."""
        if pod.gone:
            return
        self._count_pods()
        pod.gone = True
        self.pods.remove(pod)
        self.tally.recordings_lost += pod.recordings
        cut = self.switchboard.lose(pod)
        self.tally.cut += cut
        self.tally.pods_gone += pod.object.started
        if cut:
            self.tally.broken[Promise.CUT] += 1
        if ours and pod.object.state is not RetirementState.RELEASED:
            self.tally.broken[Promise.FOREIGN_DELETE] += 1
        self.wake(0.05)

    def set_target(self, target: int) -> None:
        """Write `/scale`."""
        self.target, self.scale_version = target, self.scale_version + 1
        self.wake(self.rng.uniform(0.02, 0.5))

    def finish(self) -> None:
        """Count the pods up to now."""
        self._count_pods()

    # The controller of the pods

    def wake(self, delay_s: float) -> None:
        """Have the controller look after so many seconds; one look at a time is enough."""
        if not self._woken:
            self._woken = True
            self.timeline.after(delay_s, self._control)

    def _control(self) -> None:
        self._woken = False
        old = [pod for pod in self.pods if not pod.object.current_revision]
        # A rollout makes its surge first; the old ones that it may not delete stand beyond the target.
        wanted = self.target + (max(1, self.target // 4) if old else 0)
        for _ in range(min(wanted, self.most_pods) - len(self.pods)):
            self.timeline.after(self.rng.uniform(2.0, 15.0), self._scheduled, self._make())
        surplus = len(self.pods) - self.target
        if surplus <= 0:
            return
        for pod in self._picked(surplus, old):
            if self.refuses_delete(pod):
                self.tally.refused_deletes += 1
            else:
                self.delete(pod, ours=False)
        self.wake(self.rng.uniform(1.0, 5.0))

    def _picked(self, surplus: int, old: list[Pod]) -> list[Pod]:
        """The controller's choice: by its ranking, or now and then by a stale cache."""
        if self.setting.workload is Workload.STATEFUL_SET:
            return sorted(self.pods, key=lambda pod: -pod.ordinal)[:surplus]
        if self._wrong_picks < MOST_WRONG_PICKS and self.rng.random() < self.setting.faults.wrong_pick:
            self._wrong_picks += 1
            return self.rng.sample(self.pods, surplus)
        self._wrong_picks = 0
        return sorted(old or self.pods, key=_controller_rank)[:surplus]

    def _make(self) -> Pod:
        self._count_pods()
        taken = {pod.ordinal for pod in self.pods}
        stateful = self.setting.workload is Workload.STATEFUL_SET
        ordinal = min(set(range(len(taken) + 1)) - taken) if stateful else -1 - self._made
        born = PodObject(self.timeline.now_s, protected=Outside.BORN_PROTECTED in self.outside)
        pod = Pod(self._made, ordinal, self.setting.proxies, born=born)
        self._made += 1
        self.pods.append(pod)
        return pod

    def _scheduled(self, pod: Pod) -> None:
        if pod.gone:
            return
        if self.way_up_broken:
            self.timeline.after(10.0, self._scheduled, pod)
            return
        pod.write(started=True)
        self.timeline.after(self.rng.uniform(0.5, 0.75) * LEAD_S, self._serve, pod)

    def _serve(self, pod: Pod) -> None:
        """Its PBX is up and its first probe was answered."""
        if pod.gone:
            return
        pod.up = True
        pod.write(started=True, ready=True, was_ready=True, state=RetirementState.ACTIVE)
        if not pod.object.protected:
            self.timeline.after(self.rng.uniform(60.0, 600.0), self._protect, pod)

    def _protect(self, pod: Pod) -> None:
        """What protects pods later than at birth comes to this one."""
        if pod.object.state is not RetirementState.RELEASED:
            pod.write(protected=True)

    def _count_pods(self) -> None:
        now_s = self.timeline.now_s
        self.tally.pod_s += len(self.pods) * (now_s - self._counted_s)
        self._counted_s = now_s

    # The HPA

    def _hpa(self) -> None:
        self.timeline.after(HPA_EVERY_S * self.rng.uniform(0.8, 1.2), self._hpa)
        self.told()
        # Which of the last answers it goes by, nobody can say.
        wanted = min(self.rng.choice(self.answers)[1], self.most_pods)
        if wanted > self.target:
            self.set_target(wanted)
        elif wanted < self.target and not {Outside.HPA_ONLY_RAISES, Outside.SCALE_ADMISSION} & self.outside:
            self.tally.broken[Promise.FOREIGN_TARGET] += 1
            self.set_target(wanted)
        if Outside.ZERO_TOLERANCE not in self.outside and len(self.pods) > self.target:
            if len(self.pods) > self.told():
                self.tally.broken[Promise.TARGET_TOO_HIGH] += 1
            self.set_target(len(self.pods))


def _controller_rank(pod: Pod) -> tuple[bool, bool, bool]:
    """Whom a ReplicaSet takes first, as the model check has it: not started, not Ready, lowest cost."""
    return (pod.object.started, pod.object.ready, pod.object.state is not RetirementState.RELEASED)
