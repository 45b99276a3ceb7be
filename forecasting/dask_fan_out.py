"""Chunks computed by a Dask cluster: for tenants by the ten thousand, or where the service's own machine is small.

Every chunk travels with all that is needed to compute it, about 8 MB, and the scheduler keeps it until its result has
been fetched. So Dask itself repeats what a lost worker was computing or holding, and nothing here has to notice. Data
scattered to the workers beforehand would spare the scheduler the bytes, but go down with a worker.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from threadpoolctl import threadpool_limits

from forecasting.fan_out import FanOutError, Found, Item

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_WITHIN_S = 10.0
_LEAVE_WITHIN_S = 5.0
_CHUNKS_PER_THREAD = 2
"""One that is computed and one that is on its way."""


@dataclass(frozen=True, slots=True, eq=False)
class DaskFanOut:
    """The cluster of this client. Its scheduler and workers need the same calltide and numpy as this process.

    When no result comes for `give_up_after_s`, the cluster counts as lost.
    """

    client: Client
    give_up_after_s: float = 300.0

    @classmethod
    def connected(cls, address: str) -> DaskFanOut:
        """The cluster whose scheduler listens at this address, like `tcp://10.0.0.5:8786`.

        Raises:
            FanOutError: Dask is not installed, or the scheduler does not answer.
        """
        try:
            # Imported here: only who has a cluster needs the extra.
            from distributed import Client
        except ImportError as error:
            raise FanOutError(
                "Dask is not installed; pip install 'calltide[dask]', or compute without a cluster"
            ) from error
        try:
            return cls(Client(address, timeout=_CONNECT_WITHIN_S, set_as_default=False))  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise FanOutError(
                f"no Dask scheduler answers at {address}: {error}; start one with `dask scheduler`, or mend the address"
            ) from error

    def map(self, task: Callable[[Item], Found], items: Iterable[Item]) -> Iterator[Found]:
        """See `FanOut`.

        Raises:
            FanOutError: the cluster has no workers, lost a chunk with several of them, or is silent.
        """
        threads = self._threads()
        waiting: deque[Future[Any]] = deque()
        for item in items:
            # Pickled here, so that scheduler and workers pass on bytes and never look into them for tasks of Dask.
            waiting.append(self._submitted(pickle.dumps((task, item), protocol=5)))
            if len(waiting) >= _CHUNKS_PER_THREAD * threads:
                yield cast(Found, self._result(waiting.popleft()))
        while waiting:
            yield cast(Found, self._result(waiting.popleft()))

    def close(self) -> None:
        """Leave the cluster, also one that is lost."""
        # A scheduler that is gone cannot be told; the client ends all the same.
        with suppress(OSError):
            self.client.close(timeout=_LEAVE_WITHIN_S)  # type: ignore[no-untyped-call]

    def _threads(self) -> int:
        if self.client.scheduler is None:
            raise FanOutError("the Dask cluster was left, or its scheduler has ended; connect again")
        try:
            threads = sum(self.client.nthreads().values())  # type: ignore[no-untyped-call]
        except (OSError, RuntimeError) as error:
            raise _lost(error) from error
        if threads == 0:
            raise FanOutError("the Dask cluster has no workers; start some with `dask worker`")
        return threads

    def _submitted(self, given: bytes) -> Future[Any]:
        try:
            return self.client.submit(_computed, given, pure=False)
        except (OSError, RuntimeError) as error:
            raise _lost(error) from error

    def _result(self, future: Future[Any]) -> object:
        from distributed import KilledWorker

        try:
            return future.result(timeout=self.give_up_after_s)
        except (OSError, CancelledError, KilledWorker) as error:
            raise _lost(error) from error


def _lost(error: Exception) -> FanOutError:
    return FanOutError(
        f"the Dask cluster did not compute a chunk ({type(error).__name__}: {error}); "
        "look at the log of its scheduler and workers"
    )


def _computed(given: bytes) -> object:
    task, item = pickle.loads(given)  # noqa: S301 - whoever reaches a scheduler may run code on its workers anyway
    # How many threads share a sum decides its last bits. It stays so: beside it other chunks may be computed. Dask
    # starts its workers so, too, unless its configuration or whoever starts them without a nanny says otherwise.
    threadpool_limits(1, user_api="blas")
    return task(item)
