"""Which ScaledObjects are ours, and what their trigger says.

A trigger is ours when it calls us (its address is one that we are known by), or when it plainly means us: a `policy`
together with a tenant, tenants or a pool. The second rule finds a ScaledObject behind an address nobody told us of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scaler.fleet.kubernetes.objects import ExternalTrigger, ScaledObject


@dataclass(frozen=True, slots=True)
class Reference:
    """What a ScaledObject asks of us. `fault` says why it cannot be followed, and how to mend it."""

    policy: str
    tenants: tuple[str, ...]
    pool: str | None
    fault: str | None = None


def reference_of(scaled_object: ScaledObject, addresses: Sequence[str]) -> Reference | None:
    """What the ScaledObject's trigger of ours says; None when none of its triggers is ours."""
    ours = [trigger for trigger in scaled_object.triggers if _is_ours(trigger, addresses)]
    if not ours:
        return None
    trigger = ours[0]
    listed = ",".join(part for part in (trigger.tenant, trigger.tenants) if part)
    tenants = tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))
    return Reference(trigger.policy or "", tenants, trigger.pool, _fault(scaled_object, ours))


def _fault(scaled_object: ScaledObject, ours: Sequence[ExternalTrigger]) -> str | None:
    where = "ScaledObject {}/{}".format(*scaled_object.name)
    if len(ours) > 1:
        return f"{where} has {len(ours)} triggers of calltide, and the HPA takes the larger answer; keep one"
    trigger = ours[0]
    if trigger.policy is None:
        return f"{where}: the trigger's metadata has no key 'policy'; add policy: NAME"
    named = [key for key in ("tenant", "tenants", "pool") if getattr(trigger, key) is not None]
    if len(named) != 1:
        what = "names " + " and ".join(named) if named else "names no tenant"
        return f"{where}: the trigger's metadata {what}; give exactly one of tenant, tenants and pool"
    return None


def _is_ours(trigger: ExternalTrigger, addresses: Sequence[str]) -> bool:
    if any(_matches(trigger.address, address) for address in addresses):
        return True
    return trigger.policy is not None and any((trigger.tenant, trigger.tenants, trigger.pool))


def _matches(address: str, known: str) -> bool:
    host, _, _ = address.rpartition(":")
    candidates = (address, host) if host else (address,)
    if known.startswith("."):
        return any(candidate.endswith(known) for candidate in candidates)
    return known in candidates
