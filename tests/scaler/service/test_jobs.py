"""The jobs: one that fails is counted and told, and takes no other along; neither a clock nor a stop hurts them."""

from __future__ import annotations

import asyncio
import time

import pytest

from forecasting.errors import SourceError
from scaler.clock import SystemClock
from scaler.service import jobs as jobs_module
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
        await jobs.stop()
        return ran

    assert asyncio.run(go()) == {"a", "b", "c"}


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_every_job_runs_again_at_once_after_the_wall_clock_was_set(monkeypatch, step_s):
    monkeypatch.setattr(jobs_module, "WATCH_CLOCK_EVERY_S", 0.01)
    stepped_s = 0.0

    async def go() -> None:
        nonlocal stepped_s
        runs: asyncio.Queue[str] = asyncio.Queue()
        jobs = Jobs(SystemClock(), lambda: time.time() + stepped_s)
        for name in ("plan", "ingest"):
            jobs.add(Job(name, 86400, lambda name=name: runs.put(name)))
        jobs.start()
        assert {await asyncio.wait_for(runs.get(), 30) for _ in range(2)} == {"plan", "ingest"}
        stepped_s = step_s
        assert {await asyncio.wait_for(runs.get(), 30) for _ in range(2)} == {"plan", "ingest"}
        await jobs.stop()

    asyncio.run(go())


def test_a_wall_clock_that_is_slewed_runs_no_job_out_of_turn(monkeypatch):
    monkeypatch.setattr(jobs_module, "WATCH_CLOCK_EVERY_S", 0.0)
    looked = 0
    looked_often = asyncio.Event()

    def slewed_s() -> float:
        nonlocal looked
        looked += 1
        if looked == 200:
            looked_often.set()
        return time.time() + min(looked * 0.01, 1.0)

    async def go() -> int:
        runs: asyncio.Queue[None] = asyncio.Queue()
        jobs = Jobs(SystemClock(), slewed_s)
        jobs.add(Job("plan", 86400, lambda: runs.put(None)))
        jobs.start()
        await asyncio.wait_for(runs.get(), 30)
        await asyncio.wait_for(looked_often.wait(), 30)
        await jobs.stop()
        return runs.qsize()

    assert asyncio.run(go()) == 0


def test_a_stop_lets_the_planning_step_finish_and_cancels_what_takes_long_without_a_trace(caplog):
    async def go() -> list[str]:
        done: list[str] = []
        begun: asyncio.Queue[str] = asyncio.Queue()
        stopping = asyncio.Event()

        async def plan() -> None:
            await begun.put("plan")
            await stopping.wait()
            done.append("plan")

        async def backtest() -> None:
            await begun.put("backtest")
            await asyncio.Event().wait()
            done.append("backtest")

        jobs = Jobs(SystemClock())
        jobs.add(Job("plan", 1, plan))
        jobs.add(Job("backtest", 1, backtest))
        jobs.start()
        assert {await asyncio.wait_for(begun.get(), 30) for _ in range(2)} == {"plan", "backtest"}
        stop = asyncio.create_task(jobs.stop(finishing=("plan",)))
        await asyncio.sleep(0)
        stopping.set()
        await asyncio.wait_for(stop, 30)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return done

    with caplog.at_level("ERROR"):
        assert asyncio.run(go()) == ["plan"]
    assert caplog.text == ""


def test_a_planning_step_that_hangs_does_not_keep_the_stop(monkeypatch):
    monkeypatch.setattr(jobs_module, "GRACE_S", 0.01)

    async def go() -> None:
        begun = asyncio.Event()

        async def plan() -> None:
            begun.set()
            await asyncio.Event().wait()

        jobs = Jobs(SystemClock())
        jobs.add(Job("plan", 1, plan))
        jobs.start()
        await asyncio.wait_for(begun.wait(), 30)
        await asyncio.wait_for(jobs.stop(finishing=("plan",)), 30)

    asyncio.run(go())


def test_jobs_that_never_began_can_be_stopped():
    asyncio.run(Jobs(SystemClock()).stop())
