"""Kubernetes Events about pods and workloads: what a person sees in `kubectl describe`, and never too many of them.

Events lie in etcd like everything else, so a condition that comes and goes must not fill it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from scaler.fleet.retiring import FleetLook

LONGEST_NOTE = 1000
"""The API server refuses a message of more than 1,024 characters."""
REPEATED_AFTER_S = 600.0
PER_SECOND, BURST = 1.0, 30


def event(look: FleetLook, uid: str, reason: str, sentence: str, *, warning: bool) -> dict[str, Any]:
    """A core/v1 Event on the pod of this UID; on the workload where the look has no such pod."""
    pod = next((one for one in look.pods if one.uid == uid), None)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kind, _, name = look.workload_name.partition("/")
    about = (
        {"apiVersion": "apps/v1", "kind": kind, "name": name}
        if pod is None
        else {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid}
    )
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": look.key.namespace, "name": f"{about['name']:.200}.{uuid4().hex[:16]}"},
        "involvedObject": about | {"namespace": look.key.namespace},
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": sentence[:LONGEST_NOTE],
        "source": {"component": "calltide"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


class EventBudget:
    """Lets through one Event a second after a burst, and the same warning on the same object once in ten minutes.

    What is not a warning tells of an edge, and each of those is news. `clock_s` never goes back. From any thread.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._warned_s: dict[tuple[str, str, str], float] = {}
        self._left = float(BURST)
        self._counted_s = clock_s()

    def admits(self, told: dict[str, Any]) -> bool:
        """Whether this Event may be written now; if so it is counted."""
        with self._lock:
            now_s = self._clock_s()
            self._left = min(BURST, self._left + (now_s - self._counted_s) * PER_SECOND)
            self._counted_s = now_s
            self._warned_s = {key: at_s for key, at_s in self._warned_s.items() if now_s - at_s < REPEATED_AFTER_S}
            about = told["involvedObject"]
            key = (about["namespace"], about.get("uid", f"{about['kind']}/{about['name']}"), told["reason"])
            warning = told["type"] == "Warning"
            if self._left < 1.0 or (warning and key in self._warned_s):
                return False
            self._left -= 1.0
            if warning:
                self._warned_s[key] = now_s
            return True
