"""What may happen to one pod, whatever the others do: callers, gate writes, probes, writes that land, faults, time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from scaler.core.fleets import FleetKey
from scaler.retirement.closings import Closing, Closings
from scaler.retirement.observed import ObservedFleet, ObservedPod, WayUp, Workload
from scaler.retirement.proof import Memory, PodMemory, remembered
from scaler.retirement.readings import PodReading, Reading
from tools.model_check import leader
from tools.model_check.pods import (
    ACTIVE,
    DRAINED,
    NO_EVIDENCE,
    NOBODY_ANSWERS,
    NODE_GONE,
    NODE_LOST,
    NODE_OK,
    NODE_STALE,
    RELEASED,
    STATES,
    TOWARDS_OPEN,
    TOWARDS_SHUT,
    PodW,
    Write,
)
from tools.model_check.promises import Promise
from tools.model_check.scenarios import Outside, Scenario


class PodStep(NamedTuple):
    """One event of one pod; `pod` None when it is gone. `a_call` takes one of the calls that may live at once."""

    event: str
    pod: PodW | None
    broken: str = ""
    a_call: bool = False
    fault: str = ""


class PodEvents:
    """The events of one pod in one scenario, with these closings in force."""

    def __init__(self, scenario: Scenario, closings: Closings, outside: frozenset[Outside]) -> None:
        self.scenario, self.closings, self.outside = scenario, closings, outside

    def happens_to(self, pod: PodW, lost_proxy: int) -> Iterator[PodStep]:
        """All that may happen to this pod next."""
        yield from self._calls(pod)
        yield from self._gate_writes_land(pod)
        yield from self._probed(pod, lost_proxy)
        for write in sorted({*pod.writes, *pod.late}):
            yield self._written(pod, write)
        for write in pod.writes:
            waits = pod._replace(writes=_without(pod.writes, write), late=tuple(sorted({*pod.late, write})))
            yield PodStep("the leader gives up a write, which may still be done", waits, fault="time-out")
        if pod.started:
            yield from self._pod_faults(pod)
        else:
            yield PodStep("the pod starts", self._born(pod))

    def _born(self, pod: PodW) -> PodW:
        return _changed(pod, self.closings, started=True, ready=True, up=True)

    def _calls(self, pod: PodW) -> Iterator[PodStep]:
        if pod.state == ACTIVE and self.is_kept(pod):
            return
        lets_in = not pod.shut if self.scenario.pod_gate and Outside.POD_GATE in self.outside else pod.front > 0
        if pod.takes_calls and lets_in and not pod.admitted:
            yield PodStep("a call is let in", pod._replace(admitted=1), a_call=True)
        if pod.admitted:
            yield PodStep("it becomes a channel", pod._replace(admitted=0, calls=pod.calls + 1))
        if pod.calls:
            yield PodStep("a call ends", pod._replace(calls=pod.calls - 1))
            if self.scenario.recordings and not pod.work:
                yield PodStep(
                    "a call ends, its recording is still written", pod._replace(calls=pod.calls - 1, work=True)
                )
            if self.scenario.legs and pod.takes_calls:
                yield PodStep("a live call gets one more leg", pod._replace(calls=pod.calls + 1), a_call=True)
        if pod.work:
            yield PodStep("the recording is done", pod._replace(work=False))

    def is_kept(self, pod: PodW) -> bool:
        """Whether nobody can end it. Its calls then matter only from its drain on, and may as well begin after it."""
        return self.refuses_delete(pod) and Outside.DISRUPTION_BUDGET in self.outside and not pod.calls

    def _gate_writes_land(self, pod: PodW) -> Iterator[PodStep]:
        if not pod.takes_calls:
            return
        if pod.under_way & TOWARDS_OPEN and pod.shut:
            yield PodStep("a write lands: gate open", pod._replace(shut=False, under_way=pod.under_way & ~TOWARDS_OPEN))
        if pod.under_way & TOWARDS_SHUT and not pod.shut:
            yield PodStep("a write lands: gate shut", pod._replace(shut=True, under_way=pod.under_way & ~TOWARDS_SHUT))

    def _probed(self, pod: PodW, lost_proxy: int) -> Iterator[PodStep]:
        if pod.state == ACTIVE:
            return
        for answered in (True, False):
            reading = leader.probe(pod, answered=answered)
            after = pod._replace(memory=self._with_reading(pod, reading, lost_proxy), reread=True)
            if after != pod:
                yield PodStep(f"the leader reads it: {_told(reading)}", after)

    def _with_reading(self, pod: PodW, reading: PodReading, lost_proxy: int) -> PodMemory:
        seen = leader.observed_pod(pod, 0, lost_proxy, self.scenario)
        seen = replace(seen, reading=reading)
        fleet = _alone(seen)
        before = Memory((replace(pod.memory, uid="0"),))
        return leader.kept(remembered(before, fleet, self.scenario.limits, 0.0, self.closings).of("0"), pod)

    def _written(self, pod: PodW, write: Write) -> PodStep:
        kind, value, purpose = write
        pod = pod._replace(writes=_without(pod.writes, write), late=_without(pod.late, write))
        if kind == "delete":
            return self.deleted(pod, "calltide's delete is done", ours=True)
        if kind == "release":
            broken = "" if pod.state in (DRAINED, RELEASED) or value == NODE_GONE else Promise.NOT_DRAINED
            changed = self._new_version(pod, state=RELEASED, purpose=purpose, protected=False, evidence=value)
            return PodStep("written: released", changed, broken or self._unproved(changed))
        broken = Promise.CAME_BACK if pod.state == RELEASED else ""
        changed = self._new_version(pod, state=value, purpose=purpose, evidence=NO_EVIDENCE)
        memory = leader.kept(changed.memory, changed)
        return PodStep(f"written: {STATES[value]}", changed._replace(memory=memory), broken)

    def _unproved(self, pod: PodW) -> str:
        """What is wrong with a release that was just written."""
        if pod.evidence == NODE_GONE:
            return "" if pod.node_dead else Promise.NOT_DEAD
        if self.scenario.unseen_restarts and not pod.up:
            return ""  # nothing is left to cut; what it comes back as is found out before it is deleted
        shut = pod.shut if self.scenario.pod_gate else pod.front == 0
        empty = pod.up and pod.boot == pod.evidence and shut and not pod.carries
        return "" if empty else Promise.NOT_EMPTY

    def deleted(self, pod: PodW, event: str, *, ours: bool) -> PodStep:
        """The pod's end, by calltide or by another."""
        broken = ""
        if pod.carries:
            broken = Promise.CUT
        elif ours and pod.state != RELEASED:
            broken = Promise.FOREIGN_DELETE
        return PodStep(event, None, broken)

    def _new_version(self, pod: PodW, **changed: Any) -> PodW:
        return _changed(pod, self.closings, **changed)

    def _pod_faults(self, pod: PodW) -> Iterator[PodStep]:
        if pod.takes_calls:
            crashed: dict[str, Any] = {"up": False, "shut": False, "calls": 0, "admitted": 0, "work": False}
            seen = not self.scenario.unseen_restarts
            after = self._new_version(pod, **crashed) if seen else pod._replace(**crashed)
            yield PodStep("its PBX crashes", after, fault="restart")
            if not pod.shut and pod.state != ACTIVE:
                yield PodStep("a leader of before shuts its gate", pod._replace(shut=True), fault="other-leader")
        if pod.ready and pod.node == NODE_OK:
            yield PodStep("it turns not Ready", self._new_version(pod, ready=False), fault="unready")
        if not pod.ready and pod.up and pod.node == NODE_OK:
            yield PodStep("it is Ready again", self._new_version(pod, ready=True))
        if pod.node == NODE_OK:
            lost = self._new_version(pod, ready=False, node=NODE_LOST)
            yield PodStep("its node loses the API server", lost, fault="node")
            dead = lost._replace(node_dead=True, calls=0, admitted=0, work=False, under_way=0)
            yield PodStep("its node dies", dead, fault="node")
        if not pod.node_dead and pod.node != NODE_OK:
            yield PodStep("its node is back", self._new_version(pod, ready=True, node=NODE_OK))
        if not self.refuses_delete(pod):
            yield self.deleted(pod, "kubectl deletes it", ours=False)._replace(fault="foreign")
        if Outside.DISRUPTION_BUDGET not in self.outside or not (pod.protected or self._is_reserved(pod)):
            yield self.deleted(pod, "it is evicted", ours=False)._replace(fault="foreign")

    def refuses_delete(self, pod: PodW) -> bool:
        """Whether the admission policies refuse to let anybody but calltide delete the pod."""
        protected = pod.protected and Outside.DELETE_ADMISSION in self.outside
        return pod.started and (protected or self._is_reserved(pod))

    def _is_reserved(self, pod: PodW) -> bool:
        return pod.state == RELEASED and Outside.RELEASED_ADMISSION in self.outside

    def later(self, pod: PodW, leaderless: bool) -> PodW:
        """The pod a tick later. What a leader sent before it crashed may be done as long as another leads already."""
        pod = pod._replace(
            memory=leader.aged(pod.memory, self.closings),
            calls=pod.calls + pod.admitted,
            admitted=0,
            writes=(),
            late=pod.late if leaderless else (),
            under_way=pod.under_way if Outside.GATE_DEADLINE not in self.outside else 0,
            node=NODE_STALE if pod.node == NODE_LOST else pod.node,
        )
        if pod.started and not pod.up:
            again: dict[str, Any] = {"up": True, "boot": pod.boot + 1, "shut": False}
            return pod._replace(**again) if self.scenario.unseen_restarts else self._new_version(pod, **again)
        return pod


def _changed(pod: PodW, closings: Closings, **changed: Any) -> PodW:
    """The pod at a new version: writes over the one before fail, as far as they name it."""
    bound = set()
    if Closing.COMPARE_AND_SWAP in closings:
        bound |= {"move", "release"}
    if Closing.DELETE_PRECONDITIONS in closings:
        bound.add("delete")
    writes, late = (tuple(write for write in some if write[0] not in bound) for some in (pod.writes, pod.late))
    after = pod._replace(writes=writes, late=late, **changed)
    return after._replace(reread=after.state == ACTIVE)


def _alone(pod: ObservedPod) -> ObservedFleet:
    return ObservedFleet(
        FleetKey("default", "model"), Workload.DEPLOYMENT, 1, "", (pod,), NOBODY_ANSWERS, 0, WayUp(), 0.0, "", 1
    )


def _told(reading: object) -> str:
    if not isinstance(reading, Reading):
        return "no answer"
    return f"gate {reading.gate.value}, {'busy' if reading.channels or reading.pending else 'empty'}"


def _without(writes: tuple[Write, ...], done: Write) -> tuple[Write, ...]:
    return tuple(write for write in writes if write != done)
