"""Environment, command line and downward API values, as a kubelet makes them."""

from __future__ import annotations

import pytest

from tests.rig.node.environment import PodSpecError, Reference, Surroundings, command, environment, expand

POD = {
    "metadata": {
        "name": "pbx-0",
        "namespace": "voice",
        "uid": "u-1",
        "labels": {"app": "pbx", "tenant": 'a"b'},
        "annotations": {"x/y": "z"},
    },
    "spec": {"nodeName": "node-1", "serviceAccountName": "pbx"},
}
SURROUNDINGS = Surroundings(POD, "127.16.16.1", "127.16.2.1")
OBJECTS = {
    ("configmaps", "settings"): {"GREETING": b"hello", "n": b"1"},
    ("secrets", "login"): {"password": b"s3cret"},
}


def look_up(reference: Reference) -> dict[str, bytes] | None:
    return OBJECTS.get((reference.resource, reference.name))


def made(*entries: dict, fixed: dict[str, str] | None = None, **container: object) -> dict[str, str]:
    return environment({"env": list(entries), **container}, SURROUNDINGS, fixed or {}, look_up)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(A)", "x1y1"),
        ("$$(A)", "$(A)"),
        ("$(NOBODY)", "$(NOBODY)"),
        ("$A and $ alone", "$A and $ alone"),
        ("$(A", "$(A"),
    ],
)
def test_references_are_expanded_as_kubernetes_documents_it(text, result):
    assert expand(text, {"A": "1"}) == result


def test_an_entry_sees_those_before_it_and_what_is_fixed():
    values = made(
        {"name": "URL", "value": "http://$(POD_IP):$(PORT)"},
        {"name": "PORT", "value": "80"},
        {"name": "LATER", "value": "$(PORT)"},
        fixed={"POD_IP": "127.16.16.1"},
    )
    assert values["URL"] == "http://127.16.16.1:$(PORT)"
    assert values["LATER"] == "80"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status.podIP", "127.16.16.1"),
        ("status.hostIP", "127.16.2.1"),
        ("metadata.name", "pbx-0"),
        ("metadata.namespace", "voice"),
        ("metadata.uid", "u-1"),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "pbx"),
        ("metadata.labels['app']", "pbx"),
        ("metadata.annotations['x/y']", "z"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", 'app="pbx"\ntenant="a\\"b"'),
    ],
)
def test_fields_of_the_pod(path, value):
    assert made({"name": "F", "valueFrom": {"fieldRef": {"fieldPath": path}}}) == {"F": value}


def test_a_field_that_is_not_supported_says_which_are():
    with pytest.raises(PodSpecError, match=r"'status.mood' is not supported; known are metadata.name"):
        SURROUNDINGS.field("status.mood")


def test_values_from_config_maps_and_secrets():
    values = made(
        {"name": "N", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "n"}}},
        {"name": "P", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}},
        envFrom=[{"prefix": "S_", "configMapRef": {"name": "settings"}}],
    )
    assert values == {"S_GREETING": "hello", "S_n": "1", "N": "1", "P": "s3cret"}


def test_a_missing_key_is_an_error_unless_it_is_optional():
    reference = {"name": "settings", "key": "none"}
    with pytest.raises(PodSpecError, match="no key 'none' in configmaps 'settings'"):
        made({"name": "X", "valueFrom": {"configMapKeyRef": reference}})
    assert made({"name": "X", "valueFrom": {"configMapKeyRef": {**reference, "optional": True}}}) == {}


def test_command_replaces_the_entry_point_and_args_follow():
    values = {"N": "7"}
    assert command({"args": ["-n", "$(N)"]}, ("serve",), values) == ("serve", "-n", "7")
    assert command({"command": ["sh"], "args": ["-c", "x"]}, ("serve",), values) == ("sh", "-c", "x")
