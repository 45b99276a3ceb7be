"""Headless Services as lines of the hosts file."""

from __future__ import annotations

from tests.rig.node.dns import endpoint, lines, service, write_in_place

NAMES = "calltide.ct.svc.cluster.local calltide.ct.svc calltide.ct calltide.ct.cluster.local"


def service_object(**spec: object) -> dict:
    metadata = {"name": "calltide", "namespace": "ct"}
    return {"metadata": metadata, "spec": {"clusterIP": "None", "selector": {"app": "calltide"}, **spec}}


def pod_object(address: str, *, ready: bool = True, labels: dict | None = None, **metadata: str) -> dict:
    return {
        "metadata": {"namespace": "ct", "labels": labels or {"app": "calltide", "x": "y"}, **metadata},
        "status": {"podIP": address, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def made(a_service: dict, *pods: dict) -> list[str]:
    return list(lines([service(a_service)], [endpoint(pod) for pod in pods]))


def test_every_ready_pod_of_a_headless_service_is_a_line():
    pods = (pod_object("127.16.16.2"), pod_object("127.16.16.1"))
    assert made(service_object(), *pods) == [f"127.16.16.1 {NAMES}", f"127.16.16.2 {NAMES}"]


def test_pods_that_are_unready_or_being_deleted_are_left_out_unless_the_service_wants_them():
    pods = (pod_object("127.16.16.1", ready=False), pod_object("127.16.16.2", deletionTimestamp="2026-01-01T00:00:00Z"))
    assert made(service_object(), *pods) == []
    assert len(made(service_object(publishNotReadyAddresses=True), *pods)) == 2


def test_other_pods_are_left_out():
    pods = (pod_object("127.16.16.1", labels={"app": "other"}), pod_object("127.16.16.2", namespace="elsewhere"))
    assert made(service_object(), *pods) == []


def test_services_with_an_address_or_without_a_selector_mean_nothing():
    assert service(service_object(clusterIP="10.96.0.7")) is None
    assert service(service_object(selector=None)) is None


def test_pods_without_an_address_and_pods_that_ended_mean_nothing():
    assert endpoint({"metadata": {}, "status": {}}) is None
    ended = pod_object("127.16.16.1")
    ended["status"]["phase"] = "Succeeded"
    assert endpoint(ended) is None


def test_the_file_stays_the_same_file_and_gets_shorter(tmp_path):
    path = tmp_path / "hosts"
    write_in_place(path, "a long first text\n")
    before = path.stat().st_ino
    write_in_place(path, "short\n")
    assert path.read_text(encoding="utf-8") == "short\n"
    assert path.stat().st_ino == before


def test_a_reader_never_sees_the_file_empty(tmp_path, monkeypatch):
    path, seen = tmp_path / "hosts", []
    write_in_place(path, "a long first text\n")
    from tests.rig.node import dns

    cut = dns.os.ftruncate

    def look_first(descriptor: int, length: int) -> None:
        seen.append(path.read_text(encoding="utf-8"))
        cut(descriptor, length)

    monkeypatch.setattr(dns.os, "ftruncate", look_first)
    write_in_place(path, "short\n")
    assert [text.strip("\n") for text in seen] == ["short"]
