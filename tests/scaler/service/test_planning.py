"""The planning step on made-up surroundings: what it publishes, and what may not stop it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from forecasting.forecast import QUANTILES, QuantileForecast, Trust
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.sources.protocol import CurrentLoad
from keda_external_scaler.book_file import open_book
from scaler.clock import Clock
from scaler.core.fleets import FleetKey, FleetObservation, Pod, PodState
from scaler.errors import CalltideError, StateError
from scaler.fleet.protocol import FleetsSeen
from scaler.policy.store import PolicyStore
from scaler.service import plan_keeper
from scaler.service.answers import Answers
from scaler.service.datasets import Dataset, DatasetUse
from scaler.service.histories import DatasetState
from scaler.service.leadership import NotLeadingError, SingleInstance
from scaler.service.plan_keeper import PlanKeeper
from scaler.service.planning import Planning
from scaler.service.recorder import Recorder
from scaler.service.worker import Forecasts

ACME = FleetKey("voice", "acme")
STEP_S = 300
POLICY = """
apiVersion: calltide.io/v1
kind: Policy
metadata: {name: voice}
spec:
  history: {channels: QUERY}
  capacity: {channelsPerPod: 100, targetOccupancy: 1.0}
  reactive: {headroom: 0}
  forecast: {quantile: QUANTILE}
"""


class StandingClock:
    """A clock that shows the hour it is set to."""

    speed = 1.0

    def __init__(self) -> None:
        self.time_s = time.time()

    def now_s(self) -> float:
        return self.time_s


@dataclass
class OneFleet:
    """A `FleetAdapter` that sees what it is told."""

    clock: Clock
    replicas: int = 3
    complete: bool = True

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def seen(self) -> FleetsSeen:
        now_s = self.clock.now_s()
        pods = tuple(
            Pod(f"u{n}", f"acme-{n}", PodState.SERVING, now_s - 900, now_s - 800) for n in range(self.replicas)
        )
        fleet = FleetObservation(
            ACME, "voice", ("acme",), None, "Deployment/acme", self.replicas, self.replicas, pods, now_s
        )
        return FleetsSeen({ACME: fleet}, now_s, self.complete, None if self.complete else "the API server is away")

    def pod_leads_s(self) -> Mapping[FleetKey, tuple[float, ...]]:
        return {}


@dataclass
class KnownHistories:
    """What the service knows of each dataset, set by hand: by the query's expression, (channels now, median ahead)."""

    clock: Clock
    known: dict[str, tuple[float, float]]
    asked: dict[Dataset, DatasetUse] = field(default_factory=dict)
    unmeasured: bool = False

    def use(self, uses: Mapping[Dataset, DatasetUse]) -> None:
        self.asked = dict(uses)

    def states(self) -> Mapping[Dataset, DatasetState]:
        return {dataset: self._state(dataset, use) for dataset, use in self.asked.items()}

    def forget_measurements(self) -> None:
        self.unmeasured = True

    def _state(self, dataset: Dataset, use: DatasetUse) -> DatasetState:
        if dataset.query.expression not in self.known:
            return DatasetState(use)
        now, median = self.known[dataset.query.expression]
        now_s = self.clock.now_s()
        grid = SlotGrid(int(now_s) // STEP_S * STEP_S, STEP_S, 24)
        paths = np.broadcast_to(median * np.array([1, 2, 3, 4, 5], dtype=np.float32), (1, 24, len(QUANTILES))).copy()

        def forecast(name: str) -> QuantileForecast:
            newest = np.array([grid.start_s])
            return QuantileForecast(
                Measure.CHANNELS,
                (name,),
                grid,
                QUANTILES,
                paths,
                grid.start_s,
                newest,
                (Trust.TRUSTED,),
                ("",),
                "made up",
            )

        nothing = LoadMatrix(
            Measure.CHANNELS, (), SlotGrid(grid.start_s, STEP_S, 0), np.zeros((0, 0), dtype=np.float32)
        )
        made = Forecasts(forecast("acme"), forecast(str(ACME)), nothing)
        current = None if self.unmeasured else CurrentLoad(Measure.CHANNELS, {"acme": now}, now_s)
        return DatasetState(use, read_until_s=grid.start_s, forecasts=made, current=current)


class Scene:
    """A planning step with everything around it."""

    def __init__(self, folder: Path, known: dict[str, tuple[float, float]]) -> None:
        self.policies_folder, self.state = folder / "policies", folder / "state"
        self.policies_folder.mkdir()
        self.state.mkdir()
        self.write_policy("channels", 0.95)
        self.clock = StandingClock()
        self.adapter = OneFleet(self.clock)
        self.policies = PolicyStore(self.policies_folder, self.state, self.clock)
        self.policies.load()
        self.histories = KnownHistories(self.clock, known)
        self.keeper = PlanKeeper(self.state)
        self.planning = Planning(
            clock=self.clock,
            adapter=self.adapter,
            policies=self.policies,
            histories=self.histories,
            recorder=Recorder(),
            plan_book=self.keeper,
            answers=Answers(self.state / "answers.book", SingleInstance()),
            launch_budget_pods=None,
        )

    def write_policy(self, query: str, quantile: float) -> None:
        text = POLICY.replace("QUERY", query).replace("QUANTILE", str(quantile))
        (self.policies_folder / "voice.yaml").write_text(text)

    def step(self) -> None:
        self.clock.time_s += 15
        self.policies.refresh()
        asyncio.run(self.planning.step(0))

    def told(self) -> int:
        entry = open_book(self.state / "answers.book").find("voice", "acme")
        assert entry is not None
        return entry.answer


@pytest.fixture
def scene(tmp_path) -> Scene:
    # The 95 % quantile is four times the median: 8 pods ahead, 1 for what is measured now.
    return Scene(tmp_path, {"channels": (50, 200)})


def test_what_is_planned_is_what_keda_is_told(scene):
    scene.step()
    assert scene.told() == scene.planning.fleets()[ACME].plan.answer == 8


def test_nothing_is_published_before_the_fleets_were_seen_once_and_what_was_seen_goes_on_being_planned(scene):
    scene.adapter.complete = False
    with pytest.raises(CalltideError, match="API server is away"):
        scene.step()
    assert not (scene.state / "answers.book").exists()
    scene.adapter.complete = True
    scene.step()
    scene.adapter.complete = False
    scene.histories.known["channels"] = (1500, 200)
    scene.step()
    assert scene.told() == 15


def test_a_lower_quantile_waits_since_it_takes_away_half_of_the_pods(scene):
    scene.step()
    scene.write_policy("channels", 0.5)
    scene.step()
    scene.step()
    assert scene.told() == 8
    assert scene.policies.pending(str(ACME)).moved_share == pytest.approx(0.75)
    assert "policy confirm voice/acme" in scene.planning.fleets()[ACME].plan.explanation.warnings[-1]
    scene.policies.confirm(str(ACME))
    scene.step()
    assert scene.told() == 2


def test_another_query_is_read_first_and_then_weighed_by_what_it_says(scene):
    scene.step()
    scene.write_policy("half_of_the_channels", 0.95)
    scene.step()
    assert {dataset.query.expression for dataset in scene.histories.asked} == {"channels", "half_of_the_channels"}
    assert scene.policies.pending(str(ACME)) is None, "nobody can say yet what it would change"
    assert scene.told() == 8
    scene.histories.known["half_of_the_channels"] = (20, 75)
    scene.step()
    assert scene.policies.pending(str(ACME)) is not None
    assert scene.told() == 8
    scene.histories.known["half_of_the_channels"] = (45, 190)
    scene.write_policy("half_of_the_channels", 0.94)
    scene.step()
    scene.step()
    assert scene.policies.pending(str(ACME)) is None, "a small change takes effect by itself"
    assert {dataset.query.expression for dataset in scene.histories.asked} == {"half_of_the_channels"}


def test_a_plan_book_that_cannot_be_written_is_told_and_withholds_no_answer(scene, monkeypatch):
    def full(*_: object) -> None:
        raise StateError("plan-book.bin: no space left")

    scene.step()
    monkeypatch.setattr(plan_keeper, "write_plan_book", full)
    monkeypatch.setattr(plan_keeper, "WRITE_EVERY_S", 0.0)
    scene.histories.known["channels"] = (1500, 200)
    with pytest.raises(StateError, match="no space left"):
        scene.step()
    assert scene.told() == 15
    assert scene.planning.fleets()[ACME].plan.answer == 15
    monkeypatch.undo()
    monkeypatch.setattr(plan_keeper, "WRITE_EVERY_S", 0.0)
    scene.step()


def test_a_missing_measurement_after_a_restart_holds_what_stands(scene, tmp_path):
    scene.step()
    scene.keeper.write()
    scene.histories.known.clear()
    scene.adapter.replicas = 11
    restarted = Planning(
        clock=scene.clock,
        adapter=scene.adapter,
        policies=scene.policies,
        histories=scene.histories,
        recorder=Recorder(),
        plan_book=PlanKeeper(scene.state),
        answers=Answers(scene.state / "answers.book", SingleInstance()),
        launch_budget_pods=None,
    )
    scene.clock.time_s += 120
    asyncio.run(restarted.step(0))
    assert scene.told() == 11


@dataclass
class Term:
    """The leadership as the test has it."""

    led: int | None = 1

    def term(self) -> int | None:
        return self.led


def elected(scene: Scene, term: Term, answers: Answers | None = None) -> Planning:
    return Planning(
        clock=scene.clock,
        adapter=scene.adapter,
        policies=scene.policies,
        histories=scene.histories,
        recorder=Recorder(),
        plan_book=scene.keeper,
        answers=answers or Answers(scene.state / "answers.book", term),
        launch_budget_pods=None,
    )


def test_a_follower_reads_what_the_policies_ask_for_and_neither_plans_nor_decides(scene):
    scene.step()
    scene.write_policy("half_of_the_channels", 0.95)
    scene.policies.refresh(follows=True)
    revision, book = scene.policies.revision, (scene.state / "answers.book").read_bytes()
    follower = elected(scene, Term(None))
    asyncio.run(follower.follow())
    assert {dataset.query.expression for dataset in scene.histories.asked} == {"channels", "half_of_the_channels"}
    assert scene.policies.revision == revision
    assert (scene.state / "answers.book").read_bytes() == book
    assert follower.fleets() == {}


def test_who_follows_forgets_the_load_and_so_holds_what_another_asked_for_when_it_leads_again(scene):
    term = Term()
    planning = elected(scene, term)
    asyncio.run(planning.step(1))
    term.led = None
    asyncio.run(planning.follow())
    # Meanwhile another one leads: it asks for more, and its plan book is copied.
    forgotten, scene.histories.unmeasured = scene.histories.unmeasured, False
    scene.histories.known["channels"] = (1500, 200)
    asyncio.run(elected(scene, Term(2)).step(2))
    assert scene.told() == 15
    # What was measured in the first term would not be too old yet.
    scene.histories.known["channels"], scene.histories.unmeasured = (200, 200), forgotten
    scene.clock.time_s += 15
    term.led = 3
    asyncio.run(planning.step(3))
    assert scene.told() == 15


def test_a_plan_that_is_finished_after_the_leadership_is_neither_told_nor_remembered(scene):
    term = Term()
    planning = elected(scene, term)
    asyncio.run(planning.step(1))
    remembered, book = scene.keeper.book, (scene.state / "answers.book").read_bytes()
    scene.histories.known["channels"] = (1500, 200)
    term.led = 2
    with pytest.raises(NotLeadingError):
        asyncio.run(planning.step(1))
    assert (scene.state / "answers.book").read_bytes() == book
    assert scene.keeper.book is remembered


def test_no_plan_is_made_while_a_copy_is_taken_over(scene):
    answers = Answers(scene.state / "answers.book", Term())
    planning = elected(scene, Term(), answers)

    async def run() -> None:
        async with answers.turn:
            step = asyncio.create_task(planning.step(1))
            _, waiting = await asyncio.wait({step}, timeout=0.3)
            assert waiting
            assert not (scene.state / "answers.book").exists()
        await step

    asyncio.run(run())
    assert (scene.state / "answers.book").exists()


def test_who_leads_again_goes_on_from_what_another_leader_asked_for(scene):
    term = Term()
    planning = elected(scene, term)
    asyncio.run(planning.step(1))
    mine = scene.keeper.book
    scene.histories.known["channels"] = (1500, 200)
    other = elected(scene, Term(2))
    asyncio.run(other.step(2))
    assert mine is not scene.keeper.book
    # Nothing is measured any more: what is held is the other leader's plan, which came with its plan book.
    scene.histories.known.clear()
    scene.clock.time_s += 15
    term.led = 3
    asyncio.run(planning.step(3))
    assert scene.told() == 15
