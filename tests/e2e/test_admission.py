"""Who may end, unprotect or scale what, as the real API server answers under the policies of `deploy/`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.admission import (
    CRASHES,
    DEPLOY,
    NAMESPACE,
    PODS,
    WAITS,
    Guarded,
    Object,
    assert_done,
    assert_refused,
    delete,
    guarded,
    label,
    merge,
    namespace_of_fleets,
    replicas,
    strategic,
    workload,
)
from tests.rig import fleets
from tests.rig.control_plane import has
from tests.rig.rig import Rig
from tests.servers.processes import wait_for

BY_FORCE = {"gracePeriodSeconds": 0}
ENDED = {"state": {"terminated": {"exitCode": 0}}, "lastState": {}, "restartCount": 0}
KINDS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}


@pytest.fixture(scope="module")
def here(rig: Rig) -> Iterator[Guarded]:
    with guarded(rig.control_plane) as found:
        yield found


@pytest.mark.parametrize("options", [{}, BY_FORCE], ids=["plain", "by-force"])
@pytest.mark.parametrize("value", ["true", "released"])
def test_a_pod_that_may_carry_calls_is_not_deleted(here: Guarded, value: str, options: Object) -> None:
    name = f"kept-{value}-{len(options)}"
    path = here.pod(name, value)
    assert_refused(delete(here.operator, path, **options), f"pod {name} may carry calls", f"-n {NAMESPACE} {name}")
    assert here.is_whole(path)


def test_one_that_crashed_and_waits_to_be_started_again_is_not_deleted_either(here: Guarded) -> None:
    assert_refused(delete(here.operator, here.pod("crashes", status=CRASHES)))


def test_pods_are_not_deleted_as_a_collection(here: Guarded) -> None:
    path = here.pod("one-of-many")
    answer = here.operator.request("DELETE", PODS, params={"labelSelector": "app=one-of-many"})
    assert_refused(answer, "pod one-of-many may carry calls")
    assert here.is_whole(path)


@pytest.mark.parametrize("value", ["true", "released"])
def test_a_pod_is_not_evicted(here: Guarded, value: str) -> None:
    name = f"evicted-{value}"
    path = here.pod(name, value)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}
    # It is not Ready, as a PBX is that takes no more calls, and no controller owns it.
    assert here.operator.post(f"{path}/eviction", json=eviction).status_code == 429
    assert here.is_whole(path)


def test_calltide_deletes_what_it_has_released_and_nothing_else(here: Guarded) -> None:
    assert_refused(delete(here.calltide, here.pod("not-released")))
    assert_done(delete(here.calltide, here.pod("released", "released")))


@pytest.mark.parametrize(
    "pod",
    [
        {"label": None},
        {"status": WAITS, "phase": "Pending"},
        {"status": ENDED, "phase": "Succeeded"},
        {"status": ENDED, "phase": "Failed"},
    ],
    ids=["unprotected", "never-started", "succeeded", "failed"],
)
def test_a_pod_that_cannot_carry_a_call_goes_as_anywhere(here: Guarded, pod: Object) -> None:
    assert_done(delete(here.operator, here.pod(f"goes-{len(str(pod))}", **pod), **BY_FORCE))


def test_a_pod_that_ends_is_not_cut_short_but_by_its_own_node(here: Guarded) -> None:
    path = here.pod("ends", "released")
    assert_done(delete(here.calltide, path))
    assert not here.is_whole(path)
    assert_refused(delete(here.operator, path, **BY_FORCE))
    assert_done(delete(here.kubelet, path, **BY_FORCE))
    assert path not in here.paths()


def test_its_own_node_does_not_end_one_that_nobody_deleted(here: Guarded) -> None:
    assert_refused(delete(here.kubelet, here.pod("node-pressure"), **BY_FORCE))


IMAGE = {"spec": {"containers": [{"name": "asterisk", "image": "another"}]}}
DEADLINE = {"spec": {"activeDeadlineSeconds": 60}}


@pytest.mark.parametrize("patch", [IMAGE, DEADLINE], ids=["image", "deadline"])
def test_a_running_pod_is_not_restarted_or_ended_by_a_change_of_it(here: Guarded, patch: Object) -> None:
    name = "changed-" + "".join(sorted(patch["spec"])).lower()
    assert_refused(strategic(here.operator, here.pod(name), patch), "Change the pod template instead")
    assert_done(strategic(here.operator, here.pod(f"{name}-starts", status=WAITS, phase="Pending"), patch))
    assert_done(strategic(here.operator, here.pod(f"{name}-bare", None), patch))


@pytest.mark.parametrize(("policy", "done"), [("RestartContainer", False), ("NotRequired", True)])
def test_a_running_pod_is_resized_only_where_that_restarts_nothing(here: Guarded, policy: str, done: bool) -> None:
    resources = {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": policy}]}
    path = here.pod(f"resized-{policy.lower()}", container={"resources": {"requests": {"cpu": "10m"}}, **resources})
    patch = {"spec": {"containers": [{"name": "asterisk", "resources": {"requests": {"cpu": "20m"}}}]}}
    answer = strategic(here.operator, f"{path}/resize", patch)
    if done:
        assert_done(answer)
    else:
        assert_refused(answer, "this would restart or end pod")


def test_nobody_but_its_node_says_that_a_pod_has_ended(here: Guarded) -> None:
    path, failed = here.pod("alive"), {"status": {"phase": "Failed"}}
    assert_refused(merge(here.operator, f"{path}/status", failed), "although its node is not known any more")
    assert_done(merge(here.operator, f"{path}/status", {"status": {"message": "calls as ever"}}))
    assert_done(merge(here.kubelet, f"{path}/status", failed))


def test_pods_are_not_collected_when_somebody_removes_their_node_from_the_cluster(here: Guarded) -> None:
    protected, other = here.pod("node-removed", node="removed"), here.pod("collected", None, node="removed")
    wait_for(lambda: other not in here.paths(), "the pod that is not protected to be collected", at_most_s=180)
    assert here.is_whole(protected)
    assert here.cluster.read(protected)["status"]["phase"] == "Running"


def test_whoever_breaks_the_glass_deletes_a_pod_and_is_in_the_audit_log(here: Guarded) -> None:
    path = here.pod("glass")
    reason = {"metadata": {"annotations": {"calltide.io/break-glass": "it burns"}}}
    assert_done(merge(here.operator, path, reason))
    assert_done(delete(here.operator, path))
    written = wait_for(
        lambda: [
            line["annotations"]["calltide-pods-are-not-deleted/break-glass"]
            for line in here.cluster.audited()
            if line["requestURI"] == path and line["verb"] == "delete"
        ],
        "the audit log to have it",
    )
    assert written == ["it burns"]


@pytest.mark.parametrize("value", [None, "false", "", "released"])
def test_the_protection_is_not_taken_off(here: Guarded, value: str | None) -> None:
    path = here.pod(f"labelled-{value or len(str(value))}")
    assert_refused(merge(here.operator, path, label(value)), "protected while it may carry calls")


@pytest.mark.parametrize("subresource", ["status", "resize", "ephemeralcontainers"])
def test_no_side_door_takes_the_protection_off(here: Guarded, subresource: str) -> None:
    path = here.pod(f"side-{subresource}")
    merge(here.operator, f"{path}/{subresource}", label(None))
    assert here.cluster.read(path)["metadata"]["labels"]["calltide.io/protected"] == "true"


def test_a_released_pod_is_not_protected_again_by_anybody_else(here: Guarded) -> None:
    assert_refused(merge(here.operator, here.pod("stays-released", "released"), label("true")))


def test_calltide_releases_a_pod_and_anybody_may_note_things_on_it(here: Guarded) -> None:
    path = here.pod("noted")
    assert_done(merge(here.operator, path, {"metadata": {"annotations": {"calltide.io/wish": "drain"}}}))
    assert_done(merge(here.calltide, path, label("released")))


def test_a_pod_that_has_ended_may_be_labelled_anyhow(here: Guarded) -> None:
    assert_done(merge(here.operator, here.pod("over", status=ENDED, phase="Succeeded"), label(None)))


@pytest.mark.parametrize("part", ["", "/scale"], ids=["object", "scale"])
@pytest.mark.parametrize("kind", KINDS)
def test_replicas_rise_for_everybody_and_fall_for_calltide_alone(here: Guarded, kind: str, part: str) -> None:
    name = f"scaled-{len(part)}"
    here.cluster.apply(workload(kind, name, 1))
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/{KINDS[kind]}/{name}{part}"
    assert_done(merge(here.operator, path, replicas(2)))
    assert_done(merge(here.operator, path, replicas(2)))
    assert_refused(merge(here.operator, path, replicas(1)), f"the replicas of {name} do not fall")
    whole = here.operator.get(path).json()
    whole["spec"]["replicas"] = 1
    del whole["metadata"]["resourceVersion"]  # controllers write the status at the same time
    assert_refused(here.operator.put(path, json=whole), f"the replicas of {name} do not fall")
    if part:
        assert_done(merge(here.calltide, path, replicas(1)))


@pytest.mark.parametrize("part", ["", "/scale"], ids=["object", "scale"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_replica_does_not_fall_either(here: Guarded, kind: str, part: str) -> None:
    # Of a Scale with no replicas the API server leaves the field out.
    name = f"last-{len(part)}"
    here.cluster.apply(workload(kind, name, 1))
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/{KINDS[kind]}/{name}{part}"
    assert_refused(merge(here.operator, path, replicas(0)), f"the replicas of {name} do not fall")
    assert here.cluster.read(path)["spec"]["replicas"] == 1


def test_a_workload_that_was_scaled_to_none_may_rise_again(here: Guarded) -> None:
    here.cluster.apply(workload("Deployment", "none", 0))
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/none/scale"
    assert_done(merge(here.operator, path, replicas(0)))
    assert_done(merge(here.operator, path, replicas(1)))


@pytest.mark.parametrize("kind", KINDS)
def test_pods_outlive_the_workload_that_somebody_deletes(here: Guarded, kind: str) -> None:
    name = f"orphans-{kind.lower()}"
    here.cluster.apply(workload(kind, name, 2))

    def ready() -> list[str]:
        found = here.cluster.items(PODS, labelSelector=f"app={name}")
        return [f"{PODS}/{pod['metadata']['name']}" for pod in found if has(pod, "Ready")]

    wait_for(lambda: len(ready()) == 2, "both pods to be Ready")
    pods = ready()
    assert_done(delete(here.operator, f"/apis/apps/v1/namespaces/{NAMESPACE}/{KINDS[kind]}/{name}"))
    wait_for(lambda: any(_collected(here, path) for path in pods), "the collector to try")
    assert all(here.is_whole(path) for path in pods)


def test_the_api_server_finds_no_fault_with_the_policies(here: Guarded) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"

    def checked() -> list[Object]:
        found = [one for one in here.cluster.items(path) if one["metadata"]["name"].startswith("calltide-")]
        read = all(one["status"].get("observedGeneration") == one["metadata"]["generation"] for one in found)
        return found if read else []

    policies = wait_for(checked, "the types to be checked")
    warnings = {one["metadata"]["name"]: one["status"].get("typeChecking", {}) for one in policies}
    assert warnings == {name: {} for name in warnings}
    assert len(warnings) == 4


def test_the_example_of_a_fleet_is_valid(here: Guarded) -> None:
    (made,) = yaml.safe_load_all((DEPLOY / "fleet" / "deployment.yaml").read_text(encoding="utf-8"))
    made["metadata"]["namespace"] = NAMESPACE
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
    answer = here.operator.post(path, json=made, params={"dryRun": "All", "fieldValidation": "Strict"})
    assert answer.status_code == 201, answer.text


def test_a_namespace_is_deleted_with_its_protected_pods(here: Guarded) -> None:
    _fleet_elsewhere(here, namespace_of_fleets("doomed"))
    here.cluster.kubectl("delete", "namespace", "doomed", "--timeout=60s")
    assert "doomed" not in [one["metadata"]["name"] for one in here.cluster.items("/api/v1/namespaces")]


def test_nothing_is_refused_in_a_namespace_that_is_not_labelled(here: Guarded) -> None:
    _fleet_elsewhere(here, [fleets.namespace("elsewhere")])
    here.cluster.kubectl("scale", "deployment", "fleet", "--replicas=0", "--namespace=elsewhere")
    wait_for(lambda: not here.cluster.items("/api/v1/namespaces/elsewhere/pods"), "its pods to be gone")
    assert here.cluster.read("/apis/apps/v1/namespaces/elsewhere/deployments/fleet")["spec"]["replicas"] == 0


def _collected(here: Guarded, path: str) -> bool:
    """Whether the collector of garbage was refused the pod."""
    return any(
        line["responseStatus"]["code"] == 403
        for line in here.cluster.audited()
        if line["requestURI"] == path and line["verb"] == "delete"
    )


def _fleet_elsewhere(here: Guarded, made: list[Object]) -> None:
    """Two protected pods that run, in another namespace."""
    namespace, fleet = made[0]["metadata"]["name"], workload("Deployment", "fleet", 2)
    fleet["metadata"]["namespace"] = namespace
    here.cluster.apply(*made)
    here.cluster.apply(fleet)
    wait_for(
        lambda: sum(has(pod, "Ready") for pod in here.cluster.items(f"/api/v1/namespaces/{namespace}/pods")) == 2,
        "both of its pods to be Ready",
    )
