"""What is applied to a cluster fits the program that it runs: rights, configuration, policies, ports, probes."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest
import yaml

from scaler.fleet.kubernetes import adapter, annotations
from scaler.fleet.kubernetes.lease import KubernetesLease
from scaler.fleet.kubernetes.reflector import Resource
from scaler.policy.compiling import compile_reading
from scaler.policy.directory import read_directory
from scaler.service.configuration import load_configuration
from scaler.service.supervisor import GRACE_S
from scaler.web.app import create_app
from tests.scaler.web.sample_state import SampleState

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def manifests() -> list[dict]:
    return [
        document
        for path in sorted(DEPLOY.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


@pytest.fixture(scope="module")
def find(manifests):
    def one(kind: str, name: str = "calltide") -> dict:
        (found,) = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name]
        return found

    return one


@pytest.fixture
def configuration(find, tmp_path, monkeypatch):
    monkeypatch.setenv("POD_IP", "10.1.2.3")
    monkeypatch.setenv("POD_NAME", "calltide-7b9-x")
    path = tmp_path / "calltide.yaml"
    path.write_text(find("ConfigMap", "calltide-configuration")["data"]["calltide.yaml"])
    return load_configuration(path)


def container(find) -> dict:
    (only,) = find("Deployment")["spec"]["template"]["spec"]["containers"]
    return only


def test_each_object_says_what_it_is_and_lies_in_the_namespace(manifests):
    outside = {"Namespace", "ClusterRole", "ClusterRoleBinding", "ClusterTriggerAuthentication"}
    outside |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    for manifest in manifests:
        assert {"apiVersion", "kind", "metadata"} <= manifest.keys()
        assert manifest["kind"] in outside or manifest["metadata"]["namespace"] == "calltide"
    assert manifests[0]["kind"] == "Namespace", "it is applied first"


def granted(role: dict) -> set[tuple[str, str, str, str]]:
    """Every (group, resource, verb, name) of a role, with an empty name for all."""
    return {
        one
        for rule in role["rules"]
        for one in product(rule["apiGroups"], rule["resources"], rule["verbs"], rule.get("resourceNames", [""]))
    }


def test_the_rights_to_read_are_those_of_the_watches_and_no_more(find):
    watched = [each for each in vars(adapter).values() if isinstance(each, Resource)]
    of_cluster = [adapter.NODES, adapter.NAMESPACES]
    assert len(watched) == 8
    needed = {right for one in watched if one not in of_cluster for right in rights(one, "get", "list", "watch")}
    assert granted(find("ClusterRole", "calltide-reader")) == needed
    found = granted(find("ClusterRole", "calltide-retirer"))
    assert {right for right in found if {"list", "watch"} & set(right)} == {
        right for one in of_cluster for right in rights(one, "list", "watch")
    }


def rights(resource: Resource, *verbs: str) -> set[tuple[str, str, str, str]]:
    *_, group, _version, name = ["", *resource.path.replace("/api/", "/apis//").split("/")]
    return {(group, name, verb, "") for verb in verbs}


def test_the_rights_to_write_are_those_of_the_lease_and_no_more(find, configuration):
    asked = []

    class Recorder:
        def send(self, method, path, body, within_s):
            asked.append((method, path))
            return {"metadata": {"resourceVersion": "1"}, "spec": {}}

    lease = KubernetesLease(Recorder(), "calltide", configuration.replicas.lease)
    record = lease.read(1)
    lease.write(record, 1)
    lease.write(type(record)("a", 15, 1, "", ""), 1)
    named = f"/apis/coordination.k8s.io/v1/namespaces/calltide/leases/{configuration.replicas.lease}"
    assert asked == [("GET", named), ("PUT", named), ("POST", named.rpartition("/")[0])]
    group, name = "coordination.k8s.io", configuration.replicas.lease
    assert granted(find("Role", "calltide-leader")) == {
        (group, "leases", "get", name),
        (group, "leases", "update", name),
        (group, "leases", "create", ""),
    }


def test_the_rights_to_retire_are_those_of_the_writes_and_no_more(find):
    written = {right for right in granted(find("ClusterRole", "calltide-retirer")) if "watch" not in right}
    assert {right for right in written if "list" not in right} == {
        ("", "pods", "patch", ""),
        ("", "pods", "delete", ""),
        ("apps", "deployments/scale", "patch", ""),
        ("apps", "statefulsets/scale", "patch", ""),
        ("", "events", "create", ""),
        ("calltide.io", "pods", "retire", ""),
    }


def test_each_admission_policy_denies_in_labelled_namespaces_and_fails_closed(manifests):
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(manifests, "ValidatingAdmissionPolicy")}
    bindings = {
        one["spec"]["policyName"]: one["spec"] for one in of_kind(manifests, "ValidatingAdmissionPolicyBinding")
    }
    assert bindings.keys() == policies.keys()
    for name, policy in policies.items():
        assert policy["failurePolicy"] == "Fail"
        assert bindings[name]["validationActions"] == ["Deny"]
        (selected,) = bindings[name]["matchResources"]["namespaceSelector"]["matchLabels"].items()
        assert selected == (annotations.ENABLED, "enabled")
        assert all(one["reason"] == "Forbidden" and one["messageExpression"] for one in policy["validations"])


def test_the_policies_speak_of_the_marks_that_calltide_writes(manifests):
    text = (DEPLOY / "70-admission.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"'(calltide\.io/[a-z-]+)'", text))
    assert named == {annotations.PROTECTED, "calltide.io/break-glass"}
    assert f"in ['{annotations.IS_PROTECTED}', '{annotations.IS_RELEASED}']" in text


def of_kind(manifests, kind: str) -> list[dict]:
    return [one for one in manifests if one["kind"] == kind]


def test_the_roles_are_bound_to_the_account_that_the_pods_run_with(find):
    account = {"kind": "ServiceAccount", "name": "calltide", "namespace": "calltide"}
    bound = ("calltide-reader", "calltide-retirer")
    for kind, name in (*(("ClusterRoleBinding", one) for one in bound), ("RoleBinding", "calltide-leader")):
        binding = find(kind, name)
        assert binding["subjects"] == [account]
        assert binding["roleRef"]["name"] == name
    assert find("ServiceAccount")["metadata"]["namespace"] == "calltide"
    assert find("Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "calltide"


def test_the_policies_are_valid(find, tmp_path):
    for name, text in find("ConfigMap", "calltide-policies")["data"].items():
        (tmp_path / name).write_text(text)
    assert compile_reading(read_directory(tmp_path)).names == ("voice",)


def test_every_file_and_folder_of_the_configuration_is_mounted(find, configuration):
    mounts = {Path(mount["mountPath"]): mount["name"] for mount in container(find)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in find("Deployment")["spec"]["template"]["spec"]["volumes"]}
    assert mounts.keys() >= {configuration.policies, configuration.state, Path("/etc/calltide"), Path("/tmp")}
    assert volumes.keys() == set(mounts.values())
    keda, replicas = configuration.keda.tls, configuration.replicas.tls
    secrets = {
        "calltide-tls": (keda.certificate_file, keda.key_file, keda.client_ca_file),
        "calltide-replicas": (replicas.certificate_file, replicas.key_file, replicas.ca_file),
    }
    for secret, files in secrets.items():
        assert [file.name for file in files] == ["tls.crt", "tls.key", "ca.crt"]
        for file in files:
            assert volumes[mounts[file.parent]]["secret"]["secretName"] == secret
    assert volumes[mounts[Path("/etc/calltide")]]["configMap"]["name"] == "calltide-configuration"
    assert volumes[mounts[configuration.policies]]["configMap"]["name"] == "calltide-policies"


def test_ports_and_probes_are_those_that_the_program_has(find, configuration):
    ports = {port["name"]: port["containerPort"] for port in container(find)["ports"]}
    listens = {
        "keda": configuration.keda.listen,
        "web": configuration.web.listen,
        "replicas": configuration.replicas.listen,
    }
    # The page also where `kubectl port-forward` arrives.
    hosts = {"keda": "10.1.2.3", "web": "0.0.0.0", "replicas": "10.1.2.3"}
    assert {name: f"{hosts[name]}:{port}" for name, port in ports.items()} == listens
    served = create_app(SampleState()).openapi()["paths"].keys()
    probes = {kind: container(find)[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in probes.values()} == {"web"}
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz/keda",
    }
    assert {probe["path"] for probe in probes.values()} <= served


def test_the_variables_of_the_configuration_are_those_of_the_pod(find):
    text = find("ConfigMap", "calltide-configuration")["data"]["calltide.yaml"]
    names = {variable["name"] for variable in container(find)["env"]}
    assert {word.partition("}")[0] for word in text.split("${")[1:]} == names


def test_keda_finds_every_ready_replica_under_the_name_that_the_certificates_bear(find, configuration):
    service = find("Service")
    spec = service["spec"]
    assert spec["clusterIP"] == "None"
    assert spec["publishNotReadyAddresses"] is False
    assert spec["selector"].items() <= find("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    metadata = service["metadata"]
    assert configuration.replicas.tls.server_name == f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local"


def test_a_roll_and_a_drain_leave_one_that_answers(find):
    deployment, budget = find("Deployment")["spec"], find("PodDisruptionBudget")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["selector"]
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] > GRACE_S


def test_keda_is_given_what_mutual_tls_takes(find):
    references = find("ClusterTriggerAuthentication")["spec"]["secretTargetRef"]
    assert {one["parameter"]: one["key"] for one in references} == {
        "caCert": "ca.crt",
        "tlsClientCert": "tls.crt",
        "tlsClientKey": "tls.key",
    }
