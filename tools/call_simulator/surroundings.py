"""Everything around the leader: the fleet's cluster and calls, the need, and the faults that strike them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from scaler.core.fleets import FleetKey
from scaler.retirement.shared_fall import WITHIN_S, LoadSeen, SharedFall, followed
from scaler.retirement.states import RetirementState
from tools.call_simulator.cluster import Cluster
from tools.call_simulator.conditions import Setting
from tools.call_simulator.lack import Lack
from tools.call_simulator.need import Need
from tools.call_simulator.pods import Pod
from tools.call_simulator.switchboard import Switchboard
from tools.model_check.promises import Promise
from tools.model_check.scenarios import Outside

SAMPLE_EVERY_S = 15.0
_KEY = FleetKey("default", "simulated")


class Surroundings:
    """One fleet's world. `leader_dies` is called when that fault strikes."""

    def __init__(self, cluster: Cluster, need: Need, setting: Setting) -> None:
        self.cluster, self.need, self.setting = cluster, need, setting
        self.switchboard: Switchboard = cluster.switchboard
        self.timeline, self.rng, self.tally = cluster.timeline, cluster.rng, cluster.tally
        self.password_changed = False
        self.unreachable_proxy = -1
        self.fall: SharedFall | None = None
        self.leader_dies: Callable[[], None] = lambda: None
        self._loads: deque[LoadSeen] = deque()
        self._lack = Lack(self.switchboard)
        self.timeline.after(SAMPLE_EVERY_S, self._sample)
        faults = setting.faults
        for per_hour, strike in (
            (faults.leader_dies, lambda: self.leader_dies()),
            (faults.pbx_restarts, lambda: self._at_a_pod(self._restarts)),
            (faults.password_changes, self._password_changes),
            (faults.proxy_forgets, self._proxy_forgets),
            (faults.proxy_unreachable, self._proxy_unreachable),
            (faults.evictions, lambda: self._at_a_pod(self._evicted)),
            (faults.deletions, lambda: self._at_a_pod(self._deleted)),
            (faults.lowered_by_hand, self._lowered_by_hand),
            (faults.rollouts, self._rollout),
            (faults.trunk_outages, self._trunk_fails),
            (faults.way_up_breaks, self._way_up_breaks),
            (faults.freezes, self._freeze),
            (faults.node_loses_api, lambda: self._at_a_pod(self._node_loses_api)),
            (faults.unready, lambda: self._at_a_pod(self._unready)),
        ):
            if per_hour:
                self._strike_later(3600.0 / per_hour, strike)

    def worst_moment(self, pod: Pod, restarts: float) -> None:
        """An edge was just written that rests on what its PBX said: let it restart with this probability."""
        if restarts and self.rng.random() < restarts:
            self.timeline.after(self.rng.uniform(0.0, 3.0), self._restarts, pod)

    def _strike_later(self, every_s: float, strike: Callable[[], None]) -> None:
        self.timeline.after(self.rng.expovariate(1.0 / every_s), self._strike, every_s, strike)

    def _strike(self, every_s: float, strike: Callable[[], None]) -> None:
        strike()
        self._strike_later(every_s, strike)

    def _at_a_pod(self, strike: Callable[[Pod], None]) -> None:
        """Strike a pod, if there is any: half of the time one that is leaving."""
        leaving = [pod for pod in self.cluster.pods if pod.object.state.is_leaving]
        struck = leaving if leaving and self.rng.random() < 0.5 else self.cluster.pods
        if struck:
            strike(self.rng.choice(struck))

    def _struck(self, fault: str) -> None:
        self.tally.faults[fault] += 1

    # Pods

    def _restarts(self, pod: Pod) -> None:
        if not pod.up or pod.gone:
            return
        self._struck("PBX restart")
        pod.up, pod.recordings, pod.boot = False, 0, pod.boot + 1
        self.tally.crashed += self.switchboard.lose(pod)
        if not self.setting.unseen_restarts:
            pod.write(ready=False)
        self.timeline.after(self.rng.uniform(*self.setting.restart_s), self._is_back, pod, pod.boot)

    def _is_back(self, pod: Pod, boot: int) -> None:
        if pod.gone or pod.boot != boot:
            return
        pod.up, pod.shut = True, False
        if not self.setting.unseen_restarts:
            pod.write()
            self.timeline.after(self.rng.uniform(1.0, 10.0), self._ready_again, pod)
        if self.rng.random() < self.setting.faults.shut_by_another:
            self.timeline.after(self.rng.uniform(0.2, 6.0), self._shut_by_another, pod, boot)

    def _shut_by_another(self, pod: Pod, boot: int) -> None:
        if pod.up and pod.boot == boot and pod.object.state.is_leaving:
            pod.shut = True

    def _ready_again(self, pod: Pod) -> None:
        if pod.up and not pod.gone:
            pod.write(ready=True, node_lost_s=None)

    def _unready(self, pod: Pod) -> None:
        if pod.object.ready:
            self._struck("not Ready")
            pod.write(ready=False)
            self.timeline.after(self.rng.uniform(10.0, 120.0), self._ready_again, pod)

    def _node_loses_api(self, pod: Pod) -> None:
        """The kubelet is cut off for a quarter of an hour; the PBX and its calls are not."""
        if pod.object.ready:
            self._struck("node lost the API")
            pod.write(ready=False, node_lost_s=self.timeline.now_s)
            self.timeline.after(self.rng.uniform(400.0, 1400.0), self._ready_again, pod)

    # People and other controllers

    def _evicted(self, pod: Pod) -> None:
        self._struck("eviction")
        if self.cluster.refuses_eviction(pod):
            self.tally.refused_deletes += 1
        else:
            self.cluster.delete(pod, ours=False)

    def _deleted(self, pod: Pod) -> None:
        self._struck("kubectl delete")
        if self.cluster.refuses_delete(pod):
            self.tally.refused_deletes += 1
        else:
            self.cluster.delete(pod, ours=False)

    def _lowered_by_hand(self) -> None:
        self._struck("kubectl scale")
        if Outside.SCALE_ADMISSION not in self.setting.outside and self.cluster.target > 1:
            self.tally.broken[Promise.FOREIGN_TARGET] += 1
            self.cluster.set_target(max(1, self.cluster.target // 2))

    def _rollout(self) -> None:
        self._struck("rollout")
        for pod in self.cluster.pods:
            pod.write(current_revision=False)
        self.cluster.wake(0.5)

    def _freeze(self) -> None:
        self._struck("freeze")
        self.cluster.frozen = True
        self.timeline.after(self.rng.uniform(60.0, 1800.0), setattr, self.cluster, "frozen", False)

    # What a fleet depends on

    def _password_changes(self) -> None:
        self._struck("changed password")
        self.password_changed = True
        self.timeline.after(self.rng.uniform(60.0, 1800.0), setattr, self, "password_changed", False)

    def _proxy_forgets(self) -> None:
        if not self.setting.proxies:
            return
        self._struck("proxy forgot")
        proxy = self.rng.randrange(self.setting.proxies)
        for pod in self.cluster.pods:
            pod.steered[proxy] = True

    def _proxy_unreachable(self) -> None:
        if not self.setting.proxies:
            return
        self._struck("proxy unreachable")
        self.unreachable_proxy = self.rng.randrange(self.setting.proxies)
        self.timeline.after(self.rng.uniform(30.0, 900.0), setattr, self, "unreachable_proxy", -1)

    def _trunk_fails(self) -> None:
        """No call comes, nearly all that are up end, and some time later all come at once again."""
        self._struck("trunk outage")
        self.switchboard.trunk_up = False
        self.switchboard.hang_up_most()
        self.timeline.after(self.rng.uniform(900.0, 3000.0), setattr, self.switchboard, "trunk_up", True)

    def _way_up_breaks(self) -> None:
        self._struck("no new pod can come")
        self.cluster.way_up_broken = True
        self.timeline.after(self.rng.uniform(600.0, 5400.0), setattr, self.cluster, "way_up_broken", False)

    # What is measured

    def _sample(self) -> None:
        self.timeline.after(SAMPLE_EVERY_S, self._sample)
        now_s = self.timeline.now_s
        self._loads.append(LoadSeen(now_s, float(self.switchboard.channels)))
        while self._loads[0].at_s < now_s - WITHIN_S:
            self._loads.popleft()
        self.fall = followed(self.fall, {_KEY: list(self._loads)}, now_s)
        active = (pod for pod in self.cluster.pods if pod.object.state is RetirementState.ACTIVE)
        self._lack.sampled(sum(pod.up and not pod.shut for pod in active), SAMPLE_EVERY_S)
