"""Which ScaledObjects are ours, and what their trigger says.

A trigger is ours when it calls us (its address is one that we are known by), or when it plainly means us: a `policy`
together with a tenant, tenants or a pool. The second rule finds a ScaledObject behind an address nobody told us of.
What the metadata means is decided in one place for KEDA's calls and for this look at the cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keda_external_scaler.errors import MetadataError
from keda_external_scaler.metadata import OWN_KEYS, TriggerReference, parse_trigger_metadata
from scaler.fleet.kubernetes.objects import ExternalTrigger, ScaledObject

_FROM_ENV = "FromEnv"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a ScaledObject asks of us. `fault` says why it cannot be followed, and how to mend it."""

    policy: str
    tenants: tuple[str, ...]
    pool: str | None
    fault: str | None = None


def reference_of(scaled_object: ScaledObject, addresses: Sequence[str]) -> Reference | None:
    """What the ScaledObject's trigger of ours says; None when none of its triggers is ours.

    `addresses` are what we are known by; without any, whatever names a policy is ours.
    """
    ours = [trigger for trigger in scaled_object.triggers if _is_ours(trigger, addresses)]
    if not ours:
        return None
    where = "ScaledObject {}/{}".format(*scaled_object.name)
    policy = ours[0].metadata.get("policy", "")
    if len(ours) > 1:
        text = f"{len(ours)} triggers of calltide, and the HPA takes the larger answer; keep one"
        return Reference(policy, (), None, f"{where} has {text}")
    try:
        said = _parse(ours[0])
    except MetadataError as error:
        return Reference(policy, (), None, f"{where}, trigger of calltide: {error}")
    return Reference(said.policy, said.tenants, said.pool)


def _parse(trigger: ExternalTrigger) -> TriggerReference:
    for key in OWN_KEYS:
        if f"{key}{_FROM_ENV}" in trigger.metadata:
            # Only KEDA looks into the container's environment; here the value is a variable's name.
            raise MetadataError(f"metadata.{key}{_FROM_ENV} cannot be followed from outside the pod; write {key}: NAME")
    return parse_trigger_metadata(trigger.metadata)


def _is_ours(trigger: ExternalTrigger, addresses: Sequence[str]) -> bool:
    if any(_matches(trigger.address, address) for address in addresses):
        return True
    named = {key.removesuffix(_FROM_ENV) for key in trigger.metadata}
    if "policy" not in named:
        return False
    return not addresses or not named.isdisjoint(("tenant", "tenants", "pool"))


def _matches(address: str, known: str) -> bool:
    host, _, _ = address.rpartition(":")
    candidates = (address, host) if host else (address,)
    if known.startswith("."):
        return any(candidate.endswith(known) for candidate in candidates)
    return known in candidates
