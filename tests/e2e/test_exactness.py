"""Whatever number calltide gives, the real HPA reaches: that one, never another, from 1 to 60 pods.

Twelve fleets walk five steps each at the same time. Every second one is rolled out in the middle of its walk, so that
twice as many pods stand as are wanted: the moment in which an HPA that is inside its tolerance writes back what stands.
"""

from __future__ import annotations

import time
from itertools import groupby

import pytest

from tests.rig import fleets
from tests.rig.installation import Installation
from tests.rig.rig import Rig
from tests.servers.processes import wait_for

NAMESPACE = "exactness"
CHANNELS_PER_POD = 100
STEPS = 5
WALKS = {f"walk-{first:02}": range(first, first + STEPS) for first in range(1, 61, STEPS)}
ROLLED_OUT = tuple(WALKS)[1::2]
ROLLOUT_AT_STEP = 2

POLICY = f"""
apiVersion: calltide.io/v1
kind: Policy
metadata: {{name: exactness}}
spec:
  history:
    channels: max by (tenant) (rig_channels{{tenant=~"walk-.*"}})
    lookBack: 1d
  capacity: {{channelsPerPod: {CHANNELS_PER_POD}, targetOccupancy: 1}}
  reactive: {{headroom: 0}}
  maxPods: 100
"""


def load_for(pods: int) -> float:
    """Channels that need exactly so many pods."""
    return (pods - 0.5) * CHANNELS_PER_POD


def start_of(walk: range) -> int:
    return max(1, walk[0] - 1)


@pytest.fixture(scope="module")
def began_s(rig: Rig, calltide: Installation) -> float:
    """When the fleets stood at the start of their walks, asked for by calltide."""
    rig.control_plane.apply(fleets.namespace(NAMESPACE))
    for name, walk in WALKS.items():
        rig.monitoring.set_load(name, load_for(start_of(walk)))
    calltide.add_policy("exactness", POLICY)
    for name, walk in WALKS.items():
        rig.control_plane.apply(
            fleets.deployment(name, image="status-only", replicas=start_of(walk), namespace=NAMESPACE),
            fleets.scaled_object(
                name,
                namespace=NAMESPACE,
                metadata={"scalerAddress": calltide.address, "policy": "exactness", "tenant": name},
            ),
        )
    calltide.wait_until_answered(NAMESPACE, {name: start_of(walk) for name, walk in WALKS.items()})
    return time.time()


def test_every_number_is_reached_and_no_other(rig: Rig, calltide: Installation, began_s: float) -> None:
    for step in range(STEPS):
        wanted = {name: walk[step] for name, walk in WALKS.items()}
        for name, pods in wanted.items():
            rig.monitoring.set_load(name, load_for(pods))
        if step == ROLLOUT_AT_STEP:
            for name in ROLLED_OUT:
                _roll_out(rig, name)
        wait_for(
            lambda wanted=wanted: rig.wanted_replicas(NAMESPACE) == wanted,
            f"step {step + 1} of {STEPS}: {wanted}",
            at_most_s=180,
        )
    visited = {name: _visited(rig, name) for name in WALKS}
    expected = {name: list(range(start_of(walk), walk[-1] + 1)) for name, walk in WALKS.items()}
    assert visited == expected
    assert rig.history.gaps == []


def test_it_holds_while_more_pods_stand_than_are_wanted(rig: Rig, began_s: float) -> None:
    # Without this the rollouts would have proved nothing.
    ahead = {
        name: max(seen.standing - seen.wanted for seen in rig.history.of(NAMESPACE, name, since_s=began_s))
        for name in ROLLED_OUT
    }
    assert all(surplus > 0 for surplus in ahead.values()), ahead


def _roll_out(rig: Rig, name: str) -> None:
    patch = '{"spec": {"template": {"metadata": {"annotations": {"rolled-out": "yes"}}}}}'
    rig.control_plane.kubectl("patch", "deployment", name, f"--namespace={NAMESPACE}", "--patch", patch)


def _visited(rig: Rig, name: str) -> list[int]:
    """Each number of pods that the workload was ever set to, in order."""
    return [wanted for wanted, _ in groupby(seen.wanted for seen in rig.history.of(NAMESPACE, name))]
