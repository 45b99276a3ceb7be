"""Replaying recordings of real controllers in the model: it follows what they did, and nothing that they cannot do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scaler.retirement.observed import Workload
from tools.model_check.replay import Recording, Seen, SeenPod, replay

RECORDED = sorted((Path(__file__).parents[1] / "captures" / "retirement").glob("*.json"))
SERVES, DRAINS, NEW = SeenPod("active", True), SeenPod("draining", True), SeenPod("active", False)


def recording(*versions: Seen, workload: Workload = Workload.DEPLOYMENT) -> Recording:
    return Recording("made up", workload, versions)


def fleet(replicas: int, *pods: SeenPod) -> Seen:
    return Seen(replicas, tuple(sorted(pods)))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_what_real_controllers_did_is_possible_in_the_model(path: Path) -> None:
    replayed = replay(Recording.read(path))
    assert replayed.is_admitted, replayed.sentence


def test_there_are_recordings_of_both_workloads() -> None:
    assert {Recording.read(path).workload for path in RECORDED} == set(Workload)


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (fleet(1, SERVES, DRAINS), "the target falls while the pod only drains"),
        (fleet(2, SERVES), "a pod that drains is gone"),
        (fleet(2, SERVES, SeenPod("released", True)), "a pod is released that was never drained"),
        (fleet(3, SERVES, DRAINS, NEW, NEW), "more pods are made than are wanted"),
    ],
)
def test_what_must_never_happen_is_not_followed(after: Seen, what: str) -> None:
    replayed = replay(recording(fleet(2, SERVES, SERVES), fleet(2, SERVES, DRAINS), after))
    assert replayed.followed == 2, what
    assert "never comes to" in replayed.sentence


def test_a_fault_is_followed_only_where_it_was_recorded() -> None:
    versions = fleet(1, SERVES), fleet(1, SeenPod("active", False))
    assert not replay(recording(*versions)).is_admitted
    assert replay(replace(recording(*versions), faults={"unready": 1})).is_admitted


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = replace(recording(fleet(2, SERVES, DRAINS), fleet(1, SERVES)), faults={"node": 1})
    (tmp_path / "one.json").write_text(written.as_json(), encoding="utf-8")
    assert Recording.read(tmp_path / "one.json") == written
