"""The leader of the simulator: looks, asks, steps the production function, and has its writes done or not done.

A round is that of the retirer: a look at the objects, then the pods' answers, then the decision, then its writes, and
no next round before they are done or given up. What was given up may land later, also after the leader has died.
"""

from __future__ import annotations

from collections.abc import Callable

from scaler.core.fleets import FleetKey
from scaler.retirement.actions import Action, DeletePod, LowerScale, ReleasePod, SetFrontGate, SetPodGate
from scaler.retirement.emptying import DEFAULT_HOLDING_TIMES, time_to_empty_s
from scaler.retirement.machine import Decision, step
from scaler.retirement.observed import ObservedFleet, ObservedNode, ObservedPod, Standstill, WayUp
from scaler.retirement.proof import Memory
from scaler.retirement.readings import Boot, Doubt, FrontGate, GatePosition, PodReading, Reading, Steering, Unproved
from scaler.service.retiring.urgency import LEAVING_EVERY_S, SURPLUS_EVERY_S
from tools.call_simulator.conditions import LATEST_GATE_S, WRITE_WITHIN_S
from tools.call_simulator.judge import broken_by
from tools.call_simulator.pods import Pod, PodObject
from tools.call_simulator.surroundings import Surroundings
from tools.call_simulator.writes import Writes
from tools.model_check.scenarios import Outside

_KEY = FleetKey("default", "simulated")
_POSITION = {True: GatePosition.CLOSED, False: GatePosition.OPEN}
_STEERING = {True: Steering.TOWARDS, False: Steering.AWAY}
QUIET_EVERY_S = 60.0
EMPTYING_FOR_S = 60.0
"""So long an expected time to empty is kept, since it changes little and takes a while to compute."""


class Leader:
    """One term. `died` is called when it dies of an aimed fault."""

    def __init__(self, around: Surroundings, term: int, died: Callable[[], None]) -> None:
        self.around, self.term, self._died = around, term, died
        self.cluster, self.rng, self.timeline = around.cluster, around.cluster.rng, around.cluster.timeline
        self.setting, self.limits = around.setting, around.setting.limits
        self.alive = True
        self._memory = Memory()
        self._writes = Writes(around)
        self._boots: dict[int, Boot] = {}
        self._hang_until_s: dict[str, float] = {}
        self.timeline.after(self.rng.uniform(0.0, 1.0), self._look)

    def _look(self) -> None:
        if not self.alive:
            return
        seen = [(pod, pod.object) for pod in self.cluster.pods]
        scale = (self.cluster.target, self.cluster.scale_version)
        self.timeline.after(self.rng.uniform(0.02, 0.4), self._asked, seen, scale, self.timeline.now_s)

    def _asked(self, seen: list[tuple[Pod, PodObject]], scale: tuple[int, int], looked_s: float) -> None:
        """The pods have answered: decide."""
        if not self.alive:
            return
        now_s = self.timeline.now_s
        need = self.around.need.outlook(now_s, self.around.switchboard.channels)
        spare = sum(known.ready for _, known in seen) > need.now_pods
        fleet = ObservedFleet(
            key=_KEY,
            workload=self.setting.workload,
            spec_replicas=scale[0],
            scale_version=str(scale[1]),
            pods=tuple(self._observed(pod, known, looked_s, spare) for pod, known in seen),
            need=need,
            told=self.cluster.told(),
            way_up=WayUp(("no node has room",)) if self.cluster.way_up_broken else WayUp(),
            wall_s=now_s,
            leader="simulated",
            term=self.term,
            standstills=self._standstills(),
            nodes=tuple(self._node(pod, known) for pod, known in seen if known.node_lost_s is not None),
            cluster_nodes=max(10, len(seen)),
        )
        decision = step(self._memory, fleet, self.limits, now_s, self.setting.closings)
        for promise in broken_by(fleet, decision, self._memory, need.now_pods):
            self.cluster.tally.broken[promise] += 1
        self._memory = decision.memory
        self.cluster.tally.rounds += 1
        if decision.answer is not None:
            self.cluster.answers.append((now_s, decision.answer))
        took_s = self._carry_out(decision, {pod.uid: pod for pod, _ in seen})
        self.timeline.after(max(took_s, self._every_s(seen, decision, spare)), self._look)

    def _every_s(self, seen: list[tuple[Pod, PodObject]], decision: Decision, spare: bool) -> float:
        """When to look again. Where a pod that drains still talks, the seconds between would show nothing new."""
        leaving = [pod for pod, known in seen if known.state.is_leaving]
        if any(not isinstance(action, SetFrontGate) for action in decision.actions) or any(
            not pod.calls for pod in leaving
        ):
            return LEAVING_EVERY_S
        old = any(not known.current_revision or known.node_lost_s is not None for _, known in seen)
        waits = leaving or spare or old or not all(known.ready for _, known in seen)
        return SURPLUS_EVERY_S if waits else QUIET_EVERY_S

    # What it sees

    def _observed(self, pod: Pod, known: PodObject, looked_s: float, spare: bool) -> ObservedPod:
        now_s = self.timeline.now_s
        if (spare or known.state.is_leaving) and now_s - pod.emptying[0] > EMPTYING_FOR_S:
            ages_s = [now_s - since_s for since_s in pod.calls.values()]
            pod.emptying = (now_s, time_to_empty_s(ages_s, DEFAULT_HOLDING_TIMES))
        return ObservedPod(
            uid=pod.uid,
            name=pod.name,
            version=str(known.version),
            version_read_s=looked_s,
            state=known.state,
            protected=known.protected,
            ready=known.ready,
            reading=self._reading(pod),
            started=known.started,
            was_ready=known.was_ready,
            created_s=known.created_s,
            drain=known.drain,
            evidence=known.evidence,
            front=tuple(self._front(pod, proxy) for proxy in range(self.setting.proxies)),
            # Until a node takes it, it has none.
            node=pod.uid if known.started else None,
            ordinal=pod.ordinal if pod.ordinal >= 0 else None,
            current_revision=known.current_revision,
            time_to_empty_s=pod.emptying[1],
        )

    def _reading(self, pod: Pod) -> PodReading:
        now_s, faults = self.timeline.now_s, self.setting.faults
        before = self._memory.of(pod.uid).newest
        if isinstance(before, Reading) and self._hangs(pod):
            return before
        if pod.gone or not pod.up:
            return Unproved(Doubt.NO_ANSWER, now_s)
        if self.around.password_changed:
            return Unproved(Doubt.REFUSED, now_s)
        if faults.probe_times_out and self.rng.random() < faults.probe_times_out:
            return Unproved(Doubt.TIMED_OUT, now_s)
        boot = self._boots.setdefault(pod.boot, Boot(str(pod.boot), "simulated"))
        pending = ("a recording",) if pod.recordings else ()
        return Reading(now_s, now_s, boot, _POSITION[pod.shut], len(pod.calls), pending)

    def _hangs(self, pod: Pod) -> bool:
        now_s, faults = self.timeline.now_s, self.setting.faults
        if faults.probe_hangs and self._hang_until_s.get(pod.uid, 0.0) < now_s:
            hangs = self.rng.random() < faults.probe_hangs
            self._hang_until_s[pod.uid] = now_s + self.rng.uniform(0.0, faults.hang_s) * hangs
        return self._hang_until_s.get(pod.uid, 0.0) > now_s

    def _front(self, pod: Pod, proxy: int) -> FrontGate:
        now_s = self.timeline.now_s
        if proxy == self.around.unreachable_proxy:
            return FrontGate(str(proxy), Unproved(Doubt.NO_ANSWER, now_s), now_s)
        return FrontGate(str(proxy), _STEERING[pod.steered[proxy]], now_s)

    def _node(self, pod: Pod, known: PodObject) -> ObservedNode:
        stale_s = self.timeline.now_s - (known.node_lost_s or 0.0)
        return ObservedNode(pod.uid, lease_stale_for_s=stale_s, silent_for_s=0.0 if pod.up else stale_s)

    def _standstills(self) -> tuple[Standstill, ...]:
        found = []
        if self.cluster.frozen:
            found.append(Standstill("freeze", "A freeze holds everything.", stops_deletes=True))
        if self.around.fall is not None:
            found.append(Standstill("shared-fall", self.around.fall.sentence))
        return tuple(found)

    # What it does

    def _carry_out(self, decision: Decision, pods: dict[str, Pod]) -> float:
        """Have the writes of a decision done, one after another, and say how long that took."""
        took_s = 0.0
        for action in decision.actions:
            if isinstance(action, SetPodGate | SetFrontGate):
                self._set_gate(action, pods[action.uid])
            elif took_s <= self.limits.fresh_s:
                took_s += self._write(action, pods.get(getattr(action, "uid", "")), took_s)
        return took_s

    def _write(self, action: Action, pod: Pod | None, after_s: float) -> float:
        faults, within_s = self.setting.faults, self.rng.uniform(0.01, 0.3)
        dies = isinstance(action, ReleasePod | DeletePod | LowerScale) and self.rng.random() < faults.dies_after_release
        lost, late = self.rng.random() < faults.write_lost, self.rng.random() < faults.write_late
        if late or (dies and self.rng.random() < 0.5):
            self.timeline.after(after_s + self._latest_s(action), self._writes.done, action, pod)
        elif not lost:
            self.timeline.after(after_s + within_s, self._writes.done, action, pod)
        if isinstance(action, DeletePod) and pod is not None:
            self.around.worst_moment(pod, faults.restarts_after_release)
        if dies:
            self._died()
        return WRITE_WITHIN_S if lost or late else within_s

    def _latest_s(self, action: Action) -> float:
        """When a write is done that was given up. That of the target names no pod, so it has the shortest life."""
        bounded = isinstance(action, LowerScale) and Outside.WRITE_DEADLINE in self.setting.outside
        seen_s = WRITE_WITHIN_S if bounded else self.setting.latest_write_s
        return self.rng.uniform(min(0.3, seen_s), seen_s)

    def _set_gate(self, action: SetPodGate | SetFrontGate, pod: Pod) -> None:
        faults = self.setting.faults
        if self.rng.random() < faults.gate_write_lost:
            return
        within_s = self.rng.uniform(0.01, 1.0)
        if self.rng.random() < faults.gate_write_late:
            bounded = Outside.GATE_DEADLINE in self.setting.outside
            within_s = self.rng.uniform(1.0, LATEST_GATE_S if bounded else 10 * LATEST_GATE_S)
        self.timeline.after(within_s, self._writes.gate_set, action, pod)
