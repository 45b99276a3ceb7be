"""Retirement's writes, each once, over the version that was looked at, with an answer in time or none.

The API server decides: a patch that names a resourceVersion is refused when anything wrote meanwhile, a delete names
UID and version, and the target is lowered only from the number and version that were read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from math import ceil
from typing import Any
from urllib.parse import quote

import structlog

from scaler.core.fleets import FleetKey
from scaler.fleet.kubernetes import annotations as marks
from scaler.fleet.kubernetes.adapter import KubernetesFleets
from scaler.fleet.kubernetes.api import ApiError, ApiRefusedError, KubernetesApi
from scaler.fleet.kubernetes.events import EventBudget, event
from scaler.fleet.retiring import FleetLook
from scaler.retirement.actions import DeletePod, LowerScale, MovePod, PodWrite, ReleasePod
from scaler.retirement.audit import Outcome
from scaler.retirement.states import RetirementState

_log = structlog.get_logger("retirement")

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
LOWEST_COST = "-2147483648"
THREADS = 8
TELL_WITHIN_S = 4.0
_CHANGED = (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND)


class KubernetesRetirement:
    """The `RetirementSide` of one cluster: it looks through the watches, and writes in threads of its own."""

    def __init__(self, api: KubernetesApi, fleets: KubernetesFleets) -> None:
        self._api = api
        self._fleets = fleets
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="write")
        # Of its own: no write waits for an Event.
        self._teller = ThreadPoolExecutor(1, thread_name_prefix="tell")
        self._budget = EventBudget(time.monotonic)

    def look(self, now_s: float) -> Mapping[FleetKey, FleetLook]:
        """All fleets, from the memory of the watches."""
        return self._fleets.look(now_s)

    async def write(self, look: FleetLook, action: PodWrite | LowerScale, within_s: float) -> Outcome:
        """Carry out one write, and say what became of it. Never raises.

        What has not been sent within `within_s` is not sent any more, and the API server gives it up as well then.
        """
        until_s = time.monotonic() + within_s
        try:
            done = asyncio.get_running_loop().run_in_executor(self._threads, self._write, look, action, until_s)
            return await asyncio.wait_for(done, within_s)
        except (TimeoutError, RuntimeError) as error:
            # An executor that has been shut down raises RuntimeError.
            _log.warning("a write was given up", what=action.sentence, reason=str(error) or f"{within_s:g} s were over")
            return Outcome.UNKNOWN

    async def tell(self, look: FleetLook, uid: str, reason: str, sentence: str, *, warning: bool) -> None:
        """An Event on the pod, or on the workload, some time soon. What could not be told is logged, nothing else."""
        told = event(look, uid, reason, sentence, warning=warning)
        if not self._budget.admits(told):
            _log.info("an Event was left out, since there were many of late", reason=reason, what=sentence)
            return
        try:
            self._teller.submit(self._tell, told)
        except RuntimeError:
            _log.info("an Event was left out, since calltide stops", reason=reason, what=sentence)

    async def stop(self) -> None:
        """Send nothing more, and give back the connection."""
        for threads in (self._threads, self._teller):
            threads.shutdown(wait=False, cancel_futures=True)
        self._api.close()

    def _write(self, look: FleetLook, action: PodWrite | LowerScale, until_s: float) -> Outcome:
        within_s = until_s - time.monotonic()
        if within_s <= 0:
            return Outcome.UNKNOWN
        try:
            self._send(look, action, within_s)
        except ApiRefusedError as error:
            return _refused(action, error)
        except ApiError as error:
            _log.warning("a write was not answered", what=action.sentence, reason=str(error))
            return Outcome.UNKNOWN
        return Outcome.DONE

    def _send(self, look: FleetLook, action: PodWrite | LowerScale, within_s: float) -> None:
        namespace = look.key.namespace
        # Whatever waits inside the API server when nobody waits for the answer any more must not be done later.
        query = f"?timeout={ceil(within_s * 1000)}ms"
        match action:
            case LowerScale():
                path = _scale_path(namespace, look.workload_name)
                self._api.send("PATCH", path + query, _lowering(action), within_s, JSON_PATCH)
            case DeletePod():
                self._api.send("DELETE", _pod_path(namespace, action.pod) + query, _deletion(action), within_s)
            case _:
                path = _pod_path(namespace, action.pod)
                self._api.send("PATCH", path + query, _patch(action), within_s, MERGE_PATCH)

    def _tell(self, event: dict[str, Any]) -> None:
        namespace = quote(event["metadata"]["namespace"], safe="")
        try:
            self._api.send("POST", f"/api/v1/namespaces/{namespace}/events", event, TELL_WITHIN_S)
        except ApiError as error:
            _log.warning("an Event could not be written", reason=str(error))


def _refused(action: PodWrite | LowerScale, error: ApiRefusedError) -> Outcome:
    """What an error status says of a write."""
    # A test that fails in a JSON patch is answered 422, as is an object that is not valid.
    failed_test = isinstance(action, LowerScale) and error.status == HTTPStatus.UNPROCESSABLE_ENTITY
    if error.status in _CHANGED or failed_test:
        return Outcome.CONFLICT
    # A server that gave up on its own storage, or a balancer on the server, may have done it.
    unknown = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    what = "a write was not answered" if unknown else "the cluster refused a write"
    _log.warning(what, what=action.sentence, reason=str(error))
    return Outcome.UNKNOWN if unknown else Outcome.REFUSED


def _pod_path(namespace: str, pod: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}"


def _scale_path(namespace: str, workload_name: str) -> str:
    kind, _, name = workload_name.partition("/")
    collection = "statefulsets" if kind == "StatefulSet" else "deployments"
    return f"/apis/apps/v1/namespaces/{quote(namespace, safe='')}/{collection}/{quote(name, safe='')}/scale"


def _lowering(action: LowerScale) -> list[dict[str, Any]]:
    """A JSON patch that fails unless `/scale` still has the version and the number that were looked at."""
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": action.version},
        {"op": "test", "path": "/spec/replicas", "value": action.replicas},
        {"op": "replace", "path": "/spec/replicas", "value": action.to},
    ]


def _deletion(action: DeletePod) -> dict[str, Any]:
    """Options in the body, since those in the query are left aside beside a body."""
    options: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": action.uid, "resourceVersion": action.version},
    }
    return options | ({"gracePeriodSeconds": 0} if action.force else {})


def _patch(action: MovePod | ReleasePod) -> dict[str, Any]:
    """A merge patch that is refused unless the pod still has the version that was looked at."""
    if isinstance(action, ReleasePod):
        noted: dict[str, Any] = {
            marks.STATE: marks.written_state(RetirementState.RELEASED),
            marks.EVIDENCE: marks.written_evidence(action.evidence),
            DELETION_COST: LOWEST_COST,
        }
        return _over(action.version, noted, {marks.PROTECTED: marks.IS_RELEASED})
    # A wish is fulfilled, or overtaken, once the pod has moved.
    noted = {
        marks.STATE: marks.written_state(action.to),
        marks.DRAIN: marks.written_drain(action.drain),
        marks.WISH: None,
    }
    return _over(action.version, noted, {})


def _over(version: str, noted: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": version, "annotations": dict(noted)}
    if labels:
        metadata["labels"] = dict(labels)
    return {"metadata": metadata}
