"""The service's recurring jobs: what runs when, and how each run went.

APScheduler keeps the times. A job that is late runs once and not for every time it missed, is never too late to run,
and never runs beside itself. Intervals are of the plan's clock: a demo at 60 times the speed runs them 60 times as
often, yet never more than once a second.

APScheduler knows only the wall clock: set back by an hour, every job would wait that hour. A watcher compares the wall
clock with the monotonic one, and after a step it runs every job at once, from where the intervals count on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from forecasting.errors import ForecastingError
from scaler.clock import Clock
from scaler.errors import CalltideError
from scaler.web.state import JobStatus

_log = structlog.get_logger("jobs")

SHORTEST_INTERVAL_S = 1.0
WATCH_CLOCK_EVERY_S = 2.0
CLOCK_STEP_S = 5.0
"""The wall clock was set, not slewed, when it moved this much against the monotonic clock."""
GRACE_S = 5.0
"""How long a stop waits for jobs that it lets finish, and again for the others to take their cancellation."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job by name: what to run and how often, in seconds of the plan's clock."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[None]]
    in_wall_time: bool = False
    """The interval is of the wall clock, for jobs that have nothing to do with simulated time."""


class Jobs:
    """Runs jobs by their intervals and remembers how each went."""

    def __init__(self, clock: Clock, wall_s: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._wall_s = wall_s
        self._watcher: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )
        self._status: dict[str, JobStatus] = {}

    def add(self, job: Job) -> None:
        """Run the job at once and then by its interval."""
        speed = 1.0 if job.in_wall_time else self._clock.speed
        interval_s = max(SHORTEST_INTERVAL_S, job.every_s / speed)
        self._status[job.name] = JobStatus(job.name, None, None, 0, 0)
        self._scheduler.add_job(
            self._run_scheduled,
            IntervalTrigger(seconds=interval_s, timezone=UTC),
            args=[job],
            id=job.name,
            next_run_time=datetime.now(UTC),
        )

    def start(self) -> None:
        """Begin to run jobs on the running event loop."""
        self._scheduler.start()
        self._watcher = asyncio.create_task(self._watch_the_wall_clock(), name="watch-the-wall-clock")

    async def stop(self, finishing: Collection[str] = ()) -> None:
        """Start no job any more. Of those that run, the named ones may finish, for a while; the rest is cancelled."""
        if self._watcher is None:
            return
        self._watcher.cancel()
        self._scheduler.pause()
        # A task that is cancelled before it began would be a trace in APScheduler's log.
        await asyncio.sleep(0)
        may_finish = {task for name, task in self._running.items() if name in finishing}
        others = set(self._running.values()) - may_finish
        if may_finish:
            _, late = await asyncio.wait(may_finish, timeout=GRACE_S)
            others |= late
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=GRACE_S)
        self._scheduler.shutdown(wait=False)
        # The scheduler ends itself in the loop's next round.
        await asyncio.sleep(0)

    def run_all_now(self) -> None:
        """Let every job run at once, and by its interval from then on."""
        for name in self._status:
            self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    async def _watch_the_wall_clock(self) -> None:
        ahead_s = self._wall_s() - time.monotonic()
        while True:
            await asyncio.sleep(WATCH_CLOCK_EVERY_S)
            stepped_s = self._wall_s() - time.monotonic() - ahead_s
            if abs(stepped_s) < CLOCK_STEP_S:
                continue
            ahead_s += stepped_s
            _log.warning("the wall clock was set; every job runs now", stepped_s=round(stepped_s, 1))
            self.run_all_now()

    async def _run_scheduled(self, job: Job) -> None:
        self._running[job.name] = asyncio.create_task(self.run_now(job), name=job.name)
        # Only a stop cancels a job, and APScheduler would log that as an error, with its trace.
        with suppress(asyncio.CancelledError):
            await self._running[job.name]
        del self._running[job.name]

    async def run_now(self, job: Job) -> None:
        """Run one job and remember how it went. An expected failure is a line in the log; any other, its trace."""
        began_s = time.monotonic()
        before = self._status[job.name]
        try:
            await job.run()
        except (CalltideError, ForecastingError) as error:
            self._failed(before, str(error))
            if before.error != str(error):
                _log.warning("job failed", job=job.name, reason=str(error))
        except Exception as error:  # noqa: BLE001 - a job that breaks must not take the others along
            self._failed(before, f"{type(error).__name__}: {error}")
            _log.exception("job broke", job=job.name)
        else:
            self._status[job.name] = replace(
                before,
                runs=before.runs + 1,
                last_success_s=self._clock.now_s(),
                last_duration_s=time.monotonic() - began_s,
                error=None,
                error_at_s=None,
            )

    def _failed(self, before: JobStatus, reason: str) -> None:
        self._status[before.name] = replace(
            before, runs=before.runs + 1, failures=before.failures + 1, error=reason, error_at_s=self._clock.now_s()
        )

    def status(self) -> Sequence[JobStatus]:
        """How each job's last run went."""
        return tuple(self._status.values())
