"""`calltide doctor fleet` on a cluster: what is read, how it is told, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.servers import kube_fleet
from tests.servers import kube_objects as kube
from tests.servers.kube_by_name import KubeByName

Calltide = Callable[..., Result]
POLICY = """
apiVersion: calltide.io/v1
kind: Policy
metadata: {name: voice}
spec:
  history: {channels: 'sum by (tenant) (channels)'}
  capacity: {channelsPerPod: 100}
  maxPods: 80
"""


@pytest.fixture
def sound(cluster: KubeByName) -> KubeByName:
    """The fleet as it should be."""
    deployment = cluster.get("Deployment", "acme")
    deployment["spec"] |= {
        "template": kube_fleet.protected_template(deployment["spec"]["template"]),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
    }
    for pod in cluster.of_kind("Pod"):
        pod["metadata"]["labels"][kube_fleet.PROTECTED] = "true"
    cluster.put(kube_fleet.namespace(), kube_fleet.budget())
    return cluster


def found(ran: Result) -> list[tuple[str, str]]:
    return [(one["severity"], one["field"]) for one in json.loads(ran.stdout)["findings"]]


SURGE = ("note", "spec.strategy.rollingUpdate.maxSurge")


def test_a_sound_fleet_passes(sound: KubeByName, calltide: Calltide) -> None:
    ran = calltide("doctor", "fleet", "voice/acme", "--json")
    assert (ran.exit_code, found(ran)) == (0, [SURGE]), ran.output
    assert sound.writes == []


def test_what_cuts_calls_ends_with_1_and_names_object_field_and_remedy(sound: KubeByName, calltide: Calltide) -> None:
    sound.get("ScaledObject", "acme")["spec"]["minReplicaCount"] = 0
    ran = calltide("doctor", "fleet", "voice/acme")
    assert ran.exit_code == 1
    first, what, fix, *_ = ran.stdout.splitlines()
    assert first.split() == ["cuts", "calls", "ScaledObject", "voice/acme", "spec.minReplicaCount"]
    assert (what.strip().startswith("below 1 KEDA scales to zero"), fix.strip()) == (True, "Set it to 1 or more.")


def test_what_only_misses_peaks_ends_with_0(sound: KubeByName, calltide: Calltide) -> None:
    sound.get("ScaledObject", "acme")["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleUp"].pop(
        "tolerance"
    )
    ran = calltide("doctor", "fleet", "voice/acme", "--json")
    assert ran.exit_code == 0
    assert ("misses peaks", "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.tolerance") in found(ran)


def test_every_pod_of_the_fleet_is_looked_at_and_none_of_another(sound: KubeByName, calltide: Calltide) -> None:
    del sound.get("Pod", "acme-7")["metadata"]["labels"][kube_fleet.PROTECTED]
    namesake = kube.pod("web-1", owner=("ReplicaSet", "web"), ready_after_s=1)
    namesake["metadata"]["labels"]["app"] = "acme"
    sound.put(namesake)
    ran = calltide("doctor", "fleet", "voice/acme", "--json")
    objects = [one["object"] for one in json.loads(ran.stdout)["findings"] if one["severity"] == "cuts calls"]
    assert objects == ["Pod voice/acme-7"]


def test_the_policy_says_how_many_pods_there_must_be_room_for(
    sound: KubeByName, calltide: Calltide, tmp_path: Path
) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "voice.yaml").write_text(POLICY, encoding="utf-8")
    ran = calltide("doctor", "fleet", "voice/acme", "--json", "--policies", tmp_path / "policies")
    assert ("misses peaks", "spec.maxReplicaCount") in found(ran), ran.output
    assert ("misses peaks", "spec.retirement.frontGates") in found(ran)


def test_services_that_are_gates_are_looked_at(sound: KubeByName, calltide: Calltide) -> None:
    sound.put(kube_fleet.service())
    ran = calltide("doctor", "fleet", "voice/acme", "--json")
    assert ("misses peaks", "spec.template.metadata.labels[calltide.io/gate]") in found(ran), ran.output
    other = calltide("doctor", "fleet", "voice/acme", "--json", "--gate-label", "example.com/calls")
    assert found(other) == [SURGE]


def test_what_may_not_be_read_is_a_finding(sound: KubeByName, calltide: Calltide) -> None:
    path = "/apis/policy/v1/namespaces/voice/poddisruptionbudgets"
    sound.refused[f"GET {path}"] = (403, "you may not")
    ran = calltide("doctor", "fleet", "voice/acme", "--json")
    assert found(ran) == [SURGE, ("note", "")]


def test_the_longest_call_is_what_grace_is_measured_by(sound: KubeByName, calltide: Calltide) -> None:
    grace = ("cuts calls", "spec.template.spec.terminationGracePeriodSeconds")
    longer = calltide("doctor", "fleet", "voice/acme", "--json", "--longest-call", "3h")
    assert (longer.exit_code, grace in found(longer)) == (1, True)
    assert calltide("doctor", "fleet", "voice/acme", "--longest-call", "long").exit_code == 2


def test_a_fleet_that_is_not_there_is_told_with_near_names(calltide: Calltide) -> None:
    ran = calltide("doctor", "fleet", "voice/acmee")
    assert (ran.exit_code, "Did you mean voice/acme?" in ran.stderr) == (5, True)
