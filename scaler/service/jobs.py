"""The service's recurring jobs: what runs when, and how each run went.

APScheduler keeps the times. A job that is late runs once and not for every time it missed, is never too late to run,
and never runs beside itself. Intervals are of the plan's clock: a demo at 60 times the speed runs them 60 times as
often, yet never more than once a second.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
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

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
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
            self.run_now,
            IntervalTrigger(seconds=interval_s, timezone=UTC),
            args=[job],
            id=job.name,
            next_run_time=datetime.now(UTC),
        )

    def start(self) -> None:
        """Begin to run jobs on the running event loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start no job any more."""
        self._scheduler.shutdown(wait=False)

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
