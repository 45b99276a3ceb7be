"""Which fleets are ours, and what an observation of one says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes import client

from scaler.core.fleets import FleetKey, PodState
from scaler.fleet.kubernetes import objects
from scaler.fleet.kubernetes.memory import ClusterMemory
from scaler.fleet.kubernetes.observe import claims, newest_leads_s, observe
from scaler.fleet.listing import FleetListing
from tests.servers import kube_objects as kube

ACME = FleetKey("voice", "acme")
STRIP = {
    "ScaledObject": ("scaled_objects", objects.scaled_object),
    "HorizontalPodAutoscaler": ("hpas", objects.hpa),
    "Deployment": ("deployments", objects.deployment),
    "StatefulSet": ("stateful_sets", objects.stateful_set),
    "ReplicaSet": ("replica_sets", objects.replica_set),
    "Pod": ("pods", objects.pod),
}


def remember(*items):
    memory = ClusterMemory()
    for item in items:
        shelf, strip = STRIP[item["kind"]]
        getattr(memory, shelf).put(objects.uid_of(item), strip(item))
    return memory


def fleets_of(*items, addresses=("calltide.calltide.svc:9090",), listed=(), settled=True):
    memory = remember(*items)
    found = claims(memory, addresses, listed)
    return {claim.key: observe(memory, claim, 100.0, settled=settled) for claim in found}


def whole(**scaled):
    return (kube.scaled_object(**scaled), kube.hpa(), kube.deployment(), kube.replica_set())


FOREIGN = {"type": "external", "metadata": {"scalerAddress": "other.example:9090", "threshold": "5"}}
CRON = {"type": "cron", "metadata": {"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *"}}
ELSEWHERE = kube.trigger(scalerAddress="10.0.0.7:9090")


@pytest.mark.parametrize(
    ("triggers", "ours"),
    [
        ([kube.trigger()], True),
        ([kube.trigger() | {"type": "external-push"}], True),
        ([CRON, kube.trigger()], True),
        ([ELSEWHERE], True),
        ([FOREIGN], False),
        ([CRON], False),
        ([], False),
        ([kube.trigger() | {"type": "prometheus"}], False),
    ],
)
def test_a_scaled_object_is_ours_by_its_address_or_by_naming_a_policy_and_a_tenant(triggers, ours):
    assert (ACME in fleets_of(*whole(triggers=triggers))) is ours


@pytest.mark.parametrize(
    ("address", "known", "matches"),
    [
        ("calltide.calltide.svc:9090", "calltide.calltide.svc:9090", True),
        ("calltide.calltide.svc:9090", "calltide.calltide.svc", True),
        ("calltide.calltide.svc:9090", "calltide.calltide.svc:9191", False),
        ("a.calltide.svc:9090", ".calltide.svc", True),
        ("a.calltide.svc:9090", ".calltide.svc:9090", True),
        ("notcalltide.svc:9090", ".calltide.svc", False),
        ("notcalltide.svc:9090", "calltide.svc", False),
    ],
)
def test_an_address_matches_whole_or_by_a_suffix_that_begins_with_a_dot(address, known, matches):
    bare = {"type": "external", "metadata": {"scalerAddress": address}}
    assert bool(fleets_of(*whole(triggers=[bare]), addresses=(known,))) is matches


def test_without_known_addresses_whatever_names_a_policy_is_ours():
    bare = {"type": "external", "metadata": {"scalerAddress": "10.0.0.7:9090", "policy": "voice"}}
    assert "exactly one of" in fleets_of(*whole(triggers=[bare]), addresses=())[ACME].fault
    assert fleets_of(*whole(triggers=[bare])) == {}
    assert fleets_of(*whole(triggers=[FOREIGN]), addresses=()) == {}


def test_tenants_and_pools_are_read_from_the_trigger():
    by_list = {"type": "external", "metadata": kube.trigger()["metadata"] | {"tenants": "b, a,b "}}
    del by_list["metadata"]["tenant"]
    by_pool = {"type": "external", "metadata": by_list["metadata"] | {"pool": "small"}}
    del by_pool["metadata"]["tenants"]
    assert fleets_of(*whole(triggers=[by_list]))[ACME].tenants == ("b", "a")
    pooled = fleets_of(*whole(triggers=[by_pool]))[ACME]
    assert (pooled.pool, pooled.tenants, pooled.fault) == ("small", (), None)


def without(key):
    trigger = kube.trigger()
    del trigger["metadata"][key]
    return trigger


@pytest.mark.parametrize(
    ("triggers", "words"),
    [
        ([without("policy")], ("metadata.policy is missing", "name a policy")),
        ([without("tenant")], ("exactly one of tenant, tenants and pool", "none of them")),
        ([kube.trigger(pool="small")], ("metadata.tenant and metadata.pool", "exactly one")),
        ([kube.trigger(polcy="x")], ("'polcy' is not a key", "did you mean policy?")),
        (
            [without("policy") | {"metadata": {**without("policy")["metadata"], "policyFromEnv": "P"}}],
            ("write policy:",),
        ),
        ([kube.trigger(), kube.trigger()], ("2 triggers", "keep one")),
    ],
)
def test_a_trigger_that_cannot_be_followed_is_a_fault_with_its_remedy(triggers, words):
    fault = fleets_of(*whole(triggers=triggers))[ACME].fault
    assert "voice/acme" in fault
    assert all(word in fault for word in words)


def test_a_workload_that_is_missing_is_a_fault_once_all_lists_are_in():
    assert fleets_of(kube.scaled_object(), settled=False)[ACME].fault is None
    fault = fleets_of(kube.scaled_object())[ACME].fault
    assert "Deployment voice/acme" in fault
    assert "create it" in fault


def test_a_kind_that_cannot_be_sized_is_a_fault():
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "acme"}
    assert "only a Deployment or a StatefulSet" in fleets_of(kube.scaled_object(scaleTargetRef=rollout))[ACME].fault


@pytest.mark.parametrize(
    ("up", "down", "exact"),
    [("0", "0", True), ("0.0", "0m", True), ("0", None, False), (None, None, False), ("0", "100m", False)],
)
def test_tolerance_is_exact_only_at_zero_in_both_directions(up, down, exact):
    items = (kube.scaled_object(), kube.hpa(up=up, down=down), kube.deployment())
    assert fleets_of(*items)[ACME].exact_tolerance is exact


def test_without_an_hpa_tolerance_is_not_exact():
    assert not fleets_of(kube.scaled_object(), kube.deployment())[ACME].exact_tolerance


def test_the_hpa_is_found_by_the_name_that_keda_gave_it():
    scaled, autoscaler = kube.scaled_object(), kube.hpa()
    scaled["status"]["hpaName"] = autoscaler["metadata"]["name"] = "of-my-own"
    assert fleets_of(scaled, autoscaler, kube.deployment())[ACME].exact_tolerance
    del scaled["status"]
    assert not fleets_of(scaled, autoscaler, kube.deployment())[ACME].exact_tolerance
    scaled["spec"]["advanced"] = {"horizontalPodAutoscalerConfig": {"name": "of-my-own"}}
    assert fleets_of(scaled, autoscaler, kube.deployment())[ACME].exact_tolerance


@pytest.mark.parametrize(
    ("annotation", "value", "paused"),
    [
        ("paused", "true", True),
        ("paused", "", True),
        ("paused", "false", False),
        ("paused-replicas", "0", True),
        ("paused-scale-out", "true", True),
        ("paused-scale-in", "true", False),
    ],
)
def test_a_paused_scaled_object_is_seen_as_keda_sees_it(annotation, value, paused):
    scaled = kube.scaled_object()
    scaled["metadata"]["annotations"][f"autoscaling.keda.sh/{annotation}"] = value
    assert fleets_of(scaled, kube.deployment())[ACME].paused is paused


def test_bounds_that_are_left_out_are_kedas_defaults():
    scaled = kube.scaled_object()
    del scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]
    fleet = fleets_of(scaled, kube.deployment())[ACME]
    assert (fleet.minimum_replicas, fleet.maximum_replicas) == (0, 100)


def test_pods_of_an_old_revision_are_told_apart():
    fleet = fleets_of(
        kube.scaled_object(),
        kube.deployment(revision=2),
        kube.replica_set(hash_="old", revision=1),
        kube.replica_set(hash_="new", revision=2),
        kube.pod("a", owner=("ReplicaSet", "acme-old"), ready_after_s=30),
        kube.pod("b", owner=("ReplicaSet", "acme-new"), ready_after_s=30),
    )[ACME]
    assert {pod.name: pod.current_revision for pod in fleet.pods} == {"a": False, "b": True}


def test_a_stateful_sets_pods_are_found_without_a_replica_set():
    scaled = kube.scaled_object(scaleTargetRef={"kind": "StatefulSet", "name": "acme"})
    pods = [kube.pod(f"acme-{n}", owner=("StatefulSet", "acme"), ready_after_s=30) for n in range(2)]
    pods[1]["metadata"]["labels"]["controller-revision-hash"] = "acme-old"
    fleet = fleets_of(scaled, kube.stateful_set(), *pods)[ACME]
    assert fleet.workload == "StatefulSet/acme"
    assert {pod.name: pod.current_revision for pod in fleet.pods} == {"acme-0": True, "acme-1": False}


def test_pods_of_another_deployment_are_not_counted():
    fleet = fleets_of(
        *whole(),
        kube.deployment("other"),
        kube.replica_set("other"),
        kube.pod("mine", ready_after_s=30),
        kube.pod("theirs", owner=("ReplicaSet", "other-7b9"), ready_after_s=30),
    )[ACME]
    assert [pod.name for pod in fleet.pods] == ["mine"]


def test_a_listed_fleet_is_its_workload_or_a_scaled_object_that_scales_by_something_else():
    listing = FleetListing(ACME, "shadow", ("acme", "bolt"))
    bare = fleets_of(kube.deployment(replicas=5), listed=[listing])[ACME]
    assert (bare.policy, bare.tenants, bare.spec_replicas, bare.maximum_replicas) == (
        "shadow",
        listing.tenants,
        5,
        None,
    )
    by_cron = fleets_of(
        kube.scaled_object(triggers=[CRON], target="pbx"), kube.deployment("pbx", replicas=7), listed=[listing]
    )[ACME]
    assert (by_cron.policy, by_cron.workload, by_cron.spec_replicas) == ("shadow", "Deployment/pbx", 7)
    missing = fleets_of(listed=[listing])[ACME]
    assert "listed fleet voice/acme" in missing.fault


def test_a_scaled_object_of_ours_comes_before_a_listing_of_the_same_name():
    fleet = fleets_of(*whole(), listed=[FleetListing(ACME, "shadow", ("x",))])[ACME]
    assert (fleet.policy, fleet.tenants) == ("voice", ("acme",))


def test_leads_of_a_fleet_are_the_newest_200_over_all_its_replica_sets_oldest_first():
    memory = remember(*whole(), kube.replica_set(hash_="new", revision=2))
    for n in range(250):
        owner = ("ReplicaSet", "acme-new" if n % 2 else "acme-7b9")
        item = kube.pod(f"p{n:04}", owner=owner, created_s=kube.MONDAY_S + 60 * n, ready_after_s=10 + n)
        memory.pods.put(objects.uid_of(item), objects.pod(item))
    (claim,) = claims(memory, (), ())
    assert newest_leads_s(memory, claim) == tuple(10.0 + n for n in range(50, 250))


def test_leads_go_when_their_replica_set_is_gone_and_stay_when_a_pod_is():
    memory = remember(*whole(), kube.pod(ready_after_s=40))
    (claim,) = claims(memory, (), ())
    memory.pods.remove(kube.uid("Pod", "acme-7b9-a"))
    memory.drop_leads_of_the_gone()
    assert newest_leads_s(memory, claim) == (40.0,)
    memory.replica_sets.remove(kube.uid("ReplicaSet", "acme-7b9"))
    memory.drop_leads_of_the_gone()
    assert memory.pods.owners_measured() == ()


def test_a_new_list_keeps_what_is_remembered_of_each_pod():
    memory = remember(*whole(), kube.pod(ready_after_s=40))
    never = objects.pod(kube.pod())
    memory.pods.replace({never.uid: never})
    (claim,) = claims(memory, (), ())
    assert observe(memory, claim, 1.0, settled=True).count(PodState.FAILED) == 1
    memory.pods.replace({})
    assert observe(memory, claim, 1.0, settled=True).pods == ()


@pytest.mark.parametrize(
    ("item", "model"),
    [
        (kube.pod(ready_after_s=40, state="draining"), "V1Pod"),
        (kube.deployment(), "V1Deployment"),
        (kube.replica_set(), "V1ReplicaSet"),
        (kube.stateful_set(), "V1StatefulSet"),
        (kube.hpa(), "V2HorizontalPodAutoscaler"),
    ],
)
def test_the_objects_of_these_tests_have_the_fields_of_the_real_api(item, model):
    # The official models drop what they do not know, so an invented field would be missing from the copy.
    with client.ApiClient() as api:
        copy = api.sanitize_for_serialization(api._ApiClient__deserialize(item, model))

    def fields(part, path=""):
        if isinstance(part, dict):
            return {f"{path}.{key}" for key in part} | {f for key in part for f in fields(part[key], f"{path}.{key}")}
        if isinstance(part, list):
            return {f for entry in part for f in fields(entry, f"{path}[]")}
        return set()

    assert fields(item) - fields(copy) <= {".metadata.annotations"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(triggers=st.lists(st.fixed_dictionaries({"type": st.just("external"), "metadata": json_values}), max_size=3))
def test_no_trigger_metadata_that_a_user_can_write_breaks_the_observation(triggers):
    for fleet in fleets_of(*whole(triggers=triggers)).values():
        assert fleet.fault is None or "voice/acme" in fleet.fault
