"""`calltide adopt` and `calltide leave` on a live fleet: what is written in which order, and what is refused.

That the real controllers restart nothing is shown in tests/e2e/test_adopting.py.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from scaler.cli.main import app
from tests.servers import kube_fleet
from tests.servers import kube_objects as kube
from tests.servers.kube_by_name import KubeByName, serving

Calltide = Callable[..., Result]
PROTECTED = "calltide.io/protected"
SET = "/apis/apps/v1/namespaces/voice/replicasets/acme-7b9"
POD = "/api/v1/namespaces/voice/pods/acme-3"


def labels(cluster: KubeByName) -> list[str | None]:
    return [pod["metadata"]["labels"].get(PROTECTED) for pod in cluster.of_kind("Pod")]


def template_of(cluster: KubeByName, kind: str = "Deployment", name: str = "acme") -> dict:
    return cluster.get(kind, name)["spec"]["template"]["metadata"]


def written(cluster: KubeByName) -> list[str]:
    """What was written to, in order, without repetition."""
    paths = [path.rpartition("/")[2 if "pods/" not in path else 0] for _, path, _ in cluster.writes]
    return [path for i, path in enumerate(paths) if i == 0 or path != paths[i - 1]]


def untouched(cluster: KubeByName) -> dict:
    return copy.deepcopy(cluster.objects)


@pytest.fixture
def calltide_on(tmp_path: Path) -> Callable[[KubeByName], Calltide]:
    def on(cluster: KubeByName) -> Calltide:
        environment = {"KUBECONFIG": str(cluster.kubeconfig(tmp_path)), "COLUMNS": "200"}
        return lambda *arguments: CliRunner().invoke(app, list(arguments), env=environment)

    return on


def test_adopting_protects_pods_then_guards_then_the_template_and_rolls_nothing(
    cluster: KubeByName, calltide: Calltide
) -> None:
    ran = calltide("adopt", "voice/acme", "--yes")
    assert ran.exit_code == 0, ran.output
    assert labels(cluster) == ["true"] * 10
    assert cluster.get("Namespace", "voice", "")["metadata"]["labels"]["calltide.io/retirement"] == "enabled"
    assert template_of(cluster)["labels"][PROTECTED] == "true"
    assert template_of(cluster, "ReplicaSet", "acme-7b9")["labels"][PROTECTED] == "true"
    assert [one["metadata"]["name"] for one in cluster.of_kind("ReplicaSet")] == ["acme-7b9"]
    assert "paused" not in cluster.get("Deployment", "acme")["spec"]
    pods = "/api/v1/namespaces/voice/pods"
    assert written(cluster) == [pods, "poddisruptionbudgets", "voice", "acme", "acme-7b9", "acme"]


def test_the_budget_that_is_made_is_the_one_of_the_manifests(cluster: KubeByName, calltide: Calltide) -> None:
    calltide("adopt", "voice/acme", "--yes")
    (made,) = cluster.of_kind("PodDisruptionBudget")
    assert made["metadata"]["name"] == kube_fleet.budget()["metadata"]["name"]
    assert made["spec"] == kube_fleet.budget()["spec"]


def test_adopting_twice_is_adopting_once(cluster: KubeByName, calltide: Calltide) -> None:
    calltide("adopt", "voice/acme", "--yes")
    before = untouched(cluster)
    ran = calltide("adopt", "voice/acme", "--yes")
    assert ran.exit_code == 0
    assert "There is nothing to do." in ran.stdout
    assert cluster.objects == before


def test_without_a_yes_the_steps_are_shown_and_nothing_is_done(cluster: KubeByName, calltide: Calltide) -> None:
    ran = calltide("adopt", "voice/acme")
    assert ran.exit_code == 2
    assert "1. Label 10 running pods" in ran.stdout
    assert "calltide adopt voice/acme --yes" in ran.stderr
    assert cluster.writes == []


def test_leaving_undoes_all_of_it_template_first_and_rolls_nothing(cluster: KubeByName, calltide: Calltide) -> None:
    before = untouched(cluster)
    calltide("adopt", "voice/acme", "--yes")
    cluster.writes.clear()
    ran = calltide("leave", "voice/acme", "--yes")
    assert ran.exit_code == 0, ran.output
    assert written(cluster)[:3] == ["acme", "acme-7b9", "acme"]
    for path, item in before.items():
        assert _bare(cluster.objects[path]) == _bare(item), path
    assert cluster.objects.keys() == before.keys()


def _bare(item: dict) -> dict:
    """Without what every write changes, and what the API server takes for nothing."""
    bare = copy.deepcopy(item)
    for field in ("resourceVersion", "generation"):
        bare["metadata"].pop(field, None)
    bare.get("status", {}).pop("observedGeneration", None)
    template = bare.get("spec", {}).get("template", {})
    if template.get("metadata", {}).get("annotations") == {}:
        del template["metadata"]["annotations"]
    return bare


def test_a_stateful_set_is_changed_in_one_write_that_also_stops_its_own_rollouts(
    calltide_on: Callable[[KubeByName], Calltide],
) -> None:
    with serving(kube_fleet.live("StatefulSet", pods=3)) as cluster:
        ran = calltide_on(cluster)("adopt", "voice/acme", "--yes")
        assert ran.exit_code == 0, ran.output
        (body,) = [body for _, path, body in cluster.writes if path.endswith("/statefulsets/acme")]
        assert body["spec"]["updateStrategy"] == {"type": "OnDelete", "rollingUpdate": None}
        assert template_of(cluster, "StatefulSet")["labels"][PROTECTED] == "true"
        ran = calltide_on(cluster)("leave", "voice/acme", "--yes")
        assert ran.exit_code == 0, ran.output
        assert labels(cluster) == [None] * 3
        assert PROTECTED not in template_of(cluster, "StatefulSet")["labels"]


def test_a_template_of_the_chart_s_own_is_left_to_the_chart(cluster: KubeByName, calltide: Calltide) -> None:
    ran = calltide("adopt", "voice/acme", "--yes", "--no-template")
    assert ran.exit_code == 0, ran.output
    assert labels(cluster) == ["true"] * 10
    assert PROTECTED not in template_of(cluster)["labels"]
    assert f'Until the pod template has the label {PROTECTED}: "true"' in ran.stdout


def test_annotations_that_were_there_before_stay_when_the_fleet_leaves(cluster: KubeByName, calltide: Calltide) -> None:
    for kind, name in (("Deployment", "acme"), ("ReplicaSet", "acme-7b9")):
        template_of(cluster, kind, name)["annotations"] = {"karpenter.sh/do-not-disrupt": "true"}
    calltide("adopt", "voice/acme", "--yes")
    calltide("leave", "voice/acme", "--yes")
    assert template_of(cluster)["annotations"] == {"karpenter.sh/do-not-disrupt": "true"}


def test_without_the_policies_nothing_is_adopted(cluster: KubeByName, calltide: Calltide) -> None:
    for path in [path for path in cluster.objects if "validatingadmission" in path]:
        del cluster.objects[path]
    ran = calltide("adopt", "voice/acme", "--yes")
    assert ran.exit_code == 1
    assert "kubectl apply -f deploy/70-admission.yaml" in ran.stderr
    assert cluster.writes == []


def test_policies_that_may_not_be_read_are_not_taken_for_there(cluster: KubeByName, calltide: Calltide) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    cluster.refused[f"GET {path}"] = (403, "you may not list policies")
    ran = calltide("adopt", "voice/acme", "--yes")
    assert (ran.exit_code, "you may not list policies" in ran.stderr) == (1, True)
    assert cluster.writes == []


def _paused(cluster: KubeByName) -> None:
    cluster.get("Deployment", "acme")["spec"]["paused"] = True


def _rolling(cluster: KubeByName) -> None:
    old = kube.replica_set(hash_="old", revision=0)
    old["metadata"]["labels"]["app"] = "acme"
    cluster.put(old)


def _not_seen(cluster: KubeByName) -> None:
    cluster.get("Deployment", "acme")["metadata"]["generation"] = 7


@pytest.mark.parametrize(
    ("trouble", "why"),
    [(_paused, "it is paused"), (_rolling, "a rollout is under way"), (_not_seen, "has not seen its last change")],
)
def test_a_template_is_not_touched_while_something_else_happens_to_it(
    cluster: KubeByName, calltide: Calltide, trouble: Callable[[KubeByName], None], why: str
) -> None:
    trouble(cluster)
    ran = calltide("adopt", "voice/acme", "--yes")
    assert (ran.exit_code, why in ran.stderr, cluster.writes) == (1, True, []), ran.stderr


def test_an_adoption_that_broke_off_is_gone_on_with(cluster: KubeByName, calltide: Calltide) -> None:
    cluster.refused[f"PATCH {SET}"] = (500, "etcd has no leader")
    ran = calltide("adopt", "voice/acme", "--yes")
    assert (ran.exit_code, "etcd has no leader" in ran.stderr) == (1, True)
    assert cluster.get("Deployment", "acme")["spec"]["paused"] is True
    cluster.refused.clear()
    ran = calltide("adopt", "voice/acme", "--yes")
    assert ran.exit_code == 0, ran.output
    assert "paused" not in cluster.get("Deployment", "acme")["spec"]
    assert len(cluster.of_kind("ReplicaSet")) == 1


def test_a_rollout_that_begins_all_the_same_keeps_the_fleet_from_leaving(
    cluster: KubeByName, calltide: Calltide
) -> None:
    calltide("adopt", "voice/acme", "--yes")

    def somebody_else(cluster: KubeByName) -> None:
        # A deploy of the chart in the same moment.
        cluster.get("Deployment", "acme")["spec"]["template"]["spec"]["containers"][0]["image"] = "asterisk:23"

    cluster.controllers.insert(0, somebody_else)
    ran = calltide("leave", "voice/acme", "--yes")
    assert ran.exit_code == 1
    assert "a rollout has begun" in ran.stderr
    assert labels(cluster) == ["true"] * 10
    assert cluster.get("Namespace", "voice", "")["metadata"]["labels"]["calltide.io/retirement"] == "enabled"


def _surplus(cluster: KubeByName) -> None:
    cluster.get("Deployment", "acme")["spec"]["replicas"] = 8


def _draining(cluster: KubeByName) -> None:
    cluster.get("Pod", "acme-3")["metadata"]["annotations"]["calltide.io/state"] = "draining"


def _maximum(cluster: KubeByName) -> None:
    cluster.get("ScaledObject", "acme")["spec"]["maxReplicaCount"] = 9


def _scales_in(cluster: KubeByName) -> None:
    scaled = cluster.get("ScaledObject", "acme")["spec"]
    scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["selectPolicy"] = "Max"


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (_surplus, "10 pods stand where 8 are wanted"),
        (_rolling, "a rollout is under way"),
        (_draining, "acme-3 take no new calls"),
        (_maximum, "spec.maxReplicaCount"),
        (_scales_in, "scaleDown.selectPolicy"),
    ],
)
def test_a_fleet_does_not_leave_while_that_would_end_a_pod(
    cluster: KubeByName, calltide: Calltide, trouble: Callable[[KubeByName], None], why: str
) -> None:
    calltide("adopt", "voice/acme", "--yes")
    cluster.writes.clear()
    trouble(cluster)
    ran = calltide("leave", "voice/acme", "--yes")
    assert (ran.exit_code, why in ran.stderr, cluster.writes) == (1, True, []), ran.stderr
    assert labels(cluster) == ["true"] * 10


def test_what_comes_up_while_the_template_changes_still_keeps_the_fleet(
    cluster: KubeByName, calltide: Calltide
) -> None:
    calltide("adopt", "voice/acme", "--yes")
    cluster.controllers.append(_draining)
    ran = calltide("leave", "voice/acme", "--yes")
    assert (ran.exit_code, "voice/acme is still protected" in ran.stderr) == (1, True)
    assert labels(cluster) == ["true"] * 10
    assert cluster.of_kind("PodDisruptionBudget") != []


def test_the_namespace_stays_guarded_for_its_other_fleets(cluster: KubeByName, calltide: Calltide) -> None:
    calltide("adopt", "voice/acme", "--yes")
    cluster.put(kube.pod("initech-5c-x", owner=("ReplicaSet", "initech-5c"), ready_after_s=40, protected="true"))
    ran = calltide("leave", "voice/acme", "--yes")
    assert ran.exit_code == 0, ran.output
    assert "stay, for pod initech-5c-x" in ran.stdout
    assert cluster.get("Namespace", "voice", "")["metadata"]["labels"]["calltide.io/retirement"] == "enabled"
    assert cluster.of_kind("PodDisruptionBudget") != []
    assert sorted(map(str, labels(cluster))) == ["None"] * 10 + ["true"]


def test_who_may_not_take_protection_off_is_told_who_may(cluster: KubeByName, calltide: Calltide) -> None:
    calltide("adopt", "voice/acme", "--yes")
    cluster.put(kube.pod("initech-5c-x", owner=("ReplicaSet", "initech-5c"), ready_after_s=40, protected="true"))
    cluster.refused[f"PATCH {POD}"] = (403, "pod acme-3 is protected while it may carry calls")
    ran = calltide("leave", "voice/acme", "--yes")
    assert ran.exit_code == 1
    assert "the verb `retire` on `pods.calltide.io`" in ran.stderr


def test_the_line_for_the_day_without_calltide_names_the_fleet_s_own_pods(
    cluster: KubeByName, calltide: Calltide
) -> None:
    ran = calltide("adopt", "voice/acme", "--yes")
    assert f"kubectl label pods -n voice -l 'app=acme' {PROTECTED}-" in ran.stdout
