"""Two replicas with all their processes: they answer KEDA alike, whoever of them is killed, stopped or hangs.

One run, told as a story in order: each step goes on from what the one before left.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.scaler.service.replica_pair import CHANNELS, Pair
from tests.servers import kube_objects as kube
from tests.servers.certificates import Authority
from tests.servers.kube_api import KubeApi
from tests.servers.kube_leases import LEASES
from tests.servers.processes import wait_for

LEASE = '{"leaseDuration": "5s", "renewDeadline": "4s", "retryPeriod": "1s"}'
SERVICE = "calltide.calltide.svc"
PODS = 10
assert PODS == -(-CHANNELS // 16)
PATH = f"{LEASES}calltide/leases/calltide"


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    api = KubeApi()
    for item in (kube.scaled_object(), kube.hpa(), kube.deployment(), kube.replica_set()):
        api.put(item)
    for name in ("acme-7b9-a", "acme-7b9-b"):
        api.put(kube.pod(name, ready_after_s=40))
    api.start()
    authority = Authority("replicas")
    leaf = authority.issue(SERVICE)
    for name, content in (("tls.crt", leaf.certificate), ("tls.key", leaf.key), ("ca.crt", authority.certificate)):
        (folder / name).write_bytes(content)
    tls = {
        "certificateFile": str(folder / "tls.crt"),
        "keyFile": str(folder / "tls.key"),
        "caFile": str(folder / "ca.crt"),
        "serverName": SERVICE,
    }
    running = Pair(folder, api, lease=LEASE, tls=tls)
    for replica in running.replicas:
        replica.start()
    yield running
    running.end()
    api.stop()


def never_fell(told: list[int]) -> bool:
    return all(later >= earlier for earlier, later in pairwise(told))


def test_both_answer_alike_from_the_same_book(pair):
    pair.wait_until_alike(PODS)
    leader = pair.wait_for_leader()
    follower = pair.other(leader)
    wait_for(lambda: leader.book() == follower.book(), "the follower has the leader's newest book")
    wait_for(follower.is_ready, "the follower is ready")
    wait_for(leader.is_ready, "the leader is ready")
    assert leader.book()[0] == leader.term()


def test_a_follower_says_whom_it_follows_and_shows_no_empty_platform(pair):
    leader = pair.wait_for_leader()
    follower = pair.other(leader)
    assert follower.status()["replica"]["leader"] == leader.name
    refused = follower.get("/api/v1/fleets")
    assert refused.status_code == 503
    assert leader.name in refused.json()["remedy"]
    metrics = follower.get("/metrics").text
    assert 'calltide_replica_role{role="follower"} 1.0' in metrics
    assert "calltide_fleet_need_pods{" not in metrics, "or sums over replicas would count it twice"
    assert "calltide_fleet_need_pods{" in leader.get("/metrics").text


def test_a_follower_keeps_a_local_archive_of_its_own_up_to_date(pair):
    for replica in pair.replicas:
        archive = replica.state / "archive"
        wait_for(lambda archive=archive: list(archive.rglob("*.parquet")), f"{archive} is filled", at_most_s=120)


def test_a_change_that_waits_is_confirmed_on_the_leader_only(pair):
    pair.write_policy(per_pod=60)
    leader = pair.wait_for_leader()
    follower = pair.other(leader)
    for replica in pair.replicas:
        wait_for(lambda r=replica: "movedShare" in standings(r), f"the change waits on {replica.name}", at_most_s=120)
    refused = confirm(follower)
    assert refused.returncode == 1
    assert f"kubectl exec {leader.name}" in " ".join(refused.stderr.split())
    assert pair.wait_for_leader().pods() == PODS


def test_when_the_leader_is_killed_the_other_leads_and_no_answer_falls(pair):
    leader = pair.wait_for_leader()
    follower = pair.other(leader)
    term = leader.term()
    leader.kill()
    del follower.told[:]

    def leads() -> bool:
        assert follower.pods() is not None, "there is no gap"
        return follower.role() == "leader" and follower.book()[0] > term

    wait_for(leads, "the other leads and has planned", at_most_s=120)
    assert never_fell(follower.told)
    assert follower.told[-1] == PODS


def test_a_change_that_waited_still_waits_under_the_new_leader_until_it_is_confirmed(pair):
    leader = pair.wait_for_leader()
    _, number = leader.book()
    wait_for(lambda: leader.book()[1] > number, "it has planned again", at_most_s=120)
    assert leader.pods() == PODS
    assert "movedShare" in standings(leader)
    assert confirm(leader).returncode == 0
    wait_for(lambda: leader.pods() == 3, "what was confirmed is in force", at_most_s=120)


def test_the_killed_one_comes_back_as_a_follower(pair):
    leader = pair.wait_for_leader()
    back = pair.other(leader)
    back.start()
    pair.wait_until_alike(3)
    assert back.role() == "follower"


def test_a_graceful_stop_hands_over_without_waiting_for_the_lease(pair):
    leader = pair.wait_for_leader()
    follower = pair.other(leader)
    pair.write_policy(per_pod=16)
    wait_for(lambda: "movedShare" in standings(leader), "the change back waits", at_most_s=120)
    assert confirm(leader).returncode == 0
    pair.wait_until_alike(PODS)
    del follower.told[:]
    writes = len(pair.api.leases.writes)
    leader.stop()
    wait_for(lambda: follower.pods() is not None and follower.role() == "leader", "the other leads", at_most_s=120)
    holders = [write["spec"]["holderIdentity"].partition("_")[0] for write in pair.api.leases.writes[writes:]]
    changes = [holder for at, holder in enumerate(holders) if at == 0 or holders[at - 1] != holder]
    assert [holder for holder in changes if holder != leader.name] == ["", follower.name], "it was given back first"
    assert never_fell(follower.told)
    assert set(follower.told) == {PODS}
    leader.start()
    pair.wait_until_alike(PODS)


def test_a_leader_that_hung_follows_when_it_goes_on(pair):
    leader = pair.wait_for_leader()
    follower = pair.other(leader)
    term = leader.term()
    hanging = leader.main()
    hanging.suspend()
    try:
        wait_for(lambda: follower.role() == "leader" and follower.book()[0] > term, "the other leads", at_most_s=120)
    finally:
        hanging.resume()
    wait_for(lambda: leader.role() == "follower", "the one that hung follows", at_most_s=120)
    wait_for(lambda: leader.book()[0] > term, "it has the new leader's book", at_most_s=120)
    pair.wait_until_alike(PODS)
    assert follower.role() == "leader"


def test_an_api_server_that_is_away_takes_no_answer_away(pair):
    pair.api.stop()
    try:
        wait_for(lambda: [one.role() for one in pair.replicas] == ["follower"] * 2, "nobody leads", at_most_s=120)
        assert all(one.pods() >= PODS for one in pair.replicas)
        assert all(one.get("/readyz/keda").status_code == 200 for one in pair.replicas)
    finally:
        pair.api.start()
    pair.wait_for_leader()
    pair.wait_until_alike(PODS)


def test_there_is_no_trace_in_any_log(pair):
    for replica in pair.replicas:
        assert "Traceback" not in replica.log()


def standings(replica) -> str:
    path = replica.state / "policies" / "fleets.json"
    return path.read_text() if path.exists() else ""


def confirm(replica) -> subprocess.CompletedProcess[str]:
    calltide = str(Path(sys.executable).with_name("calltide"))
    command = [calltide, "policy", "confirm", "--all", "--state", str(replica.state)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)
