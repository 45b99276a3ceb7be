"""What telephony people fear, all at once on a pod that drains: each story ends as planned, and only then it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
import yaml

from tests.e2e.phone import SIP_PORT
from tests.e2e.retiring import POLICY, MakeFleet, RetiringFleet
from tests.e2e.stories import (
    Conference,
    Consultation,
    Parked,
    Queued,
    Recording,
    Ringing,
    Scene,
    SessionTimers,
    Story,
)
from tests.e2e.telephone import Telephone
from tests.rig.installation import Installation
from tests.rig.place import CALLERS_PART, Place
from tests.rig.voice.ledger import Ledger
from tests.rig.voice.plan import CallPlan, Segment

RECORDING_POLICY = "retiring-recording"
STORIES: tuple[type[Story], ...] = (
    Consultation,
    Parked,
    Conference,
    Queued,
    SessionTimers,
    Ringing,
    Recording,
)
"""In the order in which they end. The last has work that outlives its channel."""

BROKEN = (AssertionError, OSError, httpx.HTTPError)
"""What a story may end in: not as planned, or its PBX is no longer there."""


@dataclass
class Told:
    """What became of the stories and of their pod."""

    fleet: RetiringFleet
    pod: str
    problems: dict[str, str] = field(default_factory=dict)
    """Story → what went wrong first."""
    states: dict[str, str] = field(default_factory=dict)
    """Story → state of the pod after its end, when calltide had seen that end."""
    waited_for: dict[str, str] = field(default_factory=dict)
    """Story → what the pod waited for then."""
    gone_after_s: float = 0.0
    ledger: Ledger | None = None

    def try_to(self, verb: str, story: Story, scene: Scene) -> None:
        if story.name not in self.problems:
            try:
                getattr(story, verb)(scene)
            except BROKEN as error:
                self.problems[story.name] = f"{verb}: {error}"

    def look(self, story: Story, waits_for: Callable[[], str]) -> None:
        """Wait until calltide says what the pod still waits for, and keep what it makes of the pod."""
        try:
            self.fleet.until(
                lambda: self._state() != "draining" or waits_for() in self.fleet.waits_for(self.pod),
                f"calltide to see the end of {story.name!r}",
            )
        except BROKEN as error:
            self.problems.setdefault(story.name, f"after its end: {error}")
        self.states[story.name] = self._state()
        self.waited_for[story.name] = self.fleet.waits_for(self.pod)

    def _state(self) -> str:
        return self.fleet.states().get(self.pod, "gone")


@pytest.fixture(scope="module")
def told(make: MakeFleet, place: Place, calltide: Installation) -> Iterator[Told]:
    """All stories, told once: begun on one of two pods, which is then asked to leave."""
    calltide.add_policy(RECORDING_POLICY, _policy())
    telephone = Telephone(place.address(8, part=CALLERS_PART))
    phones = {"CALLTIDE_AGENT": f"PJSIP/agent/sip:colleague@{telephone.address}:{SIP_PORT}", "SESSION_TIMERS": "yes"}
    fleet = make("stories", replicas=2, policy=RECORDING_POLICY, environment=phones)
    stories = [story() for story in STORIES]
    recording = next(story for story in stories if isinstance(story, Recording))
    name = min(fleet.ready())
    told = Told(fleet, name)
    try:
        with fleet.pbx(name) as pbx:
            scene = Scene(telephone, pbx, fleet.root(name))
            for story in stories:
                told.try_to("begin", story, scene)
            others = fleet.telephony.callers().start(CallPlan((Segment(fleet.name, 0.0, 1200.0, 1.0, 4.0),)))
            fleet.wish(name, "drain")
            fleet.need(1)
            assert fleet.until_drains() == name
            for story in stories:
                told.try_to("go_on", story, scene)
            for story in stories[:-1]:
                told.try_to("end", story, scene)
                told.look(story, lambda: f": {len(pbx.channels())} channels")
            told.try_to("end", recording, scene)
            told.look(recording, lambda: f": no channel, but {recording.pending}")
            told.try_to("let_finish", recording, scene)
        ended_s = time.monotonic()
        fleet.until_gone(name)
        told.gone_after_s = time.monotonic() - ended_s
        others.stop()
        told.ledger = others.wait()
        yield told
    finally:
        recording.close()
        telephone.close()


def _policy() -> str:
    """The policy of every fleet here, but for how a PBX is asked: what it has still to do with recordings counts."""
    policy = yaml.safe_load(POLICY)
    policy["metadata"]["name"] = RECORDING_POLICY
    policy["spec"]["retirement"]["mediaServer"] = "recording"
    return str(yaml.safe_dump(policy))


@pytest.mark.parametrize("name", [story.name for story in STORIES])
def test_it_goes_on_while_the_pod_drains_and_ends_as_planned(told: Told, name: str) -> None:
    assert name not in told.problems, told.problems[name]
    assert told.states[name] == "draining", told.waited_for[name]


def test_a_recording_that_is_still_worked_on_keeps_a_pod_without_channels(told: Told) -> None:
    assert told.states[Recording.name] == "draining"
    assert "no channel, but" in told.waited_for[Recording.name], told.waited_for[Recording.name]


def test_the_pod_leaves_after_the_last_story_and_nobody_else_notices(told: Told, tables: list[str]) -> None:
    tables.append(f"the pod was gone {told.gone_after_s:.0f} s after its last story; before: {told.waited_for}")
    assert told.fleet.wanted() == 1
    assert len(told.fleet.ready()) == 1
    assert told.ledger is not None
    assert told.ledger.offered > 0
    assert (told.ledger.cut, told.ledger.failed, told.ledger.refused) == (0, 0, 0), told.ledger.table()
