"""What comes of a state when nothing more goes wrong: every drain ends, and the fleet stands as it is needed.

Safety alone is easy: a leader that does nothing cuts no call. So from states that the search met on its way a fair run
is started: calls end, writes land, probes are answered, controllers act by their own rules. It has to come to rest.
"""

from __future__ import annotations

from tools.model_check.pods import ACTIVE, NODE_OK, PodW
from tools.model_check.world import Model, World, controller_rank

LONGEST_ROUNDS = 60
_WANTED = (
    "it becomes a channel",
    "a call ends",
    "the recording is done",
    "it is Ready again",
    "its node is back",
    "the pod starts",
    "a write lands",
    "the leader reads it: gate",
    "written",
    "calltide's delete",
)
"""The events of one pod that happen sooner or later, by how they begin."""


def comes_to_rest(model: Model, world: World) -> bool:
    """Whether a fair run from this state ends with the pods that are needed, all of them serving."""
    need = max(1, world.need)
    world = world._replace(
        need=need, changes=0, budget=0, way_broken=False, frozen=False, lost_proxy=0, faults=(0,) * len(world.faults)
    )
    for _ in range(LONGEST_ROUNDS):
        if _rests(model, world):
            return True
        world = _one_round(model, world)
    return _rests(model, world)


def _rests(model: Model, world: World) -> bool:
    pods = model.pods(world)
    serving = all(pod.state == ACTIVE and pod.ready and not pod.shut and pod.up for pod in pods if pod.node == NODE_OK)
    wanted = len(pods) == world.replicas and world.scale_write is None
    quiet = all(not pod.writes and not pod.late and not pod.under_way for pod in pods)
    # An old revision that no leader has seen yet is still to be replaced.
    replaced = not any(pod.old for pod in pods)
    return serving and wanted and quiet and replaced and world.replicas == max(1, world.need)


def _one_round(model: Model, world: World) -> World:
    """One tick in which everybody does once what is his to do."""
    for start in _WANTED:
        world = _all_of(model, world, start)
    world = _first(model, world, "the leader decides")
    for start in ("a write lands", "the leader reads it: gate", "written", "calltide's delete", "the HPA raises"):
        world = _all_of(model, world, start)
    world = _controlled(model, world)
    return _first(model, world, "time passes")


def _all_of(model: Model, world: World, start: str) -> World:
    """Every event that begins so, one after another, each at most a few times."""
    for _ in range(6):
        after = _first(model, world, start)
        if after == world:
            break
        world = after
    return world


def _first(model: Model, world: World, start: str) -> World:
    return next((step.world for step in model.steps(world) if step.event.startswith(start)), world)


def _controlled(model: Model, world: World) -> World:
    """The ReplicaSet by its ranking: it makes what is missing, or asks for the first of its list and may be refused."""
    world = _all_of(model, world, "the controller makes a pod")
    pods = model.pods(world)
    if len(pods) <= world.replicas:
        return world
    first: PodW = min(pods, key=controller_rank)
    if model.of_pod.refuses_delete(first):
        return world
    numbers = list(world.pods)
    numbers.remove(model.number(first))
    return world._replace(pods=tuple(numbers))
