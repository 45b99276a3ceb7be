"""The main process: it reads, plans and shows. KEDA is answered by another process, from what this one writes.

adapter (fleets) ─┐
policies ─────────┼─▶ planning ─▶ answer book ─▶ KEDA process
histories ────────┘       └─────▶ records, page, API, metrics
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
import uvicorn

from scaler.clock import SystemClock
from scaler.errors import ConfigurationError, PolicyError
from scaler.policy.store import PolicyStore
from scaler.service.configuration import load_configuration
from scaler.service.demo_parts import DemoPlan, demo_parts
from scaler.service.histories import Histories
from scaler.service.jobs import Job, Jobs
from scaler.service.logs import configure_logs
from scaler.service.parts import Parts, real_parts
from scaler.service.plan_keeper import PlanKeeper
from scaler.service.planning import PLAN_EVERY_S, Planning
from scaler.service.pool import WorkerPool
from scaler.service.reader import ServiceReader
from scaler.service.recorder import Recorder
from scaler.service.settings import Configuration
from scaler.service.supervisor import CONFIGURATION_FAULT
from scaler.service.surroundings import Surroundings
from scaler.web.app import create_app

_log = structlog.get_logger("main")

POLICIES_EVERY_S = 5.0
SURROUNDINGS_EVERY_S = 3.0
HISTORY_EVERY_S = 15.0
SCORE_LOOK_EVERY_S = 900.0
"""How often it is looked for histories that are due for their daily backtest."""


class Service:
    """The parts of the main process, wired together."""

    def __init__(self, configuration: Configuration, parts: Parts, policies: PolicyStore) -> None:
        self._configuration = configuration
        self._adapter = parts.adapter
        self._policies = policies
        self._pool = WorkerPool(configuration.workers, configuration.log.level, configuration.log.format)
        self._histories = Histories(parts.clock, self._pool, configuration.archive_url, parts.opener)
        self._plan_book = PlanKeeper(configuration.state)
        recorder = Recorder()
        self._planning = Planning(
            clock=parts.clock,
            adapter=parts.adapter,
            policies=policies,
            histories=self._histories,
            recorder=recorder,
            plan_book=self._plan_book,
            book_path=configuration.book_path,
            launch_budget_pods=configuration.launch_budget_pods,
        )
        self._jobs = Jobs(parts.clock)
        archive = None if configuration.archive else configuration.state / "archive"
        self._surroundings = Surroundings(configuration.keda_stats_path, archive)
        self.reader = ServiceReader(
            clock=parts.clock,
            demo=parts.demo,
            planning=self._planning,
            histories=self._histories,
            recorder=recorder,
            policies=policies,
            jobs=self._jobs,
            source_kinds=parts.source_kinds,
            surroundings=self._surroundings,
        )

    async def start(self) -> None:
        """Begin to watch and to run the jobs."""
        await self._adapter.start()
        for job in (
            Job("policies", POLICIES_EVERY_S, self._refresh_policies, in_wall_time=True),
            Job("surroundings", SURROUNDINGS_EVERY_S, self._surroundings.look, in_wall_time=True),
            Job("plan", PLAN_EVERY_S, self._planning.step),
            Job("ingest", HISTORY_EVERY_S, self._histories.catch_up),
            Job("forecast", HISTORY_EVERY_S, self._histories.forecast),
            Job("measure", HISTORY_EVERY_S, self._histories.measure),
            Job("backtest", SCORE_LOOK_EVERY_S, self._histories.score),
        ):
            self._jobs.add(job)
        self._jobs.start()

    async def stop(self) -> None:
        """End the jobs and leave the last plans on disk."""
        self._jobs.stop()
        self._pool.close()
        await self._adapter.stop()
        await asyncio.to_thread(self._plan_book.write)
        self._histories.close()

    async def _refresh_policies(self) -> None:
        await asyncio.to_thread(self._policies.refresh)


async def run(configuration: Configuration, parts: Parts, policies: PolicyStore) -> None:
    """Run the main process until it is told to stop."""
    service = Service(configuration, parts, policies)
    host, _, port = configuration.web.listen.rpartition(":")
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(service.reader),
            host=host.strip("[]"),
            port=int(port),
            log_config=None,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=5,
        )
    )
    await service.start()
    try:
        await server.serve()
    finally:
        await service.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line. Returns the exit code."""
    parser = argparse.ArgumentParser(description="calltide's main process; `calltide serve` starts it.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--demo", type=DemoPlan.from_json, help="play this demo instead of the configured parts")
    given = parser.parse_args(arguments)
    try:
        configuration = load_configuration(given.config)
        configure_logs(configuration.log.level, configuration.log.format)
        clock = given.demo.clock if given.demo else SystemClock()
        policies = PolicyStore(configuration.policies, configuration.state, clock)
        policies.load()
        if given.demo:
            parts = demo_parts(given.demo, configuration, policies.book)
        else:
            parts = real_parts(configuration, lambda: policies.book)
    except (ConfigurationError, PolicyError) as error:
        print(error, file=sys.stderr)
        return CONFIGURATION_FAULT
    asyncio.run(run(configuration, parts, policies))
    return 0


if __name__ == "__main__":
    sys.exit(main())
