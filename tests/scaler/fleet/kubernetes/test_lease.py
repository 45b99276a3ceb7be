"""The Lease over the protocol: who wrote in between wins, and nothing is waited for without an end."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from kubernetes import client

from scaler.core.election import NOBODY, LeaseRecord
from scaler.fleet.kubernetes.api import ApiError, ApiRefusedError, KubernetesApi
from scaler.fleet.kubernetes.lease import ADDRESS_ANNOTATION, KubernetesLease, LeaseConflictError

PATH = "/apis/coordination.k8s.io/v1/namespaces/calltide/leases/calltide"
OURS = LeaseRecord("a_1", 15, 7, "https://10.0.0.1:8081", "")


@pytest.fixture
def open_lease(cluster):
    def opened() -> KubernetesLease:
        configuration = client.Configuration(host=cluster.url, api_key={"BearerToken": "Bearer s3cret"})
        return KubernetesLease(KubernetesApi(configuration), "calltide", "calltide")

    return opened


def test_a_lease_is_made_read_and_renewed(cluster, open_lease):
    lease = open_lease()
    assert lease.read(5) is None
    made = lease.write(OURS, 5)
    assert lease.read(5) == made == LeaseRecord("a_1", 15, 7, "https://10.0.0.1:8081", made.version)
    renewed = lease.write(made, 5)
    assert renewed.version != made.version
    stored = cluster.leases.objects[PATH]
    assert stored["metadata"]["annotations"] == {ADDRESS_ANNOTATION: "https://10.0.0.1:8081"}
    spec = stored["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("a_1", 15, 7)
    acquired, renewed_at = (datetime.fromisoformat(spec[name]) for name in ("acquireTime", "renewTime"))
    assert acquired.tzinfo is not None
    assert acquired < renewed_at


def test_a_write_over_a_version_that_is_gone_is_a_conflict_and_so_are_two_that_make_it(open_lease):
    first, second = open_lease(), open_lease()
    made = first.write(OURS, 5)
    with pytest.raises(LeaseConflictError):
        second.write(OURS, 5)
    seen = second.read(5)
    first.write(made, 5)
    with pytest.raises(LeaseConflictError):
        second.write(LeaseRecord("b_1", 15, 8, "", seen.version), 5)


def test_a_write_to_a_lease_that_was_removed_is_a_conflict(cluster, open_lease):
    lease = open_lease()
    made = lease.write(OURS, 5)
    cluster.leases.remove()
    with pytest.raises(LeaseConflictError):
        lease.write(made, 5)
    assert lease.read(5) is None


def test_a_lease_that_is_given_back_has_no_holder_and_no_address(cluster, open_lease):
    lease = open_lease()
    made = lease.write(OURS, 5)
    lease.write(LeaseRecord(NOBODY, 15, 7, "", made.version), 5)
    read = open_lease().read(5)
    assert (read.holder, read.address, read.term) == (NOBODY, "", 7)


def test_what_others_put_onto_the_lease_stays(cluster, open_lease):
    lease = open_lease()
    lease.write(OURS, 5)
    cluster.leases.objects[PATH]["metadata"]["labels"] = {"team": "voice"}
    lease.write(lease.read(5), 5)
    assert cluster.leases.objects[PATH]["metadata"]["labels"] == {"team": "voice"}


@pytest.mark.parametrize("spec", [{}, None, {"holderIdentity": None, "leaseTransitions": "many"}])
def test_a_lease_with_nothing_in_it_is_held_by_nobody(cluster, open_lease, spec):
    cluster.leases.objects[PATH] = {"metadata": {"resourceVersion": "3"}, "spec": spec}
    assert open_lease().read(5) == LeaseRecord(NOBODY, 0, 0, "", "3")


def test_no_request_waits_longer_than_it_may(cluster, open_lease):
    lease = open_lease()
    lease.write(OURS, 5)
    cluster.hang()
    for request in (lambda: lease.read(0.3), lambda: lease.write(OURS, 0.3)):
        began_s = time.monotonic()
        with pytest.raises(ApiError):
            request()
        assert time.monotonic() - began_s < 5
    cluster.cut()


def test_a_refusal_names_the_rights_that_are_missing(cluster, open_lease):
    cluster.refused[PATH] = 403
    with pytest.raises(ApiRefusedError, match="grant get, create and update"):
        open_lease().read(5)
