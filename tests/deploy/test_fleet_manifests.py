"""The examples of a fleet that calltide retires: what calltide would find missing in them, and how their pods end."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from scaler.core.fleets import FleetKey
from scaler.fleet.kubernetes.doctor import examine
from scaler.fleet.kubernetes.doctor.findings import FleetObjects, Severity
from tests.servers import kube_fleet
from tests.servers import kube_objects as kube

ROOT = Path(__file__).parents[2]
CALL = "PJSIP/acme-00000001!in!100!1!Up!Echo!!100!!!3!5!!pbx-1795372180.9"
MESSAGE = "Message/ast_msg_queue!messages!100!1!Up!NoOp!hi!!!!3!5!!pbx-1795372437.0"


@pytest.fixture(scope="module")
def deployment() -> dict:
    return yaml.safe_load((ROOT / "deploy/fleet/deployment.yaml").read_text(encoding="utf-8"))


def test_nothing_in_the_examples_cuts_calls_or_misses_peaks(deployment):
    scaled_object = kube_fleet.documents("examples/scaledobject.yaml")[0]
    policies, bindings = kube_fleet.admission()
    hpa = kube.hpa(deployment["metadata"]["name"])
    hpa["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "acme", "controller": True}]
    fleet = FleetObjects(
        key=FleetKey("voice", "acme"),
        kind="Deployment",
        workload=deployment,
        scaled_object=scaled_object,
        pods=[],
        hpas=[hpa],
        budgets=[kube_fleet.budget()],
        namespace=kube_fleet.namespace(),
        policies=policies,
        bindings=bindings,
        policy_maximum=60,
    )
    assert [one for one in examine(fleet, longest_call_s=28800) if one.severity is not Severity.NOTE] == []


def test_the_budget_and_the_template_speak_of_the_same_label_and_namespace(deployment):
    namespace, budget = kube_fleet.documents("deploy/fleet/namespace.yaml")
    assert budget["metadata"]["namespace"] == deployment["metadata"]["namespace"] == namespace["metadata"]["name"]
    (selects,) = budget["spec"]["selector"]["matchExpressions"]
    assert deployment["spec"]["template"]["metadata"]["labels"][selects["key"]] in selects["values"]


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        (["0"], 3),
        (["0:" + MESSAGE], 3),
        (["0:" + CALL, "0:" + CALL, "0"], 5),
        (["0", "0", "0:" + CALL, "0"], 6),
        (["1", "1", "1", "1", "0"], 7),
        (["0", "0", "1", "0"], 6),
        (["0:" + MESSAGE + "\n" + CALL, "0"], 4),
    ],
    ids=["empty", "message", "calls", "late call", "no answer", "one lost answer", "message and call"],
)
def test_a_pod_ends_once_three_answers_in_a_row_know_of_no_channel(deployment, tmp_path, answers, asked):
    """`answers` are what a pretended Asterisk says, the last for good: STATUS or STATUS:CHANNELS."""
    for number, answer in enumerate(answers, start=1):
        status, _, channels = answer.partition(":")
        (tmp_path / f"{number}.status").write_text(status)
        (tmp_path / f"{number}.channels").write_text(channels)
    _program(tmp_path / "sleep", "exit 0")
    _program(
        tmp_path / "asterisk",
        f"""
        case "$2" in dialplan*) echo "$2" > {tmp_path}/gate; exit 0;; esac
        echo "$2" >> {tmp_path}/asked
        turn=$(wc -l < {tmp_path}/asked)
        [ "$turn" -gt {len(answers)} ] && turn={len(answers)}
        cat {tmp_path}/$turn.channels
        exit "$(cat {tmp_path}/$turn.status)"
        """,
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    command = container["lifecycle"]["preStop"]["exec"]["command"]
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(command, env=path, check=True, timeout=60, capture_output=True)
    assert (tmp_path / "asked").read_text().splitlines() == ["core show channels concise"] * asked
    assert (tmp_path / "gate").read_text().strip() == "dialplan set global CALLTIDE_GATE closed"


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)
