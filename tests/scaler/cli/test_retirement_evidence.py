"""`calltide evidence`: the audit log in words, and the pod itself while it stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from scaler.cli.main import app
from scaler.retirement.audit import AuditRecord, Outcome
from scaler.retirement.evidence import DeadNode, Ground, OutOfService, ProvedEmpty, ReleaseEvidence
from scaler.retirement.readings import Boot
from scaler.retirement.states import Cause, Purpose
from scaler.service.retiring.audit_log import AuditLog
from tests.scaler.web.sample_state import FOLLOWS, SampleState
from tests.scaler.web.served import served
from tests.servers import kube_objects as kube
from tests.servers.kube_by_name import KubeByName

Calltide = Callable[..., Result]
AT_S = 1_767_600_000.0
PROOF = ProvedEmpty(Boot("2026-01-05T06:00:00", "containerd://4f"), AT_S - 60, (AT_S - 20, AT_S - 10), ("127.0.0.7",))


def record(edge: str, at_s: float, evidence: ReleaseEvidence | None = None, fleet: str = "voice/acme") -> AuditRecord:
    return AuditRecord(at_s, fleet, "uid-3", "acme-3", edge, Outcome.DONE, "calltide-0", 7, "It leaves.", evidence)


def released(ground: Ground) -> ReleaseEvidence:
    return ReleaseEvidence("uid-3", "acme-3", ground, Purpose.SHRINK, Cause.NOT_NEEDED, AT_S, "calltide-0", 7)


def keep(state: Path, *records: AuditRecord) -> None:
    AuditLog(state).add(*records)


def run(state: Path, pod: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["evidence", pod, "--state", str(state), *options], env={"KUBECONFIG": ""})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A pod that left, written down out of order."""
    keep(tmp_path, record("drained → released", AT_S, released(PROOF)), record("active → draining", AT_S - 600))
    return tmp_path


@pytest.mark.parametrize("pod", ["acme-3", "voice/acme-3", "uid-3"])
def test_every_edge_is_told_in_order_with_the_proof_in_words(log: Path, pod: str) -> None:
    ran = run(log, pod)
    assert ran.exit_code == 0, ran.output
    lines = ran.stdout.splitlines()
    assert lines[0] == "2026-01-05 07:50:00.0Z  active → draining  [done]  It leaves."
    assert lines[1].strip() == "voice/acme, pod acme-3 (uid-3), by calltide-0 in term 7"
    assert [line.strip() for line in lines[4:]] == [
        "Its PBX had run since 2026-01-05T06:00:00 in the container containerd://4f.",
        "Its gates were read back shut at 2026-01-05 07:59:00.0Z.",
        (
            "Asked after that, it had no channel and no pending work 2 times: "
            "2026-01-05 07:59:40.0Z, 2026-01-05 07:59:50.0Z."
        ),
        "Proxies that had acknowledged: 127.0.0.7.",
        "Released at 2026-01-05 08:00:00.0Z to shrink (not needed), by calltide-0 in term 7.",
    ]


@pytest.mark.parametrize(
    ("ground", "sentence"),
    [
        (OutOfService("node-4"), "node node-4 was marked out of service by an administrator"),
        (
            DeadNode("node-4", 330.0, 305.0),
            "Its node node-4 was dead: no lease for 5m30s, and its PBXs silent for 5m5s.",
        ),
    ],
)
def test_a_dead_node_is_a_ground_of_another_kind(tmp_path: Path, ground: Ground, sentence: str) -> None:
    keep(tmp_path, record("drained → released", AT_S, released(ground)))
    assert sentence in run(tmp_path, "acme-3").stdout


def test_json_has_the_records_as_the_log_has_them(log: Path) -> None:
    printed = json.loads(run(log, "acme-3", "--json").stdout)
    assert [one["edge"] for one in printed["records"]] == ["active → draining", "drained → released"]
    assert printed["records"][1]["evidence"]["ground"]["kind"] == "proved-empty"


def test_a_pod_of_that_name_in_another_namespace_is_another(log: Path) -> None:
    assert run(log, "other/acme-3").exit_code == 5


def test_what_is_not_known_is_told_with_where_else_to_look(log: Path) -> None:
    ran = run(log, "acme-9")
    assert ran.exit_code == 5
    assert "Each replica keeps what it wrote while it led" in " ".join(ran.stderr.split())


def test_a_state_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = run(tmp_path / "nowhere", "acme-3")
    assert (ran.exit_code, "nowhere is no directory" in " ".join(ran.stderr.split())) == (2, True)


def test_a_pod_that_still_stands_is_shown_as_it_is(log: Path, cluster: KubeByName, calltide: Calltide) -> None:
    cluster.put(kube.pod("acme-3", ready_after_s=40, state="released", protected="released"))
    ran = calltide("evidence", "acme-3", "--state", log)
    assert ran.exit_code == 0, ran.output
    shown = ran.stdout.partition("On the pod now:")[2]
    assert "calltide.io/state: released" in shown
    assert "calltide.io/protected: released" in shown


def test_a_cluster_that_is_away_takes_nothing_from_the_log(log: Path, cluster: KubeByName, tmp_path: Path) -> None:
    cluster.url = "http://127.0.0.1:9"
    ran = run(log, "acme-3", "--kubeconfig", str(cluster.kubeconfig(tmp_path)))
    assert ran.exit_code == 0
    assert "active → draining" in ran.stdout
    assert "could not be asked for" in ran.stderr


@pytest.fixture
def page(log: Path) -> Iterator[str]:
    """The page of a service that keeps this log."""

    class Keeping(SampleState):
        def evidence(self, pod: str) -> list[AuditRecord]:
            return AuditLog(log).of_pod(pod)

    with served(Keeping()) as url:
        yield url


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evidence", *arguments], env={"KUBECONFIG": "", "CALLTIDE_STATE": ""})


@pytest.mark.parametrize("pod", ["acme-3", "voice/acme-3", "uid-3"])
def test_the_page_tells_the_same_as_the_state_directory(log: Path, page: str, pod: str) -> None:
    told, read = asked(pod, "--url", page), run(log, pod)
    assert told.exit_code == 0, told.output
    assert told.stdout == read.stdout
    assert asked(pod, "--url", page, "--json").stdout == run(log, pod, "--json").stdout


@pytest.mark.parametrize("pod", ["acme-9", "other/acme-3"])
def test_a_pod_that_the_page_does_not_know_is_not_found(page: str, pod: str) -> None:
    ran = asked(pod, "--url", page)
    assert ran.exit_code == 5
    assert f"Nothing is known of {pod} at {page}. Each replica keeps" in " ".join(ran.stderr.split())


def test_a_follower_that_does_not_know_the_pod_names_the_leader() -> None:
    with served(SampleState(replicas=FOLLOWS)) as url:
        ran = asked("acme-3", "--url", url)
    assert ran.exit_code == 1
    assert f"follows {FOLLOWS.leader}" in " ".join(ran.stderr.split())


def test_a_page_that_is_not_there_is_named() -> None:
    ran = asked("acme-3", "--url", "http://127.0.0.1:9")
    assert ran.exit_code == 4
    assert "http://127.0.0.1:9 did not answer" in " ".join(ran.stderr.split())


def test_a_service_that_knows_no_such_question_is_not_taken_for_one_that_knows_no_such_pod(page: str) -> None:
    ran = asked("acme-3", "--url", f"{page}older")
    assert ran.exit_code == 5
    assert "There is nothing at this address" in " ".join(ran.stderr.split())
