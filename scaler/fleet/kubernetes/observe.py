"""From what the watches have told to the fleets of the core: who claims which workload, and how it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge

from scaler.core.fleets import FleetKey, FleetObservation, Pod
from scaler.fleet.kubernetes.freezes import freeze_of
from scaler.fleet.kubernetes.memory import LEADS_KEPT, ClusterMemory
from scaler.fleet.kubernetes.objects import ScaledObject, Workload, WorkloadName
from scaler.fleet.kubernetes.triggers import Reference, reference_of
from scaler.fleet.listing import FleetListing

WORKLOAD_KINDS = ("Deployment", "StatefulSet")


@dataclass(frozen=True, slots=True)
class Claim:
    """A fleet of ours: what was said of it, and the workload that it is."""

    key: FleetKey
    reference: Reference
    workload: WorkloadName
    scaled_object: ScaledObject | None


def claims(memory: ClusterMemory, addresses: Sequence[str], listed: Sequence[FleetListing]) -> Iterator[Claim]:
    """Every fleet of ours: ScaledObjects with a trigger of ours, then listed fleets that none of them is."""
    taken: set[FleetKey] = set()
    for scaled_object in memory.scaled_objects.all():
        reference = reference_of(scaled_object, addresses)
        if reference is not None:
            key = FleetKey(*scaled_object.name)
            taken.add(key)
            yield Claim(key, reference, scaled_object.workload, scaled_object)
    for listing in listed:
        if listing.key not in taken:
            yield _listed_claim(memory, listing)


def observe(memory: ClusterMemory, claim: Claim, observed_at_s: float, *, settled: bool) -> FleetObservation:
    """The fleet as it stands. Unless `settled` (all lists are in), a workload that is not there is not a fault yet."""
    scaled_object, reference = claim.scaled_object, claim.reference
    workload = memory.workload(claim.workload)
    hpa = memory.hpas.first(scaled_object.hpa) if scaled_object else None
    return FleetObservation(
        key=claim.key,
        policy=reference.policy,
        tenants=reference.tenants,
        pool=reference.pool,
        workload="{1}/{2}".format(*claim.workload),
        spec_replicas=workload.spec_replicas if workload else 0,
        status_replicas=workload.status_replicas if workload else 0,
        pods=_pods(memory, workload) if workload else (),
        observed_at_s=observed_at_s,
        minimum_replicas=scaled_object.minimum if scaled_object else None,
        maximum_replicas=scaled_object.maximum if scaled_object else None,
        # Without an HPA to read, or with an API server that drops the field, the band has to be reckoned with.
        exact_tolerance=hpa.exact_tolerance if hpa else False,
        paused=scaled_object.paused if scaled_object else False,
        polling_interval_s=scaled_object.polling_interval_s if scaled_object else 30,
        frozen=freeze_of(memory, workload, observed_at_s) if workload else None,
        fault=reference.fault or (_missing(claim) if settled and workload is None else None),
    )


def newest_leads_s(memory: ClusterMemory, claim: Claim) -> tuple[float, ...]:
    """Seconds from creation to the first Ready of the fleet's newest pods, oldest first."""
    workload = memory.workload(claim.workload)
    if workload is None:
        return ()
    measured = merge(*(memory.pods.leads(owner_uid) for owner_uid in memory.owners(workload)))
    return tuple(lead_s for _, lead_s in measured)[-LEADS_KEPT:]


def _pods(memory: ClusterMemory, workload: Workload) -> tuple[Pod, ...]:
    pods: list[Pod] = []
    for owner_uid, revision in memory.owners(workload).items():
        for life in memory.pods.lives.under(owner_uid):
            current = (life.seen.revision if revision is None else revision) == workload.revision
            pods.append(life.pod if current else replace(life.pod, current_revision=False))
    return tuple(pods)


def _listed_claim(memory: ClusterMemory, listing: FleetListing) -> Claim:
    # The name is that of a ScaledObject that scales by something else so far, or of the workload itself.
    name = (listing.key.namespace, listing.key.name)
    scaled_object = memory.scaled_objects.first(name)
    candidates = [(name[0], kind, name[1]) for kind in WORKLOAD_KINDS]
    named = next((candidate for candidate in candidates if memory.workload(candidate)), candidates[0])
    return Claim(
        listing.key,
        Reference(listing.policy, listing.tenants, None),
        scaled_object.workload if scaled_object else named,
        scaled_object,
    )


def _missing(claim: Claim) -> str:
    namespace, kind, name = claim.workload
    if kind not in WORKLOAD_KINDS:
        return f"{claim.key} points to {kind} {namespace}/{name}; only a Deployment or a StatefulSet can be sized"
    where = f"ScaledObject {claim.key} points to" if claim.scaled_object else f"the listed fleet {claim.key} is"
    return f"{where} {kind} {namespace}/{name}, which does not exist; create it or mend the name"
