"""KEDA's questions and their answers, without a server: bytes of a message in, bytes of a message or a refusal out.

A refusal is as good an answer as a number: KEDA then leaves the replicas as they are, so its text says what to do.
The number of a fleet that stands in the book is never refused because the control plane is behind: when a trigger
was just edited, the number of before is nearer to the truth than none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import grpc
from google.protobuf.message import DecodeError

from keda_external_scaler.book import BookEntry
from keda_external_scaler.book_format import BookView
from keda_external_scaler.contract.externalscaler_pb2 import (
    GetMetricSpecResponse,
    GetMetricsRequest,
    GetMetricsResponse,
    IsActiveResponse,
    MetricSpec,
    MetricValue,
    ScaledObjectRef,
)
from keda_external_scaler.errors import KedaExternalScalerError, MetadataError
from keda_external_scaler.look_up import Answer, answer_at
from keda_external_scaler.metadata import TriggerReference, parse_trigger_metadata
from keda_external_scaler.stats import StatsCollector

METRIC_NAME = "pods"
"""Part of a URL at KEDA, so lower-case letters, digits and '-' only."""

# Integer and double both, for clients of before 2.17 know only the integer. The target is 1, so that KEDA's value is
# the number of pods and nothing rounds on the way; it is constant, for KEDA reads it anew only at a reconcile.
METRIC_SPEC = GetMetricSpecResponse(
    metricSpecs=[MetricSpec(metricName=METRIC_NAME, targetSize=1, targetSizeFloat=1.0)]
).SerializeToString()
ACTIVE = IsActiveResponse(result=True).SerializeToString()
INACTIVE = IsActiveResponse(result=False).SerializeToString()
_LONGEST_OBJECT_NAME = 253


class RefusedError(KedaExternalScalerError):
    """A question that gets no number; carries the status code, and the remedy as its text."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class FleetState:
    """What is known of one fleet at one time."""

    entry: BookEntry
    answer: Answer

    @property
    def active(self) -> bool:
        """Whether the workload must not be at zero: calls are up, or pods are planned."""
        return self.entry.active or self.answer.value > 0


class Questions:
    """Answers KEDA from the newest book, by the wall clock that is passed in."""

    def __init__(
        self,
        newest_book: Callable[[], BookView | None],
        wall_clock: Callable[[], float],
        stale_after_s: float,
        stats: StatsCollector,
    ) -> None:
        self._newest_book = newest_book
        self._wall_clock = wall_clock
        self._stale_after_s = stale_after_s
        self._stats = stats

    def metric_spec(self, _: bytes) -> bytes:
        """GetMetricSpec: the same for everybody, from memory, book or no book."""
        return METRIC_SPEC

    def metrics(self, raw: bytes) -> bytes:
        """GetMetrics.

        Raises:
            RefusedError: there is no number; the text says why and what to do.
        """
        try:
            request = GetMetricsRequest.FromString(raw)
        except DecodeError as error:
            raise _not_a_message("GetMetricsRequest") from error
        if request.metricName != METRIC_NAME:
            raise RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"metricName: there is no metric {request.metricName[:63]!r}; ask for {METRIC_NAME!r}, "
                "which is what GetMetricSpec names",
            )
        return _encode_value(self._told(request.scaledObjectRef).answer.value)

    def is_active(self, raw: bytes) -> bytes:
        """IsActive. Never refused where GetMetrics is not.

        Raises:
            RefusedError: as GetMetrics.
        """
        return ACTIVE if self._told(_reference(raw)).active else INACTIVE

    def fleet_of(self, raw: bytes) -> tuple[str, str]:
        """Namespace and name of the fleet that a stream is opened for.

        Raises:
            RefusedError: as GetMetrics.
        """
        entry = self._told(_reference(raw)).entry
        return entry.namespace, entry.name

    def state(self, namespace: str, name: str) -> FleetState | None:
        """A fleet's state now, None while it stands in no book."""
        book = self._newest_book()
        entry = None if book is None else book.find(namespace, name)
        if book is None or entry is None:
            return None
        return FleetState(entry, answer_at(entry, book, self._wall_clock(), self._stale_after_s))

    def _told(self, reference: ScaledObjectRef) -> FleetState:
        trigger = _trigger(reference)
        fleet = f"{reference.namespace}/{reference.name}"
        state = self.state(reference.namespace, reference.name)
        if state is None:
            raise self._unknown(fleet)
        if serves_others(trigger, state.entry):
            raise RefusedError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"fleet {fleet}: the plan in force is for other tenants than this trigger names; calltide plans anew "
                "when it sees the ScaledObject. If this lasts, see whether its control plane is up",
            )
        self._stats.count_answer(fleet, alone=state.answer.alone, differing=_differs(trigger, state.entry))
        return state

    def _unknown(self, fleet: str) -> RefusedError:
        if self._newest_book() is None:
            return RefusedError(
                grpc.StatusCode.UNAVAILABLE,
                "there is no answer book yet: calltide's control plane has not planned since this process was "
                "installed; see its log and its page",
            )
        return RefusedError(
            grpc.StatusCode.NOT_FOUND,
            f"fleet {fleet} is in no plan: a new ScaledObject is planned within half a minute. If this lasts, see "
            "whether the policy that it names exists (calltide policy show) and calltide may watch its namespace",
        )


def serves_others(trigger: TriggerReference, entry: BookEntry) -> bool:
    """Whether an entry is certainly about other calls than the trigger: no tenant in common, or another pool.

    So it is for a ScaledObject that was deleted and made anew under the same name. Where one side names a pool and
    the other tenants nobody can tell, and the entry stands.
    """
    if trigger.pool is not None and entry.pool is not None:
        return trigger.pool != entry.pool
    if trigger.pool is None and entry.pool is None:
        return set(trigger.tenants).isdisjoint(entry.tenants)
    return False


def _differs(trigger: TriggerReference, entry: BookEntry) -> bool:
    if (trigger.policy, trigger.pool) != (entry.policy, entry.pool):
        return True
    # The tenants of a pool are the policy's, not the trigger's.
    return entry.pool is None and set(trigger.tenants) != set(entry.tenants)


def _reference(raw: bytes) -> ScaledObjectRef:
    try:
        return ScaledObjectRef.FromString(raw)
    except DecodeError as error:
        raise _not_a_message("ScaledObjectRef") from error


def _not_a_message(kind: str) -> RefusedError:
    return RefusedError(
        grpc.StatusCode.INVALID_ARGUMENT, f"the request is no {kind} of KEDA's externalscaler.proto; see the client"
    )


def _trigger(reference: ScaledObjectRef) -> TriggerReference:
    for field, value in (("name", reference.name), ("namespace", reference.namespace)):
        if not value:
            raise RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"scaledObjectRef.{field} is empty; give the ScaledObject's own {field}",
            )
        if len(value) > _LONGEST_OBJECT_NAME:
            raise RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"scaledObjectRef.{field} has {len(value)} characters; Kubernetes knows names of up to "
                f"{_LONGEST_OBJECT_NAME}",
            )
    try:
        return parse_trigger_metadata(dict(reference.scalerMetadata))
    except MetadataError as error:
        raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error


@lru_cache(maxsize=4096)
def _encode_value(pods: int) -> bytes:
    value = MetricValue(metricName=METRIC_NAME, metricValue=pods, metricValueFloat=float(pods))
    return GetMetricsResponse(metricValues=[value]).SerializeToString()
