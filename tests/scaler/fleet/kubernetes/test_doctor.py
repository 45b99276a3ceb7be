"""Each finding of the doctor: a fleet as it should be gives none, and one thing wrong with it gives that one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest

from scaler.core.fleets import FleetKey
from scaler.fleet.kubernetes.doctor import examine
from scaler.fleet.kubernetes.doctor.findings import FleetObjects, Severity
from scaler.fleet.kubernetes.doctor.gates import GATE_LABEL
from scaler.fleet.kubernetes.doctor.guards import POLICIES
from scaler.policy.model import RetirementSpec
from tests.servers import kube_fleet
from tests.servers import kube_objects as kube

CUTS, MISSES, NOTE = Severity.CUTS_CALLS, Severity.MISSES_PEAKS, Severity.NOTE
SIGNS_IN = {"httpGet": {"path": "/", "port": 8088, "httpHeaders": [{"name": "Authorization", "value": "Basic eA=="}]}}
BEHAVIOR = "spec.advanced.horizontalPodAutoscalerConfig.behavior"
Break = Callable[[FleetObjects], object]


def good(kind: str = "Deployment") -> FleetObjects:
    made = kube.stateful_set() if kind == "StatefulSet" else kube.deployment()
    made["spec"] |= {
        "template": kube_fleet.protected_template(made["spec"]["template"]),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "100%"}},
        "updateStrategy": {"type": "OnDelete"},
        "podManagementPolicy": "Parallel",
    }
    scaled = kube_fleet.scaled_object()
    scaled["spec"]["scaleTargetRef"]["kind"] = kind
    hpa = kube.hpa()
    hpa["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "acme", "controller": True}]
    hpa["spec"]["scaleTargetRef"]["kind"] = kind
    policies, bindings = kube_fleet.admission()
    return FleetObjects(
        key=FleetKey("voice", "acme"),
        kind=kind,
        workload=made,
        scaled_object=scaled,
        pods=[kube.pod(f"acme-{i}", ready_after_s=40, protected="true") for i in range(2)],
        hpas=[hpa],
        budgets=[kube_fleet.budget()],
        namespace=kube_fleet.namespace(),
        policies=policies,
        bindings=bindings,
        policy_maximum=60,
    )


def told(fleet: FleetObjects) -> list[tuple[Severity, str, str]]:
    """What is found besides the note that every Deployment gets."""
    every = [(one.severity, one.object, one.field) for one in examine(fleet)]
    return [one for one in every if not one[2].endswith("maxSurge")]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_fleet_that_is_as_it_should_be_gives_no_finding(kind: str) -> None:
    assert told(good(kind)) == []


def test_every_deployment_is_told_that_a_rollout_may_double_it() -> None:
    assert [(one.severity, one.field) for one in examine(good())] == [
        (NOTE, "spec.strategy.rollingUpdate.maxSurge"),
    ]


def scaled(change: Callable[[dict], object]) -> Break:
    return lambda fleet: change(fleet.scaled_object)


def spec(**fields: object) -> Break:
    return lambda fleet: fleet.scaled_object["spec"].update(fields)


def behavior(way: str, **fields: object) -> Break:
    where = ("advanced", "horizontalPodAutoscalerConfig", "behavior", way)

    def change(fleet: FleetObjects) -> None:
        item = fleet.scaled_object["spec"]
        for step in where:
            item = item[step]
        item.update(fields)
        for name in [name for name, value in fields.items() if value is None]:
            del item[name]

    return change


def annotated(name: str, value: str) -> Break:
    return lambda fleet: fleet.scaled_object["metadata"].setdefault("annotations", {}).update({name: value})


def template(change: Callable[[dict], object]) -> Break:
    return lambda fleet: change(fleet.workload["spec"]["template"])


def managed(manager: str, **more: str) -> Break:
    entry = {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}} | more
    return lambda fleet: fleet.workload["metadata"].update(managedFields=[entry])


SCALED, WORKLOAD = "ScaledObject voice/acme", "Deployment voice/acme"
CASES: list[tuple[Break, Severity, str, str]] = [
    (spec(minReplicaCount=0), CUTS, SCALED, "spec.minReplicaCount"),
    (scaled(lambda item: item["spec"].pop("minReplicaCount")), CUTS, SCALED, "spec.minReplicaCount"),
    (spec(maxReplicaCount=59), MISSES, SCALED, "spec.maxReplicaCount"),
    (behavior("scaleDown", selectPolicy="Max"), CUTS, SCALED, f"{BEHAVIOR}.scaleDown.selectPolicy"),
    (behavior("scaleDown", selectPolicy=None), CUTS, SCALED, f"{BEHAVIOR}.scaleDown.selectPolicy"),
    (behavior("scaleUp", selectPolicy="Disabled"), MISSES, SCALED, f"{BEHAVIOR}.scaleUp.selectPolicy"),
    (behavior("scaleUp", tolerance=None), MISSES, SCALED, f"{BEHAVIOR}.scaleUp.tolerance"),
    (behavior("scaleUp", tolerance="100m"), MISSES, SCALED, f"{BEHAVIOR}.scaleUp.tolerance"),
    (behavior("scaleDown", tolerance=None), NOTE, SCALED, f"{BEHAVIOR}.scaleDown.tolerance"),
    (spec(fallback={"failureThreshold": 3, "replicas": 2}), CUTS, SCALED, "spec.fallback"),
    (
        scaled(lambda item: item["spec"]["advanced"].update(restoreToOriginalReplicaCount=True)),
        CUTS,
        SCALED,
        "spec.advanced.restoreToOriginalReplicaCount",
    ),
    (spec(idleReplicaCount=0, cooldownPeriod=300), CUTS, SCALED, "spec.idleReplicaCount"),
    (
        annotated("autoscaling.keda.sh/paused", "true"),
        MISSES,
        SCALED,
        "metadata.annotations[autoscaling.keda.sh/paused]",
    ),
    (
        annotated("autoscaling.keda.sh/paused-replicas", "1"),
        CUTS,
        SCALED,
        "metadata.annotations[autoscaling.keda.sh/paused-replicas]",
    ),
    (
        annotated("autoscaling.keda.sh/paused-replicas", "5"),
        MISSES,
        SCALED,
        "metadata.annotations[autoscaling.keda.sh/paused-replicas]",
    ),
    (managed("argocd-controller"), CUTS, WORKLOAD, "spec.replicas"),
    (managed("helm"), CUTS, WORKLOAD, "spec.replicas"),
    (managed("kubectl-client-side-apply"), CUTS, WORKLOAD, "spec.replicas"),
    (managed("kubectl-create"), NOTE, WORKLOAD, "spec.replicas"),
    (
        lambda fleet: fleet.workload["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1),
        CUTS,
        WORKLOAD,
        "spec.strategy.rollingUpdate.maxUnavailable",
    ),
    (lambda fleet: fleet.workload["spec"].update(strategy={"type": "Recreate"}), CUTS, WORKLOAD, "spec.strategy.type"),
    (lambda fleet: fleet.workload["spec"].update(paused=True), NOTE, WORKLOAD, "spec.paused"),
    (
        template(lambda item: item["metadata"]["labels"].update({kube_fleet.PROTECTED: "false"})),
        CUTS,
        WORKLOAD,
        "spec.template.metadata.labels[calltide.io/protected]",
    ),
    (
        template(lambda item: item["metadata"]["annotations"].pop("karpenter.sh/do-not-disrupt")),
        NOTE,
        WORKLOAD,
        "spec.template.metadata.annotations[karpenter.sh/do-not-disrupt]",
    ),
    (
        template(
            lambda item: item["metadata"]["annotations"].update(
                {"cluster-autoscaler.kubernetes.io/safe-to-evict": "no"},
            )
        ),
        NOTE,
        WORKLOAD,
        "spec.template.metadata.annotations[cluster-autoscaler.kubernetes.io/safe-to-evict]",
    ),
    (
        template(lambda item: item["spec"].update(terminationGracePeriodSeconds=3599)),
        CUTS,
        WORKLOAD,
        "spec.template.spec.terminationGracePeriodSeconds",
    ),
    (
        template(lambda item: item["spec"].pop("terminationGracePeriodSeconds")),
        CUTS,
        WORKLOAD,
        "spec.template.spec.terminationGracePeriodSeconds",
    ),
    (
        template(lambda item: item["spec"]["containers"][0].pop("lifecycle")),
        CUTS,
        WORKLOAD,
        "spec.template.spec.containers[].lifecycle.preStop",
    ),
    (
        template(lambda item: item["spec"]["tolerations"][0].update(tolerationSeconds=300)),
        CUTS,
        WORKLOAD,
        "spec.template.spec.tolerations",
    ),
    (template(lambda item: item["spec"]["tolerations"].pop()), CUTS, WORKLOAD, "spec.template.spec.tolerations"),
    (
        template(lambda item: item["spec"]["containers"][0].update(livenessProbe={"tcpSocket": {"port": 5060}})),
        NOTE,
        WORKLOAD,
        "spec.template.spec.containers[asterisk].livenessProbe",
    ),
    (
        template(lambda item: item["spec"]["containers"][0].update(readinessProbe=SIGNS_IN)),
        MISSES,
        WORKLOAD,
        "spec.template.spec.containers[asterisk].readinessProbe.httpGet.httpHeaders",
    ),
    (
        lambda fleet: fleet.namespace["metadata"]["labels"].pop("calltide.io/retirement"),
        CUTS,
        "Namespace voice",
        "metadata.labels[calltide.io/retirement]",
    ),
    (lambda fleet: fleet.budgets.clear(), CUTS, "PodDisruptionBudget voice", "spec.selector"),
    (
        lambda fleet: fleet.budgets[0]["spec"].update(minAvailable=2),
        CUTS,
        "PodDisruptionBudget voice/calltide-protected",
        "spec.minAvailable",
    ),
    (
        lambda fleet: fleet.budgets[0]["spec"]["selector"].update(
            matchExpressions=[{"key": kube_fleet.PROTECTED, "operator": "In", "values": ["true"]}]
        ),
        CUTS,
        "PodDisruptionBudget voice",
        "spec.selector",
    ),
    (
        lambda fleet: fleet.pods[1]["metadata"]["labels"].pop(kube_fleet.PROTECTED),
        CUTS,
        "Pod voice/acme-1",
        "metadata.labels[calltide.io/protected]",
    ),
]


@pytest.mark.parametrize(("broken", "severity", "about", "field"), CASES, ids=[case[3] for case in CASES])
def test_one_thing_wrong_is_the_one_thing_found(broken: Break, severity: Severity, about: str, field: str) -> None:
    fleet = good()
    broken(fleet)
    assert told(fleet) == [(severity, about, field)]


def test_a_maximum_below_what_stands_cuts_calls() -> None:
    fleet = good()
    fleet.scaled_object["spec"]["maxReplicaCount"] = 1
    found = told(replace(fleet, policy_maximum=None))
    assert found == [(CUTS, SCALED, "spec.maxReplicaCount")]


def test_a_second_budget_over_the_pods_is_found_with_both_names() -> None:
    second = copy.deepcopy(kube_fleet.budget())
    second["metadata"]["name"] = "chart"
    second["spec"]["selector"] = {"matchLabels": {"app": "acme"}}
    fleet = replace(good(), budgets=[kube_fleet.budget(), second])
    assert told(fleet) == [(NOTE, "PodDisruptionBudget voice/calltide-protected, chart", "spec.selector")]


@pytest.mark.parametrize("mode", ["Auto", "Recreate", "InPlaceOrRecreate", None])
def test_a_vpa_that_restarts_pods_cuts_calls(mode: str | None) -> None:
    policy = {} if mode is None else {"updatePolicy": {"updateMode": mode}}
    vpa = {"metadata": {"name": "size"}, "spec": {"targetRef": {"kind": "Deployment", "name": "acme"}} | policy}
    found = told(replace(good(), vpas=[vpa]))
    assert found == [(CUTS, "VerticalPodAutoscaler voice/size", "spec.updatePolicy.updateMode")]


def test_a_vpa_that_sizes_new_pods_only_or_other_workloads_is_fine() -> None:
    target = {"kind": "Deployment", "name": "acme"}
    initial = {"metadata": {"name": "a"}, "spec": {"targetRef": target, "updatePolicy": {"updateMode": "Initial"}}}
    other = {"metadata": {"name": "b"}, "spec": {"targetRef": target | {"name": "web"}}}
    assert told(replace(good(), vpas=[initial, other])) == []


def test_another_hpa_on_the_workload_cuts_calls() -> None:
    second = kube.hpa("second")
    second["spec"]["scaleTargetRef"]["name"] = "acme"
    fleet = replace(good(), hpas=[*good().hpas, second])
    assert told(fleet) == [(CUTS, "HorizontalPodAutoscaler voice/keda-hpa-second", "spec.scaleTargetRef")]


def test_a_number_that_is_written_as_a_scale_is_nobody_s_file() -> None:
    for manager in ("kube-controller-manager", "keda", "calltide"):
        fleet = good()
        managed(manager, subresource="scale")(fleet)
        assert told(fleet) == []


def behind_a_gate(**gate: str | None) -> FleetObjects:
    """A fleet whose calls come by a Service that is a gate. `gate` changes the label in one place."""
    fleet = good()
    selector, pods = {"app": "acme"}, {"app": "acme", GATE_LABEL: "open"}
    fleet.workload["spec"]["selector"] = {"matchLabels": selector | {GATE_LABEL: gate["owner"]} if gate else selector}
    fleet.workload["spec"]["template"]["metadata"]["labels"] |= pods
    return replace(fleet, services=[kube_fleet.service()])


def test_a_service_that_is_a_gate_as_it_should_be_gives_no_finding() -> None:
    assert told(behind_a_gate()) == []


def test_pods_that_the_service_of_the_gate_does_not_lead_to_miss_peaks() -> None:
    fleet = behind_a_gate()
    for labels in ({"app": "acme"}, {"app": "acme", GATE_LABEL: "shut"}):
        fleet.workload["spec"]["template"]["metadata"]["labels"] = labels | {kube_fleet.PROTECTED: "true"}
        assert told(fleet) == [(MISSES, WORKLOAD, "spec.template.metadata.labels[calltide.io/gate]")]


def test_a_workload_that_lets_go_of_a_pod_whose_gate_is_shut_cuts_calls() -> None:
    found = told(behind_a_gate(owner="open"))
    assert found == [(CUTS, WORKLOAD, "spec.selector.matchLabels[calltide.io/gate]")]


def test_a_second_service_without_the_label_is_told_beside_one_that_has_it_and_no_other() -> None:
    fleet, headless = behind_a_gate(), kube_fleet.service()
    headless["metadata"]["name"] = "headless"
    del headless["spec"]["selector"][GATE_LABEL]
    web = {"metadata": {"name": "web", "namespace": "voice"}, "spec": {"selector": {"app": "web"}}}
    by_hand = {"metadata": {"name": "by-hand", "namespace": "voice"}, "spec": {}}
    every = [*fleet.services, headless, web, by_hand]
    assert told(replace(fleet, services=every)) == [(NOTE, "Service voice/headless", "spec.selector")]
    # Where none has the label, no gate is of that kind.
    assert told(replace(fleet, services=[headless, web, by_hand])) == []


def test_the_label_of_the_gate_may_be_another() -> None:
    fleet = behind_a_gate(owner="open")
    assert [one for one in examine(fleet, gate_label="example.com/calls") if one.severity is CUTS] == []


def test_a_policy_without_a_gate_says_what_it_lets_happen() -> None:
    edge = {"frontGates": ["edge"]}
    none = edge | {"podGate": "none", "acceptedRisk": "The proxies know first."}
    assert told(replace(good(), retirement=RetirementSpec.model_validate(edge))) == []
    risky = replace(good(), retirement=RetirementSpec.model_validate(none))
    (found,) = (one for one in examine(risky) if one.severity is CUTS)
    assert (found.severity, found.object, found.field) == (CUTS, "policy of voice/acme", "spec.retirement.podGate")
    assert "The proxies know first." in found.what
    bare = told(replace(good(), retirement=RetirementSpec()))
    assert bare == [(MISSES, "policy of voice/acme", "spec.retirement.frontGates")]


def test_a_fleet_without_a_scaled_object_or_workload_misses_peaks() -> None:
    assert told(replace(good(), scaled_object=None)) == [(MISSES, WORKLOAD, "")]
    assert told(replace(good(), workload=None, pods=[], hpas=[])) == [(MISSES, WORKLOAD, "")]


@pytest.mark.parametrize(
    ("fields", "severity", "field"),
    [
        ({"updateStrategy": {"type": "RollingUpdate"}}, CUTS, "spec.updateStrategy.type"),
        ({"podManagementPolicy": "OrderedReady"}, MISSES, "spec.podManagementPolicy"),
    ],
)
def test_a_stateful_set_that_has_an_order_of_its_own(fields: dict, severity: Severity, field: str) -> None:
    fleet = good("StatefulSet")
    fleet.workload["spec"].update(fields)
    assert told(fleet) == [(severity, "StatefulSet voice/acme", field)]


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_that_is_missing_or_not_bound_or_lenient_is_found(name: str) -> None:
    fleet = good()
    missing = replace(fleet, policies=[one for one in fleet.policies if one["metadata"]["name"] != name])
    assert told(missing) == [(CUTS, f"ValidatingAdmissionPolicy {name}", "")]
    unbound = replace(fleet, bindings=[one for one in fleet.bindings if one["spec"]["policyName"] != name])
    assert told(unbound) == [(CUTS, f"ValidatingAdmissionPolicyBinding {name}", "")]

    def binding(change: Callable[[dict], object]) -> list[tuple[Severity, str, str]]:
        broken = good()
        change(next(one for one in broken.bindings if one["spec"]["policyName"] == name)["spec"])
        return told(broken)

    about = f"ValidatingAdmissionPolicyBinding {name}"
    warns = binding(lambda spec: spec.update(validationActions=["Warn", "Audit"]))
    assert warns == [(CUTS, about, "spec.validationActions")]
    elsewhere = {"namespaceSelector": {"matchLabels": {"team": "other"}}}
    other = binding(lambda spec: spec.update(matchResources=elsewhere))
    assert other == [(CUTS, about, "spec.matchResources.namespaceSelector")]

    ignoring = good()
    next(one for one in ignoring.policies if one["metadata"]["name"] == name)["spec"]["failurePolicy"] = "Ignore"
    assert told(ignoring) == [(CUTS, f"ValidatingAdmissionPolicy {name}", "spec.failurePolicy")]


def test_the_policies_that_are_looked_for_are_those_that_are_deployed() -> None:
    assert sorted(POLICIES) == sorted(one["metadata"]["name"] for one in kube_fleet.admission()[0])


def test_what_could_not_be_read_is_told_and_not_taken_for_missing() -> None:
    fleet = replace(good(), policies=[], bindings=[], unread={"policies": "403 no", "bindings": "403 no"})
    assert told(fleet) == [(NOTE, "policies", ""), (NOTE, "bindings", "")]


def test_the_manifests_that_are_shown_to_users_satisfy_the_doctor() -> None:
    fleet = good()
    (shown,) = kube_fleet.documents("deploy/fleet/deployment.yaml")
    shown["metadata"]["namespace"] = "voice"
    fleet.scaled_object["spec"]["scaleTargetRef"]["name"] = shown["metadata"]["name"]
    fleet.hpas[0]["spec"]["scaleTargetRef"]["name"] = shown["metadata"]["name"]
    assert told(replace(fleet, workload=shown)) == []


def test_the_worst_comes_first() -> None:
    fleet = good()
    fleet.scaled_object["spec"]["minReplicaCount"] = 0
    behavior("scaleUp", tolerance=None)(fleet)
    behavior("scaleDown", tolerance=None)(fleet)
    assert [one.severity for one in examine(fleet)] == [CUTS, MISSES, NOTE, NOTE]


@pytest.mark.parametrize("item", [None, 7, "text", [1], {"spec": "text"}, {"metadata": {"labels": []}}])
def test_objects_of_any_shape_are_examined(item: object) -> None:
    odd = item if isinstance(item, dict) else {"spec": item, "metadata": item}
    fleet = replace(good(), workload=odd, scaled_object=odd, pods=[odd], hpas=[odd], budgets=[odd], namespace=odd)
    assert any(severity is CUTS for severity, _, _ in told(fleet))
