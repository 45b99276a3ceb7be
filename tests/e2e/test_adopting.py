"""A live fleet is adopted and leaves again while people talk, on real controllers: no pod restarts, no call is cut."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.retiring import as_stateful_set, assert_none_cut, proxy_states
from tests.rig import fleets
from tests.rig.control_plane import ControlPlane, KubectlError
from tests.rig.rig import Rig
from tests.rig.telephony import Telephony
from tests.rig.voice import workloads
from tests.rig.voice.plan import CallPlan, Segment
from tests.servers.processes import wait_for

pytestmark = pytest.mark.long

NAMESPACE = "adopting"
NAME = "adopted"
KEY = f"{NAMESPACE}/{NAME}"
PODS, CALLS, HOLD_S = 10, 100, 60.0
PROTECTED = "calltide.io/protected"
ADMISSION = Path(__file__).parents[2] / "deploy" / "70-admission.yaml"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"


@pytest.fixture
def cluster(rig: Rig) -> Iterator[ControlPlane]:
    """A namespace without retirement, in a cluster that has the policies."""
    cluster = rig.control_plane
    cluster.apply(ADMISSION, fleets.namespace(NAMESPACE))
    yield cluster
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait")


def calltide(cluster: ControlPlane, *arguments: str) -> str:
    """What the command line says, as a cluster's administrator."""
    command = [str(Path(sys.executable).parent / "calltide"), *arguments, "--kubeconfig", str(cluster.kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def live(cluster: ControlPlane) -> list[dict[str, Any]]:
    return [pod for pod in cluster.items(f"{CORE}/pods") if "deletionTimestamp" not in pod["metadata"]]


def runs(cluster: ControlPlane) -> dict[str, list[str]]:
    """Each pod's UID with the runs of its containers: what a restart would change."""
    return {
        pod["metadata"]["uid"]: [one["containerID"] for one in pod["status"]["containerStatuses"]]
        for pod in live(cluster)
    }


def protections(cluster: ControlPlane) -> list[str | None]:
    return [pod["metadata"]["labels"].get(PROTECTED) for pod in live(cluster)]


def until_ready(cluster: ControlPlane, plural: str, replicas: int) -> None:
    path = f"{APPS}/{plural}/{NAME}"
    wait_for(lambda: cluster.read(path)["status"].get("readyReplicas") == replicas, f"{replicas} pods", at_most_s=180)


def assert_guarded(cluster: ControlPlane) -> None:
    """Neither a delete nor an eviction nor a lower target ends a pod."""
    victim = live(cluster)[0]["metadata"]["name"]
    with pytest.raises(KubectlError, match="may carry calls"):
        cluster.kubectl("delete", "pod", "-n", NAMESPACE, victim)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": victim, "namespace": NAMESPACE}}
    with cluster.client("evictor", "system:masters") as client:
        wait_for(
            lambda: cluster.items(f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets")[0]["status"].get(
                "expectedPods"
            ),
            "the budget to have counted its pods",
        )
        assert client.post(f"{CORE}/pods/{victim}/eviction", json=eviction).status_code == 429


def assert_nothing_is_left(cluster: ControlPlane) -> None:
    """No label on a pod or in a template, no budget, no policy in force."""
    assert set(protections(cluster)) == {None}
    assert "calltide.io/retirement" not in cluster.read(CORE)["metadata"]["labels"]
    assert cluster.items(f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets") == []
    for plural in ("deployments", "statefulsets", "replicasets"):
        for one in cluster.items(f"{APPS}/{plural}"):
            assert PROTECTED not in one["spec"]["template"]["metadata"]["labels"], one["metadata"]["name"]
            assert not one["spec"].get("paused")


def test_a_deployment_is_adopted_and_leaves_under_calls(cluster: ControlPlane, telephony: Telephony) -> None:
    made = workloads.fleet(NAME, namespace=NAMESPACE, replicas=PODS, environment={})
    cluster.apply(made)
    until_ready(cluster, "deployments", PODS)
    addresses = {f"sip:{pod['status']['podIP']}:5060" for pod in live(cluster)}
    wait_for(
        lambda: all(
            addresses <= {uri for uri, flags in proxy_states(proxy).items() if flags == "AP"}
            for proxy in telephony.proxies()
        ),
        "the proxies to know them all",
        at_most_s=120,
    )
    before = runs(cluster)
    run = telephony.callers().start(CallPlan((Segment(NAME, 0.0, CALLS / 10.0, 10.0, HOLD_S),)))
    wait_for(lambda: run.so_far().up >= CALLS, f"{CALLS} calls to be up", at_most_s=60)

    calltide(cluster, "adopt", KEY, "--yes")
    assert protections(cluster) == ["true"] * PODS
    assert_guarded(cluster)
    calltide(cluster, "leave", KEY, "--yes")

    assert_nothing_is_left(cluster)
    assert run.so_far().up >= CALLS
    ledger = run.wait()
    assert runs(cluster) == before
    assert len(cluster.items(f"{APPS}/replicasets")) == 1
    assert_none_cut(ledger)


def test_the_next_pod_of_an_adopted_deployment_is_born_protected(cluster: ControlPlane) -> None:
    cluster.apply(fleets.deployment(NAME, image="pause", replicas=2, namespace=NAMESPACE))
    until_ready(cluster, "deployments", 2)
    before = runs(cluster)
    calltide(cluster, "adopt", KEY, "--yes")
    cluster.kubectl("scale", "-n", NAMESPACE, f"deployment/{NAME}", "--replicas=3")
    until_ready(cluster, "deployments", 3)
    assert protections(cluster) == ["true"] * 3
    calltide(cluster, "leave", KEY, "--yes")
    cluster.kubectl("scale", "-n", NAMESPACE, f"deployment/{NAME}", "--replicas=4")
    until_ready(cluster, "deployments", 4)
    assert_nothing_is_left(cluster)
    assert before.items() <= runs(cluster).items()


def test_a_stateful_set_is_adopted_and_leaves_and_keeps_its_pods(cluster: ControlPlane) -> None:
    made = as_stateful_set(fleets.deployment(NAME, image="pause", replicas=3, namespace=NAMESPACE))
    # As somebody has it who never heard of us.
    made["spec"]["updateStrategy"] = {"type": "RollingUpdate"}
    cluster.apply(made)
    until_ready(cluster, "statefulsets", 3)
    before = runs(cluster)
    calltide(cluster, "adopt", KEY, "--yes")
    assert_guarded(cluster)
    cluster.kubectl("scale", "-n", NAMESPACE, f"statefulset/{NAME}", "--replicas=4")
    until_ready(cluster, "statefulsets", 4)
    assert protections(cluster) == ["true"] * 4
    calltide(cluster, "leave", KEY, "--yes")
    assert_nothing_is_left(cluster)
    assert before.items() <= runs(cluster).items()


def test_a_fleet_whose_rollout_waits_for_its_calls_does_not_leave(cluster: ControlPlane) -> None:
    cluster.apply(fleets.deployment(NAME, image="pause", replicas=2, namespace=NAMESPACE))
    until_ready(cluster, "deployments", 2)
    before = runs(cluster)
    calltide(cluster, "adopt", KEY, "--yes")
    cluster.kubectl("rollout", "restart", "-n", NAMESPACE, f"deployment/{NAME}")
    wait_for(lambda: len(live(cluster)) == 4, "the new pods beside the old ones", at_most_s=60)
    with pytest.raises(AssertionError, match="where 2 are wanted"):
        calltide(cluster, "leave", KEY, "--yes")
    assert before.items() <= runs(cluster).items()


def test_the_line_for_the_day_without_calltide_gives_the_pods_back(cluster: ControlPlane) -> None:
    cluster.apply(fleets.deployment(NAME, image="pause", replicas=1, namespace=NAMESPACE))
    until_ready(cluster, "deployments", 1)
    said = calltide(cluster, "adopt", KEY, "--yes")
    line = next(line for line in said.splitlines() if "gives its pods back" in line)
    assert_guarded(cluster)
    (name,) = [pod["metadata"]["name"] for pod in live(cluster)]
    cluster.kubectl(*shlex.split(line.partition(": kubectl ")[2]))
    cluster.kubectl("delete", "pod", "-n", NAMESPACE, name)
    assert name not in [pod["metadata"]["name"] for pod in live(cluster)]
