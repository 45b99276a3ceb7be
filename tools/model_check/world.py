"""The world around the leader: callers, PBXs, gates, the ReplicaSet, the HPA, people, crashes.

Whatever a controller may do from a stale cache it may do here at any moment. What it is refused is refused by the
admission policies, as the real API server did it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from scaler.retirement.closings import ALL_CLOSINGS, Closing, Closings
from scaler.retirement.observed import Workload
from tools.model_check import leader
from tools.model_check.pod_events import PodEvents, PodStep
from tools.model_check.pods import (
    ACTIVE,
    FORGOTTEN,
    NEWBORN,
    RELEASED,
    STATES,
    PodW,
)
from tools.model_check.promises import Promise
from tools.model_check.scenarios import ALL_OUTSIDE, FAULTS, Outside, Scenario


class World(NamedTuple):
    """One state. `pods` are numbers of pods, rising: pods that are alike cannot be told apart."""

    pods: tuple[int, ...]
    replicas: int
    need: int
    told: int
    scale_write: tuple[int, int, int] | None
    faults: tuple[int, ...]
    """How often each kind of fault may still strike."""
    budget: int
    changes: int
    way_broken: bool = False
    frozen: bool = False
    lost_proxy: int = 0
    leaderless: bool = False
    """A leader crashed, and until time passes there is none."""


class Step(NamedTuple):
    """One event, what comes of it, and the promise that it breaks, if it does."""

    event: str
    world: World
    broken: str = ""


class Model:
    """All that may happen in one scenario, with these closings in force."""

    def __init__(
        self, scenario: Scenario, closings: Closings = ALL_CLOSINGS, outside: frozenset[Outside] = ALL_OUTSIDE
    ) -> None:
        self.scenario, self.closings, self.outside = scenario, closings, outside
        self.of_pod = PodEvents(scenario, closings, outside)
        self._numbers: dict[PodW, int] = {}
        self._pods: list[PodW] = []
        self._local: dict[int, tuple[tuple[PodStep, int], ...]] = {}
        self._ticked: dict[tuple[int, bool], int] = {}
        self._decided: dict[object, leader.Decided] = {}

    def number(self, pod: PodW) -> int:
        """A pod's number: the same for the same pod."""
        found = self._numbers.get(pod)
        if found is None:
            found = self._numbers[pod] = len(self._pods)
            self._pods.append(pod)
        return found

    def pods(self, world: World) -> tuple[PodW, ...]:
        """The pods of a state."""
        return tuple(self._pods[number] for number in world.pods)

    def first(self) -> World:
        """The state to begin with."""
        scenario = self.scenario
        pods = tuple(sorted(self.number(pod) for pod in scenario.pods))
        faults = tuple(min(scenario.faults.get(kind, 0), scenario.budget) for kind in FAULTS)
        need = scenario.needs[0]
        return World(pods, scenario.replicas, need, need, None, faults, scenario.budget, scenario.changes)

    def steps(self, world: World) -> Iterator[Step]:
        """Everything that may happen next."""
        yield from self._pod_steps(world)
        yield from self._leader_steps(world)
        yield from self._controller_steps(world)
        yield from self._fleet_faults(world)
        if not (self._controller_is_due(world) or self._leader_is_due(world)):
            yield self._tick(world)

    # What happens to one pod

    def _pod_steps(self, world: World) -> Iterator[Step]:
        pods = self.pods(world)
        room = sum(pod.calls + pod.admitted for pod in pods) < self.scenario.calls
        for i, number in enumerate(world.pods):
            if number not in self._local:
                found = tuple(self.of_pod.happens_to(self._pods[number], world.lost_proxy))
                self._local[number] = tuple((step, -1 if step.pod is None else self.number(step.pod)) for step in found)
            for step, after in self._local[number]:
                if step.a_call and not room:
                    continue
                faulted = world if not step.fault else self._struck(world, step.fault)
                if faulted is None:
                    continue
                rest = world.pods[:i] + world.pods[i + 1 :]
                changed = tuple(sorted((*rest, after))) if after >= 0 else rest
                yield Step(f"{step.event} ({_name(pods[i])})", faulted._replace(pods=changed), step.broken)

    # What the leader does

    def _leader_steps(self, world: World) -> Iterator[Step]:
        pods = self.pods(world)
        seen: set[World] = set()
        for turn in range(len(pods) if not world.leaderless else 0):
            # Names decide between pods that are alike to the rules; each of them has the first name once.
            order = (*pods[turn:], *pods[:turn])
            after, broken = self._decided_world(world, order)
            if after not in seen and after != world:
                seen.add(after)
                yield Step("the leader decides", after, broken)
        if world.scale_write is not None:
            yield self._scale_written(world)
        crashed = self._struck(world, "takeover")
        if crashed is not None:
            forgotten = (self.number(_orphaned(pod)) for pod in pods)
            yield Step(
                "the leader crashes; another will take over",
                crashed._replace(pods=tuple(sorted(forgotten)), leaderless=True),
            )

    def _decided_world(self, world: World, pods: tuple[PodW, ...]) -> tuple[World, str]:
        visible = tuple(_visible(pod) for pod in pods)
        key = (visible, world.replicas, world.need, world.told, world.way_broken, world.frozen, world.lost_proxy)
        decided = self._decided.get(key)
        if decided is None:
            decided = leader.decide(*key, self.scenario, self.closings)
            self._decided[key] = decided
        after = []
        for i, pod in enumerate(pods):
            write = decided.writes[i]
            writes = () if write is None else (write,)
            towards, away = decided.fronts[i]
            front = (pod.front | (towards & ~world.lost_proxy)) & ~(away & ~world.lost_proxy)
            under_way = pod.under_way | decided.gates[i]
            changed = pod._replace(memory=decided.memories[i], writes=writes, front=front, under_way=under_way)
            after.append(changed if changed != pod else pod)
        scale = decided.scale or world.scale_write
        numbers = tuple(sorted(self.number(pod) for pod in after))
        return world._replace(pods=numbers, told=decided.told, scale_write=scale), broken_by(world, pods, decided)

    def _scale_written(self, world: World) -> Step:
        assert world.scale_write is not None  # noqa: S101
        before, to, by = world.scale_write
        event, after = f"written: target {before} → {to}", world._replace(scale_write=None)
        if world.replicas != before:
            if Closing.SCALE_TEST in self.closings:
                return Step(f"{event}: refused, it is {world.replicas}", after)
            if to < world.replicas - by:
                return Step(event, after._replace(replicas=to), Promise.LATE_TARGET)
        return Step(event, after._replace(replicas=to))

    # What the controllers do

    def _controller_steps(self, world: World) -> Iterator[Step]:
        most = self.scenario.most_pods
        wanted = min(world.told, most)
        if wanted > world.replicas:
            yield Step(f"the HPA raises the target to {wanted}", world._replace(replicas=wanted))
        if Outside.ZERO_TOLERANCE not in self.outside and len(world.pods) > world.replicas:
            after = world._replace(replicas=len(world.pods))
            broken = "" if after.replicas <= world.told else Promise.TARGET_TOO_HIGH
            yield Step("the HPA sets the target to the pods that stand", after, broken)
        if wanted < world.replicas and not {Outside.HPA_ONLY_RAISES, Outside.SCALE_ADMISSION} & self.outside:
            lowered = world._replace(replicas=wanted)
            yield Step("the HPA lowers the target", lowered, Promise.FOREIGN_TARGET)
        if len(world.pods) < world.replicas:
            yield self._created(world)
        if len(world.pods) > world.replicas:
            yield from self._taken(world)

    def _created(self, world: World) -> Step:
        born = NEWBORN._replace(protected=Outside.BORN_PROTECTED in self.outside)
        if self.scenario.workload is Workload.STATEFUL_SET:
            taken = {pod.ordinal for pod in self.pods(world)}
            born = born._replace(ordinal=min(set(range(len(taken) + 1)) - taken))
        after = world._replace(pods=tuple(sorted((*world.pods, self.number(born)))))
        return Step("the controller makes a pod", after)

    def _taken(self, world: World) -> Iterator[Step]:
        """The controller deletes what is too many: from a stale cache it may pick any, of a StatefulSet the last."""
        pods = self.pods(world)
        last = max(pod.ordinal for pod in pods)
        for i, pod in enumerate(pods):
            if self.of_pod.refuses_delete(pod) or pod.ordinal not in (-1, last) or world.pods[i] in world.pods[:i]:
                continue
            gone = self.of_pod.deleted(pod, "the controller deletes it", ours=False)
            after = world._replace(pods=world.pods[:i] + world.pods[i + 1 :])
            yield Step(f"{gone.event} ({_name(pod)})", after, gone.broken)

    def _controller_is_due(self, world: World) -> bool:
        """Whether the controller deletes a pod before time goes on: its first choice is not refused."""
        if len(world.pods) <= world.replicas:
            return False
        return not self.of_pod.refuses_delete(min(self.pods(world), key=controller_rank))

    def _leader_is_due(self, world: World) -> bool:
        """Whether a released pod that anybody may delete is to be deleted: then nothing waits from the release on."""
        if world.leaderless or Outside.RELEASED_ADMISSION in self.outside:
            return False
        return any(pod.state == RELEASED for pod in self.pods(world))

    def _fleet_faults(self, world: World) -> Iterator[Step]:
        if world.changes:
            for need in self.scenario.needs:
                if need != world.need:
                    told = f"the need becomes {need}" if need else "the need is not known any more"
                    yield Step(told, world._replace(need=need, changes=world.changes - 1))
        broken = self._struck(world, "way-up")
        if broken is not None:
            yield Step("the way up breaks or works again", broken._replace(way_broken=not world.way_broken))
        frozen = self._struck(world, "frozen")
        if frozen is not None:
            yield Step("a freeze begins or ends", frozen._replace(frozen=not world.frozen))
        lost = self._struck(world, "unreachable")
        if lost is not None:
            yield Step("a proxy cannot be reached", lost._replace(lost_proxy=2))
        lowered = self._struck(world, "foreign")
        if lowered is not None and Outside.SCALE_ADMISSION not in self.outside and world.replicas > 1:
            lowered = lowered._replace(replicas=world.replicas - 1)
            yield Step("kubectl lowers the target", lowered, Promise.FOREIGN_TARGET)

    def _struck(self, world: World, kind: str) -> World | None:
        i = FAULTS.index(kind)
        if not world.faults[i] or not world.budget:
            return None
        # More of a kind than may still strike at all is the same as that.
        budget = world.budget - 1
        left = (*world.faults[:i], world.faults[i] - 1, *world.faults[i + 1 :])
        return world._replace(faults=tuple(min(count, budget) for count in left), budget=budget)

    def _tick(self, world: World) -> Step:
        numbers = []
        for number in world.pods:
            key = (number, world.leaderless)
            if key not in self._ticked:
                self._ticked[key] = self.number(self.of_pod.later(self._pods[number], world.leaderless))
            numbers.append(self._ticked[key])
        in_time = Outside.WRITE_DEADLINE in self.outside
        scale_write = None if in_time else world.scale_write
        after = world._replace(pods=tuple(sorted(numbers)), scale_write=scale_write, leaderless=False)
        return Step("time passes", after)


def broken_by(world: World, pods: tuple[PodW, ...], decided: leader.Decided) -> str:
    """The promise that a decision breaks."""
    serving = sum(pod.state == ACTIVE and pod.ready and not pod.shut and pod.started for pod in pods)
    if decided.releases and world.need == 0:
        return Promise.NEED_UNKNOWN
    if (decided.releases or decided.drains_or_shuts) and serving < world.need:
        return Promise.NEEDED
    if decided.releases and world.way_broken:
        return Promise.WAY_UP
    if world.frozen and (decided.releases or decided.scale):
        return Promise.FREEZE
    kept = sum(pod.started and pod.state != RELEASED for pod in pods)
    if decided.scale and decided.scale[1] < max(kept, decided.told, 1):
        return Promise.TARGET_TOO_LOW
    if decided.scale and any(pod.started and pod.ordinal >= decided.scale[1] and pod.state != RELEASED for pod in pods):
        return Promise.TAIL
    return ""


def _orphaned(pod: PodW) -> PodW:
    """The pod after its leader crashed: all that it remembered is lost, and what it had sent may come late."""
    return pod._replace(memory=FORGOTTEN, writes=(), late=tuple(sorted({*pod.late, *pod.writes})))


def _visible(pod: PodW) -> PodW:
    """The pod without what no leader can see."""
    hidden = pod._replace(admitted=0, under_way=0, writes=(), late=())
    return hidden if pod.state == ACTIVE else hidden._replace(calls=0, work=False, shut=False, up=True, boot=0)


def controller_rank(pod: PodW) -> tuple[bool, bool, bool, int]:
    """Whom the ReplicaSet takes first: not started, not Ready, lowest cost. A StatefulSet its last."""
    return (pod.started, pod.ready, pod.state != RELEASED, -pod.ordinal)


def _name(pod: PodW) -> str:
    place = STATES[pod.state].value if pod.started else "not started"
    ordinal = f" {pod.ordinal}" if pod.ordinal >= 0 else ""
    return f"pod{ordinal}, {place}, {pod.calls + pod.admitted} calls"
