"""Recordings of what controllers did to a fleet, to be replayed in the model of them (tools/model_check/replay.py)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scaler.retirement.observed import Workload
from tests.e2e.retiring import NAMESPACE, RetiringFleet
from tests.rig.control_plane import has
from tests.rig.watching import Watch
from tools.model_check.replay import Recording, Seen, SeenPod

Object = dict[str, Any]
_PATHS = {Workload.DEPLOYMENT: "deployments", Workload.STATEFUL_SET: "statefulsets"}


class Recorder:
    """Notes every version of a fleet's workload and pods."""

    def __init__(self, fleet: RetiringFleet, workload: Workload) -> None:
        self._fleet, self._workload = fleet, workload
        self._noted: dict[int, tuple[str, Object | None]] = {}
        """By resourceVersion, which rises over all kinds alike: the UID, and the object unless it is gone."""
        self._lock = threading.Lock()
        self._client = fleet.rig.control_plane.client("rig-recorder", "system:masters")
        paths = (f"/api/v1/namespaces/{NAMESPACE}/pods", f"/apis/apps/v1/namespaces/{NAMESPACE}/{_PATHS[workload]}")
        self._watches = [Watch(self._client, path, self._note) for path in paths]

    def start(self) -> None:
        """Begin with a fleet at rest."""
        for watch in self._watches:
            watch.start()
        self._fleet.until(lambda: self._versions(), "what stands to be noted")

    def recording(self, **faults: int) -> Recording:
        """What was noted until the fleet has what the API server has now."""
        now = Seen(self._fleet.wanted(), _shown(self._fleet.pods()))
        self._fleet.until(lambda: self._versions()[-1:] == [now], f"the record to come to {now}")
        return Recording(self._fleet.name, self._workload, tuple(self._versions()), faults)

    def stop(self) -> None:
        for watch in self._watches:
            watch.stop()
        self._client.close()

    def _note(self, kind: str, item: Object) -> None:
        metadata = item["metadata"]
        if self._fleet.name not in (metadata["name"], (metadata.get("labels") or {}).get("calltide.io/fleet")):
            return
        with self._lock:
            kept = None if kind == "DELETED" else item
            self._noted[int(metadata["resourceVersion"])] = metadata["uid"], kept

    def _versions(self) -> list[Seen]:
        """Each that differs from the one before, from the first at rest on."""
        with self._lock:
            noted = sorted(self._noted.items())
        objects: dict[str, Object] = {}
        versions: list[Seen] = []
        for _, (uid, item) in noted:
            if item is None:
                objects.pop(uid, None)
            else:
                objects[uid] = item
            workloads = [one for one in objects.values() if "replicas" in one["spec"]]
            if not workloads:
                continue
            pods = _shown([one for one in objects.values() if "replicas" not in one["spec"]])
            version = Seen(workloads[0]["spec"]["replicas"], pods)
            at_rest = len(pods) == version.replicas and all(pod == ("active", True) for pod in pods)
            if (versions or at_rest) and versions[-1:] != [version]:
                versions.append(version)
        return versions


def _shown(pods: list[Object]) -> tuple[SeenPod, ...]:
    return tuple(
        sorted(
            SeenPod((pod["metadata"].get("annotations") or {}).get("calltide.io/state", "active"), has(pod, "Ready"))
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
        )
    )


@contextmanager
def recorded(fleet: RetiringFleet, workload: Workload) -> Iterator[Recorder]:
    """A recorder of what happens to a fleet meanwhile."""
    recorder = Recorder(fleet, workload)
    recorder.start()
    try:
        yield recorder
    finally:
        recorder.stop()
