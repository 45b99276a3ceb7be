"""The worker processes, and what happens when one dies: a new pool, after a pause, while the last plan serves."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
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


class WorkerPool:
    """A pool of processes that is made again when it breaks."""

    def __init__(self, workers: int, log_level: str, log_format: str) -> None:
        self._workers = workers
        self._log = (log_level, log_format)
        self._pool: ProcessPoolExecutor | None = None
        self._pause_s = FIRST_PAUSE_S
        self._start_again_s = 0.0
        self.restarts = 0

    async def run(
        self, task: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        """Run a task in a worker.

        Raises:
            WorkerError: the worker died, or the pause after a death is not over.
        """
        if self._pool is None:
            if time.monotonic() < self._start_again_s:
                raise WorkerError("the worker processes died and start again after a pause")
            self._pool = ProcessPoolExecutor(
                self._workers, multiprocessing.get_context("spawn"), start_worker, self._log
            )
        pool = self._pool
        try:
            result = await asyncio.wrap_future(pool.submit(task, *args, **kwargs))
        except BrokenProcessPool as error:
            if pool is self._pool:
                self._pool = None
                self.restarts += 1
                self._start_again_s = time.monotonic() + self._pause_s
                _log.error("a worker process died", pause_s=self._pause_s)
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
                pool.shutdown(wait=False, cancel_futures=True)
            raise WorkerError("a worker process died over its task; it starts again") from error
        self._pause_s = FIRST_PAUSE_S
        return result

    def close(self) -> None:
        """End the workers at once: what they were making can be made again."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        # The executor has no public way to end a task that runs.
        for process in list(pool._processes.values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
