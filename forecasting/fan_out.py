"""Where the parts of a large computation run: here, a few at a time, or on a pool of other machines.

Training and forecasting are cut into chunks of series. What is computed of a chunk is a pure function of what it is
given, and what comes back is put together in the order of the chunks. So neither the pool nor the order in which its
workers finish changes a number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, TypeVar

from threadpoolctl import threadpool_limits

from forecasting.errors import ForecastingError

Item = TypeVar("Item")
Found = TypeVar("Found")


class FanOutError(ForecastingError):
    """A pool could not be reached, or did not finish what it was given. The same can be computed here."""


class FanOut(Protocol):
    """A pool that computes many parts of one thing."""

    def map(self, task: Callable[[Item], Found], items: Iterable[Item]) -> Iterator[Found]:
        """What the task makes of each item, in the order of the items.

        Items are taken only shortly before they are computed, so that few of them are in memory. The task is a
        function of a module, or a `functools.partial` of one, and depends on nothing but what it is given.

        Raises:
            FanOutError: the pool was lost. What a task itself raises is raised as it is.
        """
        ...


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads of this process: arithmetic over arrays leaves the interpreter free for another."""

    at_once: int

    def map(self, task: Callable[[Item], Found], items: Iterable[Item]) -> Iterator[Found]:
        """See `FanOut`."""
        waiting: deque[Future[Found]] = deque()
        # How many threads share a sum decides its last bits: each is added up by one, as in every other pool.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(self.at_once) as threads:
            for item in items:
                waiting.append(threads.submit(task, item))
                # One more than can run, so that no thread waits for the next item.
                if len(waiting) > self.at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


THREADS = Threads(2)
"""Two at once: each takes some hundred megabytes while it runs."""

_chosen: ContextVar[FanOut] = ContextVar("fan_out", default=THREADS)


def chosen_fan_out() -> FanOut:
    """The pool that computes what is asked for now: the threads of this process unless another was chosen."""
    return _chosen.get()


@contextmanager
def computed_by(fan_out: FanOut) -> Iterator[None]:
    """Compute by this pool within the block. It is no part of a model, which outlives every pool."""
    before = _chosen.set(fan_out)
    try:
        yield
    finally:
        _chosen.reset(before)
