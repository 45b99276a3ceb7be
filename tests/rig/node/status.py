"""The status of a pod as a kubelet writes it, from what is known of its containers. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

# A strategic merge patch would add to these lists.
_REPLACE = {"$patch": "replace"}
_COMPARED = ("status", "reason", "message")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A container that does not run yet, or not again yet."""

    reason: str
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        message = {"message": self.message} if self.message else {}
        return {"waiting": {"reason": self.reason, **message}}


@dataclass(frozen=True, slots=True)
class Running:
    """A container that runs."""

    since: str

    def to_json(self) -> dict[str, Any]:
        return {"running": {"startedAt": self.since}}


@dataclass(frozen=True, slots=True)
class Terminated:
    """A container that ended."""

    exit_code: int
    began: str
    ended: str
    container_id: str
    reason: str = ""
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        reason = self.reason or ("Completed" if self.exit_code == 0 else "Error")
        return {
            "terminated": {
                "exitCode": self.exit_code,
                "reason": reason,
                **({"message": self.message} if self.message else {}),
                "startedAt": self.began,
                "finishedAt": self.ended,
                "containerID": self.container_id,
            }
        }


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What is known of one container."""

    name: str
    image: str
    now: Waiting | Running | Terminated = Waiting("ContainerCreating")
    before: Terminated | None = None
    restarts: int = 0
    started: bool = False
    ready: bool = False
    container_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """As an entry of containerStatuses."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"rig://{self.image}",
            **({"containerID": self.container_id} if self.container_id else {}),
            "state": self.now.to_json(),
            "lastState": self.before.to_json() if self.before else {},
            "restartCount": self.restarts,
            "started": self.started,
            "ready": self.ready,
        }


def initial_state(spec: Mapping[str, Any], shown: Sequence[Mapping[str, Any]], reason: str) -> ContainerState:
    """The state of a container that is about to start, given the containerStatuses of the pod.

    One that has run before, on a node that was restarted meanwhile, has nobody who saw its end: a kubelet says 255.
    """
    fresh = ContainerState(spec["name"], spec["image"], Waiting(reason))
    entry = next((entry for entry in shown if entry["name"] == spec["name"]), None)
    if entry is None or not entry.get("containerID"):
        return fresh
    state = entry["state"]
    began = (state.get("running") or state.get("terminated") or {}).get("startedAt", "1970-01-01T00:00:00Z")
    lost = Terminated(255, began, began, entry["containerID"], "Unknown")
    return replace(fresh, before=lost, restarts=entry["restartCount"] + 1)


@dataclass(frozen=True, slots=True)
class PodState:
    """What is known of a pod."""

    containers: Sequence[ContainerState]
    initial: Sequence[ContainerState]
    """The init containers."""
    pod_ip: str
    host_ip: str
    start_time: str
    evicted: bool = False
    """Its node ended it for want of something; it is not started again."""


def timestamp(at: float) -> str:
    """Unix seconds as Kubernetes writes them."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def restarts(policy: str, exit_code: int) -> bool:
    """Whether a container that ended is started again."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def status(pod: Mapping[str, Any], state: PodState, now: str) -> dict[str, Any]:
    """What to send to the pod's status subresource; conditions that did not change keep their time."""
    conditions = _conditions(pod, state)
    shown = {condition["type"]: condition for condition in pod.get("status", {}).get("conditions", ())}
    for condition in conditions:
        before = shown.get(condition["type"], {})
        same = before.get("status") == condition["status"]
        condition["lastTransitionTime"] = before.get("lastTransitionTime", now) if same else now
    generation = pod["metadata"].get("generation")
    # Nothing is started again in a pod that is being deleted.
    over = state.evicted or pod["metadata"].get("deletionTimestamp")
    policy = "Never" if over else pod["spec"].get("restartPolicy", "Always")
    return {
        "phase": phase(policy, state),
        **({"reason": "Evicted"} if state.evicted else {}),
        "conditions": conditions,
        "hostIP": state.host_ip,
        "hostIPs": [_REPLACE, {"ip": state.host_ip}],
        "podIP": state.pod_ip,
        "podIPs": [_REPLACE, {"ip": state.pod_ip}],
        "startTime": state.start_time,
        "containerStatuses": [container.to_json() for container in state.containers],
        **({"initContainerStatuses": [container.to_json() for container in state.initial]} if state.initial else {}),
        **({"observedGeneration": generation} if generation else {}),
    }


def needs_sending(new: Mapping[str, Any], sent: Mapping[str, Any] | None, pod: Mapping[str, Any]) -> bool:
    """Whether a new status says something else than the one sent before, or somebody changed our conditions since."""
    if sent is None or {**new, "conditions": ()} != {**sent, "conditions": ()}:
        return True
    shown = {condition["type"]: condition for condition in pod.get("status", {}).get("conditions", ())}
    return any(
        condition.get(name) != shown.get(condition["type"], {}).get(name)
        for condition in new["conditions"]
        for name in _COMPARED
    )


def phase(policy: str, state: PodState) -> str:
    """The pod's phase."""
    if any(_end_for_good(container, policy) for container in state.initial):
        return "Failed"
    if not _initialized(state) or any(_never_ran(container) for container in state.containers):
        return "Pending"
    codes = [_end_for_good(container, policy) for container in state.containers]
    if None in codes:
        return "Running"
    return "Failed" if any(codes) else "Succeeded"


def _runs(container: ContainerState) -> bool:
    return isinstance(container.now, Running)


def _never_ran(container: ContainerState) -> bool:
    return isinstance(container.now, Waiting) and container.before is None


def _end_for_good(container: ContainerState, policy: str) -> int | None:
    """The exit code of a container that ended and is not started again."""
    if isinstance(container.now, Terminated) and not restarts(policy, container.now.exit_code):
        return container.now.exit_code
    return None


def _initialized(state: PodState) -> bool:
    return all(isinstance(container.now, Terminated) and container.now.exit_code == 0 for container in state.initial)


def _conditions(pod: Mapping[str, Any], state: PodState) -> list[dict[str, Any]]:
    shown = {condition["type"]: condition["status"] for condition in pod.get("status", {}).get("conditions", ())}
    unready = [container.name for container in state.containers if not container.ready]
    closed = [
        gate["conditionType"]
        for gate in pod["spec"].get("readinessGates", ())
        if shown.get(gate["conditionType"]) != "True"
    ]
    generation = pod["metadata"].get("generation")
    ended = pod["metadata"].get("deletionTimestamp") and not any(map(_runs, state.containers))
    containers_ready = _condition(
        "ContainersReady", not unready, "ContainersNotReady", f"not ready: {', '.join(unready)}"
    )
    if unready:
        ready = _condition("Ready", False, "ContainersNotReady", containers_ready["message"])
    else:
        ready = _condition("Ready", not closed, "ReadinessGatesNotReady", f"readiness gates: {', '.join(closed)}")
    conditions = [
        _condition("PodReadyToStartContainers", not ended),
        _condition(
            "Initialized", _initialized(state), "ContainersNotInitialized", "init containers have not completed"
        ),
        containers_ready,
        ready,
    ]
    return [{**condition, **({"observedGeneration": generation} if generation else {})} for condition in conditions]


def _condition(kind: str, true: bool, reason: str = "", message: str = "") -> dict[str, Any]:
    if true or not reason:
        return {"type": kind, "status": str(true), "reason": None, "message": None}
    return {"type": kind, "status": str(true), "reason": reason, "message": message}
