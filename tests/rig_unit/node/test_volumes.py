"""What volumes hold, and that a container sees them change all at once."""

from __future__ import annotations

import pytest

from tests.rig.node.environment import PodSpecError, Reference, Surroundings
from tests.rig.node.volumes import File, TokenRequest, WrittenFolder, binds, files, references, token_requests

TOKEN_VOLUME = {
    "name": "kube-api-access-x",
    "projected": {
        "defaultMode": 0o644,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ],
    },
}
POD = {
    "metadata": {"name": "pbx-0", "namespace": "voice", "uid": "u-1", "labels": {"app": "pbx"}},
    "spec": {
        "volumes": [
            TOKEN_VOLUME,
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "work", "emptyDir": {}},
            {"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}},
        ]
    },
}
SURROUNDINGS = Surroundings(POD, "127.16.16.1", "127.16.2.1")
OBJECTS = {
    ("configmaps", "kube-root-ca.crt"): {"ca.crt": b"CA"},
    ("configmaps", "settings"): {"a": b"1", "b": b"2"},
    ("secrets", "tls"): {"tls.key": b"KEY"},
}


def look_up(reference: Reference) -> dict[str, bytes] | None:
    return OBJECTS.get((reference.resource, reference.name))


def test_the_service_account_volume_that_admission_adds():
    (wanted,) = token_requests(POD)
    assert wanted == TokenRequest("", 3607)
    assert files(TOKEN_VOLUME, SURROUNDINGS, look_up, {wanted: "TOKEN"}) == {
        "token": File(b"TOKEN", 0o644),
        "ca.crt": File(b"CA", 0o644),
        "namespace": File(b"voice", 0o644),
    }


def test_references_of_volumes_are_found_in_projections_too():
    assert list(references(POD)) == [Reference("configmaps", "kube-root-ca.crt"), Reference("configmaps", "settings")]


def test_items_choose_keys_paths_and_modes():
    secret = {"secretName": "tls", "items": [{"key": "tls.key", "path": "private/key", "mode": 0o400}]}
    assert files({"name": "s", "secret": secret}, SURROUNDINGS, look_up, {}) == {"private/key": File(b"KEY", 0o400)}
    secret["items"][0]["key"] = "none"
    with pytest.raises(PodSpecError, match="secrets 'tls' has no key 'none'"):
        files({"name": "s", "secret": secret}, SURROUNDINGS, look_up, {})


def test_a_new_version_replaces_the_old_one_through_one_link(tmp_path):
    folder = WrittenFolder(tmp_path / "v")
    folder.write({"a": File(b"1", 0o644), "deep/b": File(b"2", 0o400)})
    first = (tmp_path / "v" / "..data").resolve()
    assert (tmp_path / "v" / "a").read_bytes() == b"1"
    assert (tmp_path / "v" / "deep" / "b").stat().st_mode & 0o777 == 0o400

    folder.write({"a": File(b"new", 0o644)})
    assert (tmp_path / "v" / "a").read_bytes() == b"new"
    assert sorted(path.name for path in (tmp_path / "v").iterdir() if not path.name.startswith("..")) == ["a"]
    assert not first.exists()


def test_the_same_content_is_not_written_again(tmp_path):
    folder = WrittenFolder(tmp_path / "v")
    folder.write({"a": File(b"1", 0o644)})
    first = (tmp_path / "v" / "..data").resolve()
    folder.write({"a": File(b"1", 0o644)})
    assert (tmp_path / "v" / "..data").resolve() == first


def test_a_place_for_another_volume_survives_a_new_version(tmp_path):
    folder = WrittenFolder(tmp_path / "v")
    folder.write({"a": File(b"1", 0o644)})
    (tmp_path / "v" / "inner").mkdir()
    folder.write({"b": File(b"2", 0o644)})
    assert sorted(path.name for path in (tmp_path / "v").iterdir() if not path.name.startswith("..")) == ["b", "inner"]


def test_written_volumes_are_mounted_read_only_and_others_are_not(tmp_path):
    WrittenFolder(tmp_path / "settings").write({"a": File(b"1", 0o644)})
    mounts = [{"name": "settings", "mountPath": "/etc/pbx"}, {"name": "work", "mountPath": "/srv/work"}]
    settings, work = binds({"volumeMounts": mounts}, POD, tmp_path)
    assert (settings.source, settings.target, settings.read_only) == (tmp_path / "settings", "/etc/pbx", True)
    assert (work.source, work.target, work.read_only) == (tmp_path / "work", "/srv/work", False)


def test_a_sub_path_is_the_file_behind_the_links(tmp_path):
    WrittenFolder(tmp_path / "settings").write({"a": File(b"1", 0o644)})
    (one,) = binds({"volumeMounts": [{"name": "settings", "mountPath": "/a", "subPath": "a"}]}, POD, tmp_path)
    assert one.source.read_bytes() == b"1"
    assert not one.source.is_symlink()


def test_a_kind_of_volume_that_is_not_supported_is_named(tmp_path):
    with pytest.raises(PodSpecError, match="volume 'disk' is of kind persistentVolumeClaim"):
        binds({"volumeMounts": [{"name": "disk", "mountPath": "/d"}]}, POD, tmp_path)
