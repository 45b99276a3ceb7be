"""How a cluster is found, and what its errors say."""

import textwrap

import pytest
from kubernetes.config import incluster_config

from scaler.errors import ConfigurationError
from scaler.fleet.kubernetes.api import ApiError, ApiRefusedError, GoneError, connect

PODS = "/api/v1/pods"


@pytest.fixture
def kubeconfig(tmp_path, cluster):
    file = tmp_path / "config"
    file.write_text(
        textwrap.dedent(f"""
            apiVersion: v1
            kind: Config
            current-context: rig
            contexts: [{{name: rig, context: {{cluster: rig, user: us}}}}]
            clusters: [{{name: rig, cluster: {{server: "{cluster.url}"}}}}]
            users: [{{name: us, user: {{token: s3cret}}}}]
        """)
    )
    return file


def test_a_kubeconfig_names_server_and_token(cluster, kubeconfig):
    page = connect(kubeconfig).get(PODS, {}, "application/json")
    assert page["kind"] == "PodList"
    assert cluster.headers[-1]["authorization"] == "Bearer s3cret"


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere: .*name a usable kubeconfig"):
        connect(tmp_path / "nowhere")


def test_a_kubeconfig_that_is_not_yaml_is_named(tmp_path):
    file = tmp_path / "config"
    file.write_text("{[")
    with pytest.raises(ConfigurationError, match=r"(?s)config: .*name a usable kubeconfig"):
        connect(file)


def test_a_context_that_is_not_there_is_named(kubeconfig):
    with pytest.raises(ConfigurationError, match="far"):
        connect(kubeconfig, context="far")


def test_outside_a_cluster_a_kubeconfig_is_asked_for(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigurationError, match="not a pod"):
        connect()


def test_inside_a_cluster_each_request_reads_the_rotated_token(monkeypatch, tmp_path):
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("first")
    authority.write_text("-")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    api = connect()
    assert api.host == "https://10.96.0.1:443"
    assert api._headers("x")["authorization"] == "Bearer first"
    token.write_text("second\n")
    assert api._headers("x")["authorization"] == "Bearer second"


def test_a_refusal_keeps_the_servers_words_and_status(cluster, kubeconfig):
    api = connect(kubeconfig)
    cluster.refused[PODS] = 403
    with pytest.raises(ApiRefusedError, match="the server says no; grant get, list and watch") as refused:
        api.get(PODS, {}, "application/json")
    assert refused.value.status == 403
    cluster.refused[PODS] = 410
    with pytest.raises(GoneError):
        api.get(PODS, {}, "application/json")


def test_a_closed_api_makes_no_further_request(kubeconfig):
    api = connect(kubeconfig)
    api.close()
    with pytest.raises(ApiError, match="closed"):
        api.get(PODS, {}, "application/json")
