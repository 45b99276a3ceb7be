"""The worker processes, and what happens when one dies: a new pool, after a pause, while the last plan serves."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar

import structlog

from scaler.errors import CalltideError
from scaler.service.worker import start_worker

_log = structlog.get_logger("workers")

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class WorkerError(CalltideError):
    """A worker process died over its task. It is started again; the last result serves meanwhile."""


class _Worker:
    """One process that is made again when it dies."""

    def __init__(self, log_level: str, log_format: str, dask_scheduler: str | None) -> None:
        self._arguments = (log_level, log_format, dask_scheduler)
        self._process: ProcessPoolExecutor | None = None
        self._pause_s = FIRST_PAUSE_S
        self._start_again_s = 0.0

    async def run(
        self, task: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        if self._process is None:
            if time.monotonic() < self._start_again_s:
                raise WorkerError("the worker process died and starts again after a pause")
            context = multiprocessing.get_context("spawn")
            self._process = ProcessPoolExecutor(1, context, start_worker, self._arguments)
        process = self._process
        try:
            result = await asyncio.wrap_future(process.submit(task, *args, **kwargs))
        except BrokenProcessPool as error:
            if process is self._process:
                self._forget_the_dead()
            raise WorkerError("the worker process died over its task; it starts again") from error
        except asyncio.CancelledError:
            running = asyncio.current_task()
            if running is not None and running.cancelling():
                raise
            # Not this task was cancelled, but what waited in the dead process' queue.
            raise WorkerError("the worker process died before its task; it starts again") from None
        self._pause_s = FIRST_PAUSE_S
        return result

    def _forget_the_dead(self) -> None:
        if self._process is not None:
            self._process.shutdown(wait=False, cancel_futures=True)
        self._process = None
        self._start_again_s = time.monotonic() + self._pause_s
        _log.error("a worker process died", pause_s=self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def release(self) -> None:
        """Let the process end, which has nothing to do: its memory is given back until the next task."""
        process, self._process = self._process, None
        if process is not None:
            process.shutdown(wait=False)

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # The executor has no public way to end a task that runs.
        for running in list(process._processes.values()):
            running.terminate()
        process.shutdown(wait=False, cancel_futures=True)


class WorkerPool:
    """Worker processes, each with datasets of its own: what a worker keeps in memory is kept once.

    Beside them there is one more process for work that takes long and may wait, which exists only while it has some.
    """

    def __init__(self, workers: int, log_level: str, log_format: str, dask_scheduler: str | None = None) -> None:
        self._workers = [_Worker(log_level, log_format, dask_scheduler) for _ in range(workers)]
        self._apart = _Worker(log_level, log_format, dask_scheduler)
        self._tasks_apart = 0

    async def run(
        self, owner: str, task: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        """Run a task in the worker that all tasks of this owner go to.

        Raises:
            WorkerError: the worker died, or the pause after a death is not over.
        """
        worker = self._workers[zlib.crc32(owner.encode()) % len(self._workers)]
        return await worker.run(task, *args, **kwargs)

    async def run_apart(
        self, task: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        """Run a task that nothing else shall wait for, one such task after the other.

        Raises:
            WorkerError: the process died, or the pause after a death is not over.
        """
        self._tasks_apart += 1
        try:
            return await self._apart.run(task, *args, **kwargs)
        finally:
            self._tasks_apart -= 1
            if self._tasks_apart == 0:
                self._apart.release()

    def close(self) -> None:
        """End the workers at once: what they were making can be made again."""
        for worker in (*self._workers, self._apart):
            worker.close()
