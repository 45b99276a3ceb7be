"""The model check is worth what its model of the controllers is: what the real ones do has to be possible in it."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from scaler.retirement.observed import Workload
from tests.e2e.machines import on_spare_nodes
from tests.e2e.recording import recorded
from tests.e2e.retiring import MakeFleet, assert_none_cut
from tests.rig.rig import Rig
from tools.model_check.replay import Recording, replay

KEPT_IN = "CALLTIDE_RECORDINGS"
"""Environment variable: a folder for recordings, which tests/captures/retirement has some of."""


def admitted(recording: Recording) -> None:
    if folder := os.environ.get(KEPT_IN):
        (Path(folder) / f"{recording.name}.json").write_text(recording.as_json(), encoding="utf-8")
    replayed = replay(recording)
    assert replayed.is_admitted, replayed.sentence


def test_a_deployment_that_grows_drains_recalls_and_shrinks(make: MakeFleet) -> None:
    fleet = make("recorded-deployment", 2)
    with recorded(fleet, Workload.DEPLOYMENT) as recorder:
        fleet.need(3)
        fleet.until(lambda: fleet.proxied() == 3 * len(fleet.telephony.proxies()), "a third pod that takes calls")
        run = fleet.call(hold_s=60.0)
        fleet.need(2)
        fleet.until_drains()
        fleet.need(3)
        fleet.until(lambda: not fleet.leaving(), "it to be recalled")
        fleet.need(2)
        fleet.until(lambda: fleet.wanted() == 2 and len(fleet.pods()) == 2, "another to be gone", at_most_s=240)
        recording = recorder.recording()
    assert_none_cut(run.wait())
    states = [{pod.state for pod in version.pods} for version in recording.versions]
    assert [{"active"}] == [after for before, after in pairwise(states) if before == {"active", "draining"}][:1]
    assert {"active", "released"} in states
    admitted(recording)


def test_a_stateful_set_that_grows_and_shrinks(make: MakeFleet) -> None:
    fleet = make("recorded-stateful-set", 2, kind="StatefulSet")
    with recorded(fleet, Workload.STATEFUL_SET) as recorder:
        fleet.need(3)
        fleet.until(lambda: len(fleet.ready()) == 3, "a third pod")
        fleet.need(2)
        fleet.until(lambda: len(fleet.ready()) == 2 and fleet.wanted() == 2, "its last to be gone")
        recording = recorder.recording()
    assert any(pod.state == "released" for version in recording.versions for pod in version.pods)
    admitted(recording)


@pytest.mark.long
def test_a_deployment_whose_node_dies(make: MakeFleet, rig: Rig) -> None:
    fleet = make("recorded-dead-node", 1, pod_spec=on_spare_nodes())
    (name,) = fleet.ready()
    node = next(pod["spec"]["nodeName"] for pod in fleet.pods())
    with recorded(fleet, Workload.DEPLOYMENT) as recorder:
        rig.agent.die(node)
        try:
            fleet.until(lambda: len(set(fleet.ready()) - {name}) == 1, "one more pod to stand", at_most_s=240)
            fleet.until(lambda: fleet.terminating_or_gone(name), "the dead pod to be given up", at_most_s=240)
            recording = recorder.recording(node=1)
        finally:
            rig.agent.come_back(node)
    admitted(recording)
