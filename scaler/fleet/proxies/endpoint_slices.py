"""What the EndpointSlices of Services say: which pods they still lead to, and where those are.

They are listed when they are asked for, and not watched: an API server answers a list from what is in force, while a
watch may be behind without knowing. That costs a request a second where something leaves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scaler.errors import FleetError
from scaler.fleet.kubernetes.api import KubernetesApi

_THREADS = 4
_OF_SERVICE = "kubernetes.io/service-name"
_PATCH = "application/merge-patch+json"

Listed = TypeVar("Listed", bound=BaseModel)


class SlicesError(FleetError):
    """The API server answered with something else than what was asked for."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class _Metadata(_Told):
    uid: str = ""
    labels: Mapping[str, str] | None = None


class _Target(_Told):
    uid: str = ""


class _Conditions(_Told):
    ready: bool | None = None
    serving: bool | None = None


class Endpoint(_Told):
    """One line of a slice. Without a target it is of a Service whose slices somebody writes by hand."""

    addresses: tuple[str, ...] = Field(min_length=1)
    conditions: _Conditions = _Conditions()
    targetRef: _Target | None = None  # noqa: N815 - as Kubernetes names it

    @property
    def takes_calls(self) -> bool:
        """Whether a proxy of the Service may send anything there. What is not said counts as yes, as Kubernetes has it.

        `serving` alone is enough: where no endpoint is ready, those that only serve are used.
        """
        ready = self.conditions.ready is not False
        return ready or (self.conditions.serving if self.conditions.serving is not None else ready)

    def is_of(self, uid: str, address: str) -> bool:
        """Whether it is this pod."""
        return (self.targetRef is not None and self.targetRef.uid == uid) or address in self.addresses


class _Slice(_Told):
    metadata: _Metadata
    endpoints: tuple[Endpoint, ...] | None = None


class _Slices(_Told):
    items: tuple[_Slice, ...]


class _Pod(_Told):
    metadata: _Metadata


class _Pods(_Told):
    items: tuple[_Pod, ...]


class ServiceSide:
    """Services of one cluster: reading their slices, and the label by which they select pods."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api
        # Of its own: an API server that hangs holds up nothing else.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="services")

    async def endpoints(
        self, namespace: str, services: Sequence[str], within_s: float
    ) -> Mapping[str, tuple[Endpoint, ...]]:
        """The endpoints of each Service, by its name. A Service that has no slice at all is left out.

        `within_s` is how long the answer may take, seconds, here and below.

        Raises:
            ApiError: the API server did not answer, or refused.
            SlicesError: it answered something else.
            TimeoutError: there was no answer in time.
        """
        selector = f"{_OF_SERVICE} in ({','.join(services)})"
        path = f"/apis/discovery.k8s.io/v1/namespaces/{quote(namespace, safe='')}/endpointslices"
        found: dict[str, tuple[Endpoint, ...]] = {}
        for one in (await self._list(path, selector, _Slices, within_s)).items:
            service = (one.metadata.labels or {}).get(_OF_SERVICE, "")
            found[service] = (*found.get(service, ()), *(one.endpoints or ()))
        return found

    async def labelled(self, namespace: str, label: str, value: str, within_s: float) -> frozenset[str]:
        """UIDs of the pods that have this label with this value.

        Raises:
            ApiError, SlicesError, TimeoutError: as `endpoints`.
        """
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods"
        pods = await self._list(path, f"{label}={value}", _Pods, within_s)
        return frozenset(pod.metadata.uid for pod in pods.items)

    async def set_label(self, namespace: str, pod: str, uid: str, label: str, value: str, within_s: float) -> None:
        """Set a label of the pod of this UID, whatever its version.

        Raises:
            ApiError: it could not be done, or nobody knows; another pod of that name is not touched.
            TimeoutError: there was no answer in time.
        """
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}"
        query = urlencode({"timeout": f"{max(1, round(within_s * 1000))}ms"})
        patch = {"metadata": {"uid": uid, "labels": {label: value}}}
        await self._ask("PATCH", f"{path}?{query}", patch, within_s, _PATCH)

    def close(self) -> None:
        """Send nothing more, and give back the connection."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._api.close()

    async def _list(self, path: str, selector: str, kind: type[Listed], within_s: float) -> Listed:
        answer = await self._ask("GET", f"{path}?{urlencode({'labelSelector': selector})}", None, within_s)
        try:
            return kind.model_validate(answer)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise SlicesError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    async def _ask(
        self, method: str, path: str, body: object, within_s: float, kind: str = "application/json"
    ) -> object:
        until_s = time.monotonic() + within_s

        def ask() -> object:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            return self._api.send(method, path, body, left_s, kind)

        return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._threads, ask), within_s)
