"""Whether the model admits what real controllers did: a recording of a fleet, replayed.

A recording has what the API server showed of a fleet, version by version: the target, and of each pod the state that
calltide wrote onto it and whether it is Ready. Between two of these the model may do whatever cannot be seen there
(calls, gates, readings, decisions), but every version has to come about by events of the model, in the recorded order.
A model in which they cannot is wrong about the controllers, and what it proves is worth nothing there.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from scaler.retirement.observed import Workload
from tools.model_check.pods import STATES, PodW
from tools.model_check.scenarios import Scenario
from tools.model_check.world import Model, World

MOST_WORLDS = 400_000


class SeenPod(NamedTuple):
    """What the API server shows of a pod that is not terminating."""

    state: str
    ready: bool


class Seen(NamedTuple):
    """What it shows of a fleet: the target, and its pods in any order."""

    replicas: int
    pods: tuple[SeenPod, ...]


@dataclass(frozen=True)
class Recording:
    """A fleet's versions, oldest first. `faults` says how often each kind of fault struck while it was recorded."""

    name: str
    workload: Workload
    versions: tuple[Seen, ...]
    faults: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Recording:
        """From a file that `as_json` wrote."""
        told = json.loads(path.read_text(encoding="utf-8"))
        versions = tuple(
            Seen(version["replicas"], tuple(sorted(SeenPod(*pod) for pod in version["pods"])))
            for version in told["versions"]
        )
        return cls(told["name"], Workload(told["workload"]), versions, told["faults"])

    def as_json(self) -> str:
        """A line for each version, so that a person can read it."""
        lines = (json.dumps({"replicas": one.replicas, "pods": one.pods}) for one in self.versions)
        head = {"name": self.name, "workload": self.workload.value, "faults": self.faults}
        return json.dumps(head)[:-1] + ', "versions": [\n' + ",\n".join(lines) + "\n]}\n"

    def scenario(self) -> Scenario:
        """The small world in which it has to be possible."""
        first = self.versions[0]
        stateful = self.workload is Workload.STATEFUL_SET
        pods = tuple(PodW(ready=pod.ready, ordinal=i if stateful else -1) for i, pod in enumerate(first.pods))
        most = max(len(version.pods) for version in self.versions)
        return Scenario(
            self.name,
            pods,
            first.replicas,
            calls=1,
            needs=(first.replicas, *(need for need in range(1, most + 1) if need != first.replicas)),
            changes=4,
            most_pods=most,
            faults=self.faults,
            budget=sum(self.faults.values()),
            workload=self.workload,
            legs=False,
        )


@dataclass(frozen=True)
class Replayed:
    """How far a recording was followed, and by which events. It is admitted if that is all of it."""

    recording: Recording
    followed: int
    events: Sequence[str]

    @property
    def is_admitted(self) -> bool:
        """Whether the model can do all that was recorded."""
        return self.followed == len(self.recording.versions)

    @property
    def sentence(self) -> str:
        """What became of it, for people."""
        versions = self.recording.versions
        if self.is_admitted:
            return f"{self.recording.name}: all {len(versions)} versions, by {len(self.events)} events of the model"
        before, next_one = versions[self.followed - 1], versions[self.followed]
        return f"{self.recording.name}: after {before} the model never comes to {next_one}"


def replay(recording: Recording, most_worlds: int = MOST_WORLDS) -> Replayed:
    """Look for a way of the model through all versions, those worlds first that are furthest on it."""
    model = Model(recording.scenario())
    first = model.first()
    came: dict[tuple[World, int], tuple[tuple[World, int], str] | None] = {(first, 1): None}
    ahead: list[tuple[int, int, int, World]] = [(-1, 0, 0, first)]
    furthest = (first, 1)
    while ahead and len(came) < most_worlds:
        followed, length, _, world = heapq.heappop(ahead)
        here = (world, -followed)
        if here[1] > furthest[1]:
            furthest = here
        if here[1] == len(recording.versions):
            break
        for event, after, index in _next(model, here, recording.versions):
            if (after, index) not in came:
                came[after, index] = (here, event)
                heapq.heappush(ahead, (-index, length + 1, len(came), after))
    return Replayed(recording, furthest[1], _way(came, furthest))


def _next(model: Model, here: tuple[World, int], versions: Sequence[Seen]) -> Iterator[tuple[str, World, int]]:
    """The events that show nothing, and those that show the next version."""
    world, followed = here
    for step in model.steps(world):
        shown = seen(model, step.world)
        if step.broken:
            continue
        if shown == versions[followed - 1]:
            yield step.event, step.world, followed
        elif shown == versions[followed]:
            yield step.event, step.world, followed + 1


def seen(model: Model, world: World) -> Seen:
    """What the API server would show of a world."""
    pods = (SeenPod(STATES[pod.state].value, pod.started and pod.ready) for pod in model.pods(world))
    return Seen(world.replicas, tuple(sorted(pods)))


def _way(came: dict[tuple[World, int], tuple[tuple[World, int], str] | None], to: tuple[World, int]) -> Sequence[str]:
    events = []
    before = came[to]
    while before is not None:
        events.append(before[1])
        before = came[before[0]]
    return events[::-1]
