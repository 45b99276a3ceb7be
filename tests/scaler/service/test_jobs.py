"""The jobs: one that fails is counted and told, and takes no other along."""

from __future__ import annotations

import asyncio

from forecasting.errors import SourceError
from scaler.clock import SystemClock
from scaler.service.jobs import Job, Jobs


def run(job: Job, times: int = 1) -> Jobs:
    async def go() -> Jobs:
        jobs = Jobs(SystemClock())
        jobs.add(job)
        for _ in range(times):
            await jobs.run_now(job)
        return jobs

    return asyncio.run(go())


def test_a_job_that_succeeds_shows_when_and_how_long():
    async def work() -> None:
        return

    (status,) = run(Job("plan", 15, work), times=2).status()
    assert (status.name, status.runs, status.failures, status.error) == ("plan", 2, 0, None)
    assert status.last_success_s is not None
    assert status.last_duration_s is not None


def test_a_failure_is_counted_and_its_reason_kept_until_the_next_success():
    answers = iter([SourceError("Prometheus does not answer"), ZeroDivisionError("bug"), None])

    async def work() -> None:
        failure = next(answers)
        if failure is not None:
            raise failure

    job = Job("ingest", 15, work)
    (expected,) = run(job).status()
    assert expected.error == "Prometheus does not answer"
    assert expected.last_success_s is None
    (unexpected,) = run(job).status()
    assert unexpected.error == "ZeroDivisionError: bug"
    (well,) = run(job).status()
    assert (well.error, well.failures) == (None, 0)


def test_every_scheduled_job_runs_although_another_one_breaks():
    async def go() -> set[str]:
        ran: set[str] = set()
        all_ran = asyncio.Event()

        def job(name: str, failure: Exception | None) -> Job:
            async def work() -> None:
                ran.add(name)
                if len(ran) == 3:
                    all_ran.set()
                if failure is not None:
                    raise failure

            return Job(name, 3600, work)

        jobs = Jobs(SystemClock())
        for name, failure in (("a", RuntimeError("broken")), ("b", SourceError("dead")), ("c", None)):
            jobs.add(job(name, failure))
        jobs.start()
        await asyncio.wait_for(all_ran.wait(), 30)
        jobs.stop()
        return ran

    assert asyncio.run(go()) == {"a", "b", "c"}
