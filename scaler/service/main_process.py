"""The main process: it reads, plans and shows. KEDA is answered by another process, from what this one writes.

adapter (fleets) ─┐
policies ─────────┼─▶ planning ─▶ answer book ─▶ KEDA process
histories ────────┘       └─────▶ records, page, API, metrics

SIGTERM and SIGINT end it in order, so that the next one finds the last plans. The supervisor grants 25 s, and every
wait here is bounded to stay within them.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import structlog
import uvicorn

from scaler.clock import SystemClock
from scaler.errors import CalltideError, ConfigurationError, PolicyError, StateError
from scaler.policy.store import PolicyStore
from scaler.service.configuration import load_configuration
from scaler.service.demo_parts import DemoPlan, demo_parts
from scaler.service.histories import Histories
from scaler.service.http_server import Server, listen
from scaler.service.jobs import Job, Jobs
from scaler.service.logs import configure_logs
from scaler.service.parts import Parts, real_parts
from scaler.service.plan_keeper import PlanKeeper
from scaler.service.planning import PLAN_EVERY_S, Planning
from scaler.service.pool import WorkerPool
from scaler.service.reader import ServiceReader
from scaler.service.recorder import Recorder
from scaler.service.replica import COPY_EVERY_S
from scaler.service.replication import Replication
from scaler.service.retiring.audit_log import AuditLog
from scaler.service.retiring.opening import open_retirer
from scaler.service.retiring.retirer import ROUND_EVERY_S
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
STOP_STEP_S = 4.0
"""How long each step of a stop may take after the jobs have ended."""


class Service:
    """The parts of the main process, wired together."""

    def __init__(self, configuration: Configuration, parts: Parts, policies: PolicyStore) -> None:
        self._configuration = configuration
        self._adapter = parts.adapter
        self._policies = policies
        log = configuration.log
        self._pool = WorkerPool(configuration.workers, log.level, log.format, configuration.dask_scheduler)
        self._histories = Histories(parts.clock, self._pool, configuration.archive_url, parts.opener, self._may_archive)
        self._plan_book = PlanKeeper(configuration.state)
        self._replication = Replication(configuration, parts.lease, parts.clock, policies, self._plan_book)
        recorder = Recorder()
        self._planning = Planning(
            clock=parts.clock,
            adapter=parts.adapter,
            policies=policies,
            histories=self._histories,
            recorder=recorder,
            plan_book=self._plan_book,
            answers=self._replication.answers,
            launch_budget_pods=configuration.launch_budget_pods,
        )
        self._retirer = open_retirer(configuration, parts, self._planning.fleets, self._replication)
        self._jobs = Jobs(parts.clock)
        archive = None if configuration.archive else configuration.state / "archive"
        self._surroundings = Surroundings(configuration.keda_stats_path, archive)
        self.reader = ServiceReader(
            clock=parts.clock,
            demo=parts.demo,
            planning=self._planning,
            answers=self._replication.answers,
            replica=self._replication.status,
            histories=self._histories,
            recorder=recorder,
            policies=policies,
            jobs=self._jobs,
            source_kinds=parts.source_kinds,
            surroundings=self._surroundings,
            audit=AuditLog(configuration.state),
            rounds=dict if self._retirer is None else self._retirer.rounds,
            stale_after_s=float(configuration.keda.stale_after),
        )

    async def start(self) -> None:
        """Begin to watch and to run the jobs."""
        await self._adapter.start()
        for job in (
            Job("policies", POLICIES_EVERY_S, self._refresh_policies, in_wall_time=True),
            Job("surroundings", SURROUNDINGS_EVERY_S, self._surroundings.look, in_wall_time=True),
            Job("plan", PLAN_EVERY_S, self._plan),
            Job("ingest", HISTORY_EVERY_S, self._histories.catch_up),
            Job("forecast", HISTORY_EVERY_S, partial(self._while_leading, self._histories.forecast)),
            Job("measure", HISTORY_EVERY_S, partial(self._while_leading, self._histories.measure)),
            Job("backtest", SCORE_LOOK_EVERY_S, partial(self._while_leading, self._histories.score)),
        ):
            self._jobs.add(job)
        if self._retirer is not None:
            self._jobs.add(Job("retirement", ROUND_EVERY_S, self._retirer.step, in_wall_time=True))
        if self._replication.is_elected:
            self._jobs.add(Job("copy", COPY_EVERY_S, self._replication.copy, in_wall_time=True))
        self._jobs.start()
        loop = asyncio.get_running_loop()
        # Whoever begins to lead plans at once, and not with the next turn of the job.
        self._replication.start(partial(loop.call_soon_threadsafe, self._jobs.run_all_now))

    async def stop(self) -> None:
        """End the jobs and leave the last plans on disk. A step that fails is told and keeps none from its turn."""
        await self._jobs.stop(finishing=("plan",))
        steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
            # Only a leader may end a pod. After that, so that another leads while the rest ends here, and goes on from
            # the last plan.
            ("retirement", self._stop_retiring),
            ("followers", self._replication.hand_over),
            ("lease", lambda: asyncio.to_thread(self._replication.give_back)),
            # Before what may hang: the supervisor waits for no more than it granted.
            ("plan book", lambda: asyncio.to_thread(self._plan_book.write)),
            ("workers", lambda: asyncio.to_thread(self._pool.close)),
            ("fleets", self._adapter.stop),
            ("sources", lambda: asyncio.to_thread(self._histories.close)),
            ("replicas", self._replication.stop),
        )
        for name, step in steps:
            try:
                await asyncio.wait_for(step(), STOP_STEP_S)
            except Exception as error:  # noqa: BLE001 - the plan book must be written whatever else fails
                _log.error("could not be ended well", part=name, reason=f"{type(error).__name__}: {error}")

    async def _stop_retiring(self) -> None:
        if self._retirer is not None:
            await self._retirer.stop()

    async def _refresh_policies(self) -> None:
        await asyncio.to_thread(self._policies.refresh, follows=self._replication.term() is None)

    async def _plan(self) -> None:
        term = self._replication.term()
        if term is None:
            await self._planning.follow()
        else:
            await self._planning.step(term)

    async def _while_leading(self, work: Callable[[], Awaitable[None]]) -> None:
        if self._replication.term() is not None:
            await work()

    def _may_archive(self) -> bool:
        # A local archive is nobody else's: it is kept up to date while following, too.
        return self._configuration.archive is None or self._replication.term() is not None


async def run(configuration: Configuration, parts: Parts, policies: PolicyStore) -> None:
    """Run the main process until it is told to stop.

    Raises:
        AddressError: nothing can listen where the page, or what others copy, should be.
    """
    # Before anything is started: what cannot be shown must not read sources again and again.
    sockets = listen("web.listen", configuration.web.listen)
    service = Service(configuration, parts, policies)
    server = Server(
        uvicorn.Config(
            create_app(service.reader),
            log_config=None,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=3,
        )
    )

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await service.start()
        _log.info("page", address=configuration.web.listen)
        await server.serve(sockets)
    finally:
        await service.stop()
    _log.info("main process stopped")


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
        _load(policies)
        if given.demo:
            parts = demo_parts(given.demo, configuration, policies.book)
        else:
            parts = real_parts(configuration, lambda: policies.book)
    except (ConfigurationError, PolicyError) as error:
        print(error, file=sys.stderr)
        return CONFIGURATION_FAULT
    try:
        asyncio.run(run(configuration, parts, policies))
    except CalltideError as error:
        _log.error("cannot run", reason=str(error))
        return 1
    return 0


def _load(policies: PolicyStore) -> None:
    try:
        policies.load()
    except StateError as error:
        try:
            _ = policies.book
        except PolicyError:
            raise ConfigurationError(f"state: {error}") from error
        # The job that looks at the policies tries again to keep them.
        _log.error("the policies are in force, but could not be kept", reason=str(error))


if __name__ == "__main__":
    sys.exit(main())
