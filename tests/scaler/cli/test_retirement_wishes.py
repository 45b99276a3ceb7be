"""`calltide drain` and `calltide recall`: a wish on the pod, or a clear no."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from scaler.cli.main import app
from tests.servers import kube_objects as kube
from tests.servers.kube_by_name import KubeByName

Calltide = Callable[..., Result]
WISH, STATE = "calltide.io/wish", "calltide.io/state"
POD = "/api/v1/namespaces/voice/pods/acme-3"


def annotations(cluster: KubeByName, name: str = "acme-3") -> dict[str, str]:
    return cluster.get("Pod", name)["metadata"]["annotations"]


@pytest.mark.parametrize(("options", "wish"), [((), "drain"), (("--replace",), "replace")])
def test_a_drain_writes_the_wish_and_says_what_follows(
    cluster: KubeByName, calltide: Calltide, options: tuple[str, ...], wish: str
) -> None:
    ran = calltide("drain", "voice/acme-3", *options)
    assert ran.exit_code == 0, ran.output
    assert annotations(cluster)[WISH] == wish
    assert f"kubectl annotate pod -n voice acme-3 --overwrite {WISH}={wish}" in ran.stdout
    assert "Its calls go on until they end." in ran.stdout
    assert [path for _, path, _ in cluster.writes] == [POD]


def test_a_wish_is_for_this_pod_and_not_for_the_next_of_its_name(cluster: KubeByName, calltide: Calltide) -> None:
    calltide("drain", "acme-3", "-n", "voice")
    (_, _, body) = cluster.writes[0]
    assert body["metadata"]["uid"] == cluster.get("Pod", "acme-3")["metadata"]["uid"]


def test_a_pod_that_is_not_there_is_told_with_near_names(cluster: KubeByName, calltide: Calltide) -> None:
    ran = calltide("drain", "voice/acme-33")
    assert ran.exit_code == 5
    assert "There is no pod 'acme-33'. Did you mean acme-" in ran.stderr
    assert cluster.writes == []


def test_a_pod_of_no_fleet_is_refused(cluster: KubeByName, calltide: Calltide) -> None:
    cluster.put(kube.pod("web-1", owner=("ReplicaSet", "web"), ready_after_s=1))
    job = kube.pod("job-1", owner=("Job", "job"), ready_after_s=1)
    cluster.put(job)
    for name in ("web-1", "job-1"):
        ran = calltide("drain", f"voice/{name}")
        assert ran.exit_code == 1
        assert "belongs to no fleet of calltide" in ran.stderr
    assert cluster.writes == []


def test_a_workload_that_something_else_scales_is_no_fleet_of_calltide(cluster: KubeByName, calltide: Calltide) -> None:
    cluster.get("ScaledObject", "acme")["spec"]["triggers"] = [{"type": "cpu", "metadata": {"value": "60"}}]
    assert calltide("drain", "voice/acme-3").exit_code == 1
    assert cluster.writes == []


def test_a_pod_of_a_listed_fleet_is_known_by_its_protection(cluster: KubeByName, calltide: Calltide) -> None:
    del cluster.objects["/apis/keda.sh/v1alpha1/namespaces/voice/scaledobjects/acme"]
    assert calltide("drain", "voice/acme-3").exit_code == 1
    cluster.put(kube.pod("acme-3", ready_after_s=40, protected="true"))
    assert calltide("drain", "voice/acme-3").exit_code == 0


@pytest.mark.parametrize("command", ["drain", "recall"])
@pytest.mark.parametrize(
    ("pod", "why"),
    [
        ({"deleting": True}, "terminating already"),
        ({"phase": "Succeeded"}, "has ended already"),
        ({"state": "released"}, "is released"),
    ],
)
def test_a_pod_past_wishing_is_refused(
    cluster: KubeByName, calltide: Calltide, command: str, pod: dict, why: str
) -> None:
    cluster.put(kube.pod("acme-3", ready_after_s=40, **pod))
    ran = calltide(command, "voice/acme-3")
    assert (ran.exit_code, why in ran.stderr) == (1, True), ran.stderr
    assert cluster.writes == []


def test_a_pod_that_drains_is_recalled(cluster: KubeByName, calltide: Calltide) -> None:
    cluster.put(kube.pod("acme-3", ready_after_s=40, state="draining"))
    ran = calltide("recall", "voice/acme-3")
    assert ran.exit_code == 0, ran.output
    assert annotations(cluster)[WISH] == "recall"


def test_a_wish_that_was_not_acted_on_yet_is_taken_back(cluster: KubeByName, calltide: Calltide) -> None:
    calltide("drain", "voice/acme-3")
    ran = calltide("recall", "voice/acme-3")
    assert "the wish is taken back" in ran.stdout
    assert WISH not in annotations(cluster)
    assert "nothing to take back" in calltide("recall", "voice/acme-3").stdout


def test_a_state_that_means_nothing_is_taken_off(cluster: KubeByName, calltide: Calltide) -> None:
    cluster.put(kube.pod("acme-3", ready_after_s=40, state="drainign"))
    ran = calltide("recall", "voice/acme-3")
    assert ran.exit_code == 0
    assert "'drainign'" in ran.stdout
    assert STATE not in annotations(cluster)


def test_who_may_not_is_told_so_with_the_server_s_words(cluster: KubeByName, calltide: Calltide) -> None:
    cluster.refused[f"PATCH {POD}"] = (403, 'pods "acme-3" is forbidden: User "alice" cannot patch')
    ran = calltide("drain", "voice/acme-3")
    assert ran.exit_code == 1
    assert 'User "alice" cannot patch' in ran.stderr


def test_a_cluster_that_is_away_ends_the_command_at_once(cluster: KubeByName, tmp_path: Path) -> None:
    cluster.url = "http://127.0.0.1:9"
    away = str(cluster.kubeconfig(tmp_path))
    ran = CliRunner().invoke(app, ["drain", "voice/acme-3", "--kubeconfig", away])
    assert ran.exit_code == 4
    assert "The cluster does not answer" in ran.stderr


def test_two_namespaces_for_one_pod_are_a_contradiction(calltide: Calltide) -> None:
    ran = calltide("drain", "voice/acme-3", "-n", "other")
    assert ran.exit_code == 1
    assert "leave one of them out" in ran.stderr
