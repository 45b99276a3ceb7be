"""A demo of the service: the same processes, with simulated or replayed calls, simulated pods, and a faster clock."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from scaler.clock import ScaledClock
from scaler.demo.replay_scenario import ReplayedSources
from scaler.demo.scenario import SOURCE, SimulatedSources
from scaler.fleet.simulated.adapter import SimulatedFleets
from scaler.fleet.simulated.answers import GrpcAnswers
from scaler.policy.book import PolicyBook
from scaler.service.parts import Parts, simulated_specs
from scaler.service.settings import Configuration


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What is played: from when, how fast, and which calls. It travels to the main process as JSON.

    `recording` is a file made by `write_recording`, None for simulated tenants. The clock's beginning on the wall is
    part of it, so that a main process that is started again finds itself at the right hour.
    """

    start_s: float
    wall_start_s: float
    speed: float
    seed: int
    recording: str | None = None
    time_zone: str = "UTC"

    @property
    def clock(self) -> ScaledClock:
        """The clock of the demo."""
        return ScaledClock(self.start_s, self.speed, self.wall_start_s)

    @property
    def sources(self) -> SimulatedSources | ReplayedSources:
        """Where its calls come from."""
        if self.recording is None:
            return SimulatedSources(self.clock, self.seed)
        return ReplayedSources(Path(self.recording), self.time_zone, self.clock, self.start_s)

    def to_json(self) -> str:
        """As one command line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


def demo_parts(plan: DemoPlan, configuration: Configuration, policies: PolicyBook) -> Parts:
    """The demo's clock, calls and pods. The pods' platform asks the KEDA process over gRPC, as KEDA would.

    Raises:
        ConfigurationError: the recording cannot be played.
    """
    answers = GrpcAnswers(configuration.keda.listen)
    calls = plan.sources.open(SOURCE)
    adapter = SimulatedFleets(simulated_specs(policies), calls, answers, plan.clock, seed=plan.seed)
    kind = "simulated" if plan.recording is None else "replayed"
    return Parts(plan.clock, plan.sources, adapter, {SOURCE: kind}, demo=True)
