"""What a container is started with."""

from __future__ import annotations

import pytest

from tests.rig.images import IMAGES
from tests.rig.node.environment import PodSpecError, Surroundings
from tests.rig.node.starting import START_DELAY, image, start, start_delay_s

POD = {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"securityContext": {"runAsUser": 1000}}}


def test_images_are_found_by_name_without_registry_and_tag():
    assert image("registry.example:5000/voice/pause:1.0") is IMAGES["pause"]
    assert image("pause@sha256:00") is IMAGES["pause"]
    with pytest.raises(PodSpecError, match=r"no image 'nginx:1' on the rig; known are .*pause"):
        image("nginx:1")


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("1m30s", 90), ("500ms", 0.5)])
def test_a_start_delay_is_a_duration(text, seconds):
    assert start_delay_s({"metadata": {"annotations": {START_DELAY: text}}}) == seconds


def test_a_start_delay_that_is_no_duration_is_refused():
    with pytest.raises(PodSpecError, match="'45' is not a duration"):
        start_delay_s({"metadata": {"annotations": {START_DELAY: "45"}}})


def test_a_container_sees_its_address_the_api_server_and_the_clusters_names(tmp_path):
    spec = {"name": "main", "image": "pause", "command": ["echo"], "args": ["$(POD_IP)"]}
    surroundings = Surroundings(POD, "127.16.16.1", "127.16.2.1")
    variables = {"KUBERNETES_SERVICE_HOST": "127.16.0.1"}
    how = start(
        spec, surroundings, lambda _: None, variables=variables, hosts=tmp_path / "hosts", folder=tmp_path / "pod"
    )
    assert how.command == ("echo", "127.16.16.1")
    assert how.container.environment["KUBERNETES_SERVICE_HOST"] == "127.16.0.1"
    assert [(bind.source, bind.target, bind.read_only) for bind in how.binds] == [
        (tmp_path / "hosts", "/etc/hosts", True)
    ]
    assert how.user == (1000, 0)
