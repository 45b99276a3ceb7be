"""Whatever fails around KEDA, replicas never fall, and everything goes on by itself once the fault is over.

The fleet `canary` is the severe judge: its HPA *may* scale in at once, so a single answer that is too low, for a single
second, would show as a fall. After each fault every fleet must follow a rise of load by one pod, without a hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.rig import fleets
from tests.rig.installation import REPLICAS, Installation
from tests.rig.rig import Rig
from tests.servers.processes import wait_for

NAMESPACE = "outages"
CHANNELS_PER_POD = 100
FLEETS = {"small": 2, "large": 14, "canary": 5}
"""Fleet → pods at the start. The large one moves by one pod inside the default tolerance of an HPA."""
FREE_TO_SCALE_IN = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "tolerance": "0"}
RECOVERY_AT_MOST_S = 300
CALM_AGAIN_AT_MOST_S = 180
"""For what takes seconds on a machine with nothing else to do."""
AWAY_S = 40
"""Longer than the answer book may age, so that the answers of a silent control plane are seen too."""

POLICY = f"""
apiVersion: calltide.io/v1
kind: Policy
metadata: {{name: outages}}
spec:
  history:
    channels: max by (tenant) (rig_channels{{tenant=~"outage-.*"}})
    lookBack: 1d
  capacity: {{channelsPerPod: {CHANNELS_PER_POD}, targetOccupancy: 1}}
  reactive: {{headroom: 0, maximumDataAge: 20s}}
  maxPods: 100
"""


class Story:
    """The fleets, how many pods their load needs now, and what each fault has to leave as it is."""

    def __init__(self, rig: Rig, calltide: Installation) -> None:
        self.rig, self.calltide = rig, calltide
        self.pods = dict(FLEETS)

    def set_loads(self) -> None:
        for name, pods in self.pods.items():
            self.rig.monitoring.set_load(f"outage-{name}", (pods - 0.5) * CHANNELS_PER_POD)

    @contextmanager
    def fault(self, what: str) -> Iterator[None]:
        """A fault happens inside; nothing may fall from its beginning to the end of the recovery."""
        began_s = time.time()
        yield
        self.pods = {name: pods + 1 for name, pods in self.pods.items()}
        self.set_loads()
        wait_for(
            lambda: self.rig.wanted_replicas(NAMESPACE) == self.pods,
            f"after '{what}' every fleet to follow its load: {self.pods}",
            at_most_s=RECOVERY_AT_MOST_S,
        )
        assert self.rig.history.falls(NAMESPACE, since_s=began_s) == []
        assert self.rig.history.gaps == []

    def wait_until_both_answer(self) -> None:
        """Until each replica gives the number of pods that each fleet needs now."""
        wait_for(
            lambda: list(self.answers().values()) == [self.pods] * REPLICAS,
            f"both replicas to answer {self.pods}",
            at_most_s=CALM_AGAIN_AT_MOST_S,
        )

    def wait_until_no_hpa_has_its_metric(self) -> None:
        wait_for(
            lambda: not any(self.calltide.scaling_active(NAMESPACE).values()),
            "the HPAs to miss their metric",
            at_most_s=CALM_AGAIN_AT_MOST_S,
        )

    def answers(self) -> dict[str, dict[str, int | None]]:
        """What each replica of calltide says of each fleet, None where it gives no answer."""
        return {pod: {name: self.answer(pod, name) for name in FLEETS} for pod in self.calltide.pods()}

    def answer(self, pod: str, name: str) -> int | None:
        return self.calltide.answer(pod, NAMESPACE, name, self.metadata(name))

    def metadata(self, name: str) -> dict[str, str]:
        return {"scalerAddress": self.calltide.address, "policy": "outages", "tenant": f"outage-{name}"}


@pytest.fixture(scope="module")
def story(rig: Rig, calltide: Installation) -> Story:
    story = Story(rig, calltide)
    story.set_loads()
    calltide.add_policy("outages", POLICY)
    rig.control_plane.apply(fleets.namespace(NAMESPACE))
    for name, pods in FLEETS.items():
        scaled_object = fleets.scaled_object(name, namespace=NAMESPACE, metadata=story.metadata(name))
        if name == "canary":
            behavior = scaled_object["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
            behavior["scaleDown"] |= FREE_TO_SCALE_IN
        deployment = fleets.deployment(name, image="pause", replicas=pods, namespace=NAMESPACE)
        rig.control_plane.apply(deployment, scaled_object)
    calltide.wait_until_answered(NAMESPACE, FLEETS)
    return story


def test_both_replicas_answer_alike(story: Story) -> None:
    with story.fault("nothing at all"):
        pass
    story.wait_until_both_answer()


def test_calltide_killed_and_back(story: Story) -> None:
    with story.fault("calltide killed"):
        for pod in story.calltide.pods():
            story.calltide.kill(pod)
        story.calltide.wait_until_ready()


def test_calltide_away(story: Story) -> None:
    with story.fault("calltide away"):
        story.calltide.scale(0)
        story.wait_until_no_hpa_has_its_metric()
        time.sleep(AWAY_S)
        story.calltide.scale(REPLICAS)


def test_only_the_process_that_answers_keda_killed(story: Story) -> None:
    with story.fault("KEDA process killed"):
        for pod in story.calltide.pods():
            story.calltide.kill_process(pod, "keda_external_scaler")
        story.wait_until_both_answer()


def test_the_leader_hangs_and_wakes_up(story: Story) -> None:
    with story.fault("leader paused"):
        leader = wait_for(story.calltide.leader, "a replica to lead", at_most_s=CALM_AGAIN_AT_MOST_S)
        with story.calltide.paused(leader):
            wait_for(
                lambda: story.calltide.leader() not in (None, leader),
                "the other replica to lead",
                at_most_s=CALM_AGAIN_AT_MOST_S,
            )
        story.wait_until_both_answer()
        assert story.calltide.leader() != leader


def test_keda_operator_restarted_while_calltide_is_down(story: Story) -> None:
    with story.fault("operator restarted without calltide"):
        story.calltide.scale(0)
        story.rig.keda.operator.stop()
        story.rig.keda.start_operator()
        time.sleep(AWAY_S / 2)
        story.calltide.scale(REPLICAS)


def test_keda_adapter_restarted(story: Story) -> None:
    with story.fault("adapter restarted"):
        story.rig.keda.adapter.kill()
        story.wait_until_no_hpa_has_its_metric()
        story.rig.keda.adapter.start()


def test_prometheus_down(story: Story) -> None:
    # A follower copies the leader's answers a moment later than the HPA reads them.
    story.wait_until_both_answer()
    with story.fault("Prometheus down"):
        before = story.answers()
        story.rig.monitoring.server.kill()
        wait_for(
            lambda: all(story.calltide.held(NAMESPACE).get(name) for name in FLEETS),
            "calltide to say that it holds for want of a measurement",
            at_most_s=CALM_AGAIN_AT_MOST_S,
        )
        during = story.answers()
        story.rig.monitoring.server.start()
        assert during == before


def test_api_server_down_for_a_minute(story: Story) -> None:
    # A follower copies the leader's answers a moment later than the HPA reads them.
    story.wait_until_both_answer()
    with story.fault("API server down"):
        before = story.answers()
        story.rig.control_plane.api_server.kill()
        # Nobody can prove to lead, so both answer alone before long.
        time.sleep(60)
        # Of the pods that are known: who they are is not to be asked now.
        during = {pod: {name: story.answer(pod, name) for name in FLEETS} for pod in before}
        story.rig.control_plane.start_api_server()
        assert during == before


def test_both_replicas_rolling(story: Story) -> None:
    with story.fault("rolling update"):
        before = story.calltide.pods()
        story.calltide.roll()
        assert not set(before) & set(story.calltide.pods())
